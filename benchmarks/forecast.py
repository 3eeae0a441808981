"""How far forecasts of time and memory were off: budgets in minutes, the time left after a minute, memory beforehand.

Trains each recipe for --minutes in a process of its own and writes one row: the minutes it took, what the bar said was
left after the first minute (or after a third of the time, where that is shorter) against what was left, and the memory
announced before the first step against the most that the process held. `--add` keeps the rows of the record that are
not measured again.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import RESULTS, commit, here, record

RECIPES = (
    "wgan-gp-25gaussians",
    "gan-glyphs",
    "vae-glyphs",
    "vae-8gaussians",
    "spline-8gaussians",
    "realnvp-glyphs",
)
UNITS = {"MiB": 2**20, "GiB": 2**30}


def work(name: str, minutes: float) -> dict[str, Any]:
    """One training, and what was said of it."""
    from triptych.recipes import get
    from triptych.trainer import fit, session
    from triptych.trainer.observe import Bar

    said: list[str] = []
    foretold: dict[str, float] = {}

    class Watched(Bar):
        """The bar, read once."""

        def stepped(self, state: Any) -> None:
            now = time.perf_counter()
            if not foretold and now - self.began > min(60.0, 20 * minutes):
                foretold.update(left=self.left(state), at=now)

    session.Bar = Watched  # type: ignore[misc]
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        fit(get(name), 0, out, "cpu", progress=False, announce=said.append, minutes=minutes)
    ended = time.perf_counter()
    memory = next(m for line in said if (m := re.search(r"([\d.]+) (MiB|GiB) of memory", line)))
    held = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    left = ended - foretold["at"] if foretold else 0.0
    return {
        "minutes": (ended - began) / 60,
        "off": (ended - began) / 60 / minutes - 1,
        "left_off": foretold["left"] / left - 1 if foretold else -1.0,
        "memory_off": float(memory[1]) * UNITS[memory[2]] / held - 1,
        "said": said,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    parser.add_argument("--add", action="store_true", help="to the record that is there")
    parser.add_argument("--work", default="")
    args = parser.parse_args()
    if args.work:
        print(json.dumps(work(args.work, args.minutes)))
        return
    file = RESULTS / f"{here('forecast')}.json"
    rows: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["details"]["rows"] if args.add else {}
    for name in args.recipes:
        argv = [sys.executable, __file__, "--work", name, "--minutes", str(args.minutes)]
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=True)
        row = rows[name] = json.loads(done.stdout.splitlines()[-1]) | {"commit": commit()}
        print(
            f"{name}: {row['minutes']:.2f} min ({row['off']:+.0%}), time left {row['left_off']:+.0%}, "
            f"memory {row['memory_off']:+.0%}",
            flush=True,
        )
    worst = {k: max(abs(row[k]) for row in rows.values()) for k in ("off", "left_off", "memory_off")}
    record(
        here("forecast"),
        f"--minutes {args.minutes:g} for {len(rows)} recipes of three families: its end, and forecasts on the way",
        "minutes within 15 %, time left after a minute and memory before the first step within 20 %",
        "; ".join(
            f"{name} {row['minutes']:.2f} min, left {row['left_off']:+.0%}, memory {row['memory_off']:+.0%}"
            for name, row in rows.items()
        ),
        worst["off"] <= 0.15 and worst["left_off"] <= 0.2 and worst["memory_off"] <= 0.2,
        {"rows": rows, "worst": worst, "minutes": args.minutes},
    )


if __name__ == "__main__":
    main()
