"""Whole trainings side by side on one GPU, for so many minutes: distance against images and seconds.

A run that is not done by then is asked to end, saves where it is, and goes on when the script is called again. A name
may end in a precision, `best-birds:0:fp32`. With `--budget M` each run gets the images that fit into M minutes beside
the others. With `--record NAME` nothing is trained, and what the folders hold is recorded, with the machine that their
`env.json` names; runs that are on record already and not named stay there.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from common import RESULTS, record

from triptych.run import Run
from triptych.system.files import read_json

NAMES = ("wgan-gp-birds:0", "gan-birds:0", "lsgan-birds:0", "best-birds:0", "best-birds:2", "best-celeba64:1")
NUMBERS = ("images", "seconds", "frechet", "kernel", "frechet_v1", "kernel_v1", "bits_per_dim")
CLAIMS = {
    "gpu-runs": "the birds study at its full budget, two seeds; the recommended recipes of birds and faces",
    "gpu-flows": "flows on CIFAR-10, ten minutes each: bits/dim and distance",
}
"""What each record was asked to show."""
LEAST = {"gpu-runs": 0.0, "gpu-flows": 570.0}
"""Seconds that each of its runs was to take at least."""


def train(folder: Path, names: list[str], minutes: float, budget: float | None) -> None:
    # neighbours and kernels are counted by the processor: with every thread for each of six runs, the first evaluation
    # took nine minutes
    threads = max(1, (os.cpu_count() or 1) // len(names))
    around = {"OMP_NUM_THREADS": str(threads)} | os.environ
    running = {}
    for each in names:
        name, seed, *precision = each.split(":")
        out = folder / each.replace(":", "-")
        ask = ["resume", str(out)] if out.exists() else ["train", name, "--seed", seed, "--out", str(out)]
        if not out.exists():
            ask += ["--train.precision", *precision] if precision else []
            ask += ["--minutes", str(budget)] if budget else []
        running[each] = subprocess.Popen([sys.executable, "-m", "triptych", *ask, "--device", "cuda"], env=around)
    ends = time.monotonic() + 60 * minutes
    for process in running.values():
        try:
            process.wait(max(0.0, ends - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            process.wait()


def row(run: Run) -> dict[str, Any]:
    """What a run has come to, and its curve."""
    lines = [line for line in run.lines() if "frechet_v1" in line]
    judged = run.path / "eval.json"
    return {
        "state": run.status["state"],
        "images": run.status["images"],
        "budget": run.recipe.train.images,
        "seconds": run.status["seconds"],
        "recorded": run.status["recorded"],
        "compiled": run.status["compiled"],
        "evaluating": sum(line.get("evaluating", 0.0) for line in lines),
        "alarms": run.status["alarms"],
        "precision": run.env["precision"],
        "threads": run.env["threads"],
        "curve": [{k: line[k] for k in NUMBERS if k in line} for line in lines],
        "eval": {k: v["value"] for k, v in read_json(judged).items() if isinstance(v["value"], float)}
        if judged.is_file()
        else None,
    }


def said(name: str, found: dict[str, Any]) -> str:
    """One run in a few words."""
    share = "" if found["state"] == "done" else f", stopped at {found['images'] / found['budget']:.0%}"
    best = min(found["curve"][1:], key=lambda line: line["frechet_v1"])
    last = found["curve"][-1]
    bits = f"{last['bits_per_dim']:.3f} bits/dim, " if "bits_per_dim" in last else ""
    return (
        f"{name}{share}: {found['images']:,} pictures in {found['seconds']:.0f} s, {bits}Fréchet distance "
        f"{last['frechet']:.2f} (offline-v1 {last['frechet_v1']:.2f}, at best {best['frechet_v1']:.2f} after "
        f"{best['images']:,})"
    )


def draw(file: Path) -> None:
    """Both extractors' distance by pictures shown, of the runs on birds in the record."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    rows = {k: v for k, v in read_json(RESULTS / "gpu-runs.json")["details"]["runs"].items() if "birds" in k}
    recipes = list(dict.fromkeys(name.split(":")[0] for name in rows))
    titles = (("frechet", "Fréchet distance"), ("frechet_v1", "Fréchet distance, offline-v1"))
    drawn: dict[str, Any] = {}
    for axes, (column, title) in zip(figure.subplots(1, 2), titles, strict=True):
        for name, found in rows.items():
            recipe, seed, *precision = name.split(":")
            points = [(line["images"], line[column]) for line in found["curve"] if line["images"]]
            style = {
                "color": f"C{recipes.index(recipe)}",
                "ls": ("-", "--")[seed != "0"],
                "alpha": 0.5 if precision else 1,
            }
            (line,) = axes.plot(*zip(*points, strict=True), lw=1.4, marker=".", **style)
            drawn.setdefault(", ".join([recipe, f"seed {seed}", *("float32" for _ in precision)]), line)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("real pictures shown to the critic")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    names = sorted(drawn)
    figure.legend([drawn[k] for k in names], names, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    figure.savefig(file, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/gpu"))
    parser.add_argument("--names", nargs="+", default=list(NAMES), metavar="RECIPE:SEED")
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--budget", type=float, metavar="MINUTES", help="of each run, in place of its recipe's")
    parser.add_argument("--record", choices=CLAIMS, help="train nothing")
    parser.add_argument("--notes", default="")
    parser.add_argument("--figure", type=Path, help="draw the curves on record to this file, and do nothing else")
    args = parser.parse_args()
    if args.figure:
        draw(args.figure)
        return
    if not args.record:
        train(args.runs, args.names, args.minutes, args.budget)
        return
    runs = {each: Run(args.runs / each.replace(":", "-")) for each in args.names}
    known = RESULTS / f"{args.record}.json"
    rows = read_json(known)["details"]["runs"] if known.is_file() else {}
    rows |= {each: row(run) for each, run in runs.items()}
    record(
        args.record,
        "Whole trainings on a GPU, several at a time on the one card",
        CLAIMS[args.record],
        "; ".join(said(name, found) for name, found in rows.items()),
        all(found["state"] == "done" and found["seconds"] >= LEAST[args.record] for found in rows.values()),
        {"runs": rows},
        args.notes,
        made=next(iter(runs.values())).env,
    )


if __name__ == "__main__":
    main()
