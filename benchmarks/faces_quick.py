"""Faces at 64 px, narrow nets: finished and judged runs side by side, `best-celeba64-quick` against the others.

Each run is made by `triptych train RECIPE --seed 0`, then `triptych evaluate`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from common import record

from triptych.recipes import get
from triptych.run import Run
from triptych.system.files import read_json

BEST = "best-celeba64-quick"
SHOWN = ("frechet", "kernel", "precision", "recall", "coverage")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    rows = {}
    for run in map(Run, args.runs):
        values = read_json(run.path / "eval.json")
        name = run.recipe.name + ("" if run.recipe == get(run.recipe.name) else f", rate {run.recipe.train.lr:g}")
        rows[name] = {k: values[k]["value"] for k in SHOWN} | {"seed": run.seed, "seconds": run.status["seconds"]}
    best = rows[BEST]["kernel"]
    record(
        "faces-quick",
        "faces at 64 px, narrow nets: distances by the offline extractor",
        "the recommended recipe lower than the others",
        "; ".join(f"{k} Fréchet {v['frechet']:.2f}, KID {v['kernel']:.3f}" for k, v in rows.items()),
        all(best < v["kernel"] for k, v in rows.items() if k != BEST),
        rows,
        args.note,
    )


if __name__ == "__main__":
    main()
