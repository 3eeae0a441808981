"""What a recipe's plain rung reaches: the distances of a run that was trained and judged, in offline-v1 terms.

    triptych train best-birds --seed 1 --out RUN; triptych evaluate RUN
    python benchmarks/hour_rung.py RUN --metric kernel_v1 --target 0.06

The curve by images and by seconds of training is in the record.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import record

from triptych.run.folder import Run
from triptych.system.files import read_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--metric", default="kernel_v1")
    parser.add_argument("--target", type=float, required=True)
    parser.add_argument("--also", type=Path, nargs="*", default=[], help="other evaluations of the run, in files")
    parser.add_argument("--note", default="")
    options = parser.parse_args()
    run, found = Run(options.run), read_json(options.run / "eval.json")
    metrics = found.get("metrics", found)
    value, floor = metrics[options.metric]["value"], metrics[options.metric]["floor"]
    shown = ("kernel_v1", "frechet_v1", "precision_v1", "recall_v1", "coverage_v1", "frechet", "kernel")
    curve = [
        {"images": line["images"], "seconds": line["seconds"], options.metric: line[options.metric]}
        for line in run.lines()
        if options.metric in line
    ]
    name, recipe = run.recipe.name, run.recipe
    record(
        f"hour-{name.removesuffix('-quick')}" + (f"-seed{run.seed}" if run.seed else ""),
        f"{recipe.data.name}: {name}, {recipe.train.images:,} images, seed {run.seed}: {options.metric}",
        f"at most {options.target:g}",
        f"{value:.4f} (real against real {floor:.4f}) after {run.status['seconds'] / 60:.0f} min",
        value <= options.target,
        {
            "values": {k: metrics[k]["value"] for k in shown if k in metrics},
            "also": {file.stem: told(read_json(file), shown) for file in options.also},
            "curve": curve,
        },
        options.note,
    )


def told(found: dict[str, Any], shown: Sequence[str]) -> dict[str, Any]:
    """Value, number of samples and standard error of some metrics of an evaluation."""
    return {k: {part: found[k][part] for part in ("value", "n", "se")} for k in shown if k in found}


if __name__ == "__main__":
    main()
