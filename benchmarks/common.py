"""What every benchmark script shares: timing in turns, and a record that says where its numbers come from.

A script measures one claim and calls `record`; `table.py` makes README.md from the records.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from triptych.system.device import processor

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"


def commit() -> str:
    """The commit that is measured; `+` where the tree has changes beside it."""
    try:
        say = ["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"]
        name = subprocess.run(say, capture_output=True, text=True, encoding="utf-8", check=True).stdout.strip()
        say = ["git", "-C", str(HERE), "status", "--porcelain", "--untracked-files=no", ":(exclude)benchmarks/results"]
        return name + (
            "+"
            if subprocess.run(say, capture_output=True, text=True, encoding="utf-8", check=True).stdout.strip()
            else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean with its 95 % interval over runs (Student's t), and every value."""
    from triptych.core.statistics import estimate

    found = estimate(values)
    return {"mean": found.mean, "half_width_95": found.half_width, "values": list(values)}


def in_turns(
    ways: dict[str, Callable[[], object]],
    rounds: int = 5,
    warmup: int = 1,
    now: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of each way, A B A B ..., so that a drifting machine is fair to all."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for k in range(warmup + rounds):
        for name, way in ways.items():
            began = now()
            way()
            if k >= warmup:
                times[name].append(now() - began)
    return times


def ratio(slow: Sequence[float], fast: Sequence[float]) -> dict[str, float]:
    """slow / fast, pair by pair: median, least and most."""
    pairs = [a / b for a, b in zip(slow, fast, strict=True)]
    return {"median": statistics.median(pairs), "min": min(pairs), "max": max(pairs)}


def here(name: str) -> str:
    """The name of a record that each kind of processor has its own of; those with matrix units came first."""
    from triptych.system.processor import AMX, of_processor

    kind = of_processor()
    return name if kind is AMX else f"{name}-{kind.name}"


def interval(slow: Sequence[float], fast: Sequence[float]) -> dict[str, float]:
    """slow / fast over pairs: the mean of the ratios' logarithms with its 95 % interval (Student's t), as ratios."""
    from triptych.core.statistics import estimate

    found = estimate([math.log(a / b) for a, b in zip(slow, fast, strict=True)])
    low, high = found.mean - found.half_width, found.mean + found.half_width
    return {"mean": math.exp(found.mean), "low": math.exp(low), "high": math.exp(high)}


def auto_precision(recipe: Any, model: Any, data: Any) -> str:
    """The precision that `auto` takes for a recipe on this machine's processor.

    An older commit, measured beside this one, has the choice in another place.
    """
    device = torch.device("cpu")
    try:
        from triptych.trainer.precision import choose
    except ImportError:
        from triptych.system import device as older

        return older.pick_precision("auto", model, device)  # pyright: ignore[reportAttributeAccessIssue]
    return choose(recipe, model, data, device).precision


def without_home(argument: str) -> str:
    """An argument as the record shows it: where this machine keeps its folders is nobody's business."""
    return f"runs/{Path(argument).name}" if Path(argument).is_absolute() else argument


def record(
    name: str,
    claim: str,
    target: str,
    measured: str,
    met: bool | None,
    details: dict[str, Any],
    notes: str = "",
    made: Mapping[str, Any] | None = None,
) -> None:
    """Write results/NAME.json.

    `measured` is the sentence a reader sees, `met` whether the target was reached (None: nothing was promised),
    `notes` what fell short and what was tried. `made` is a run's env.json, where the numbers are of runs that were
    made on another machine.
    """
    there = {"processor": processor(), "threads": torch.get_num_threads(), **(made or {})}
    versions = {k: there.get(k) or version(k) for k in ("torch", "numpy")}
    entry = {
        "claim": claim,
        "target": target,
        "measured": measured,
        "met": met,
        "notes": notes,
        "details": details,
        "command": " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *map(without_home, sys.argv[1:])]),
        "commit": commit(),
        "date": date.today().isoformat(),
        "versions": versions | {"python": there.get("python") or sys.version.split()[0]},
        "processor": there["processor"],
        "cores": os.cpu_count() if made is None else None,
        "threads": there["threads"],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(entry, indent=1) + "\n", encoding="utf-8")
    print(f"{name}: {measured}  [{'met' if met else 'no target' if met is None else 'MISSED'}: {target}]")
