"""The birds study's nets at full width: the distance to the data along the first critic steps of every loss.

Batches of 64 instead of the study's 256, one seed. Runs are ordinary run folders under --runs; those that exist are
resumed, so the script can be stopped at any time. With --record nothing is trained, and what the folders hold is
recorded. --figure draws the curves on record.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from common import RESULTS, record

from triptych.recipes import get
from triptych.run import Run
from triptych.system.files import read_json
from triptych.trainer import fit, resume

NAMES = ("gan-birds", "lsgan-birds", "wgan-gp-birds", "best-birds")
BATCH, STEPS = 64, 2_000
RECORD = "birds-full"


def train(name: str, folder: Path) -> None:
    if folder.exists():
        resume(folder)
        return
    recipe = get(name)
    images = BATCH * STEPS
    fit(replace(recipe, train=replace(recipe.train, images=images, batch=BATCH, evaluate=images // 10)), 0, folder)


def draw(file: Path) -> None:
    """Kernel and Fréchet distance by critic step, every loss a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    rows = read_json(RESULTS / f"{RECORD}.json")["details"]["runs"]
    for axes, (column, title) in zip(
        figure.subplots(1, 2), ((1, "kernel distance"), (2, "Fréchet distance")), strict=True
    ):
        for name, row in rows.items():
            points = [(line[0], line[column]) for line in row["curve"] if line[0] > 0]
            axes.plot(*zip(*points, strict=True), lw=1.2, marker=".", label=name)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("critic steps, batch 64")
        axes.set_yscale("log")
        axes.legend(fontsize=7)
    figure.savefig(file, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/birds-full"))
    parser.add_argument("--recipes", nargs="+", default=list(NAMES))
    parser.add_argument("--record", action="store_true", help="train nothing")
    parser.add_argument("--note", default="")
    parser.add_argument("--figure", type=Path, help="draw the curves on record to this file, and do nothing else")
    args = parser.parse_args()
    if args.figure:
        draw(args.figure)
        return
    if not args.record:
        for name in args.recipes:
            train(name, args.runs / name)
        return
    rows = {}
    for name in NAMES:
        if not (args.runs / name).exists():
            continue
        run = Run(args.runs / name)
        lines = [line for line in run.lines() if "kernel" in line]
        rows[name] = {
            "state": run.status["state"],
            "images": run.status["images"],
            "seconds": run.status["seconds"],
            "alarms": run.status["alarms"],
            "precision": run.env["precision"],
            "curve": [[line["images"] // BATCH, line["kernel"], line["frechet"]] for line in lines],
        }
    steps = min((row["images"] // BATCH for row in rows.values()), default=0)
    said = "; ".join(
        f"{name} KID {row['curve'][-1][1]:.3f}, Fréchet {row['curve'][-1][2]:.2f} after {row['images'] // BATCH:,} "
        f"critic steps, {row['seconds'] / 60:.0f} min"
        for name, row in rows.items()
    )
    record(
        RECORD,
        f"birds study at full width, batch {BATCH}, one seed: distance by the offline extractor along the training",
        f"a curve of at least {STEPS:,} critic steps for each of the four",
        said or "not run",
        set(rows) == set(NAMES) and steps >= STEPS,
        {"runs": rows},
        args.note,
    )


if __name__ == "__main__":
    main()
