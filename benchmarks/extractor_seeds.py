"""The runs of a study of pictures, judged anew by extractors of other seeds: do the verdicts stand?

`python benchmarks/extractor_seeds.py STUDY OUT` writes OUT/1, OUT/2: the study's folders, hard-linked, with another
eval.json, whose pair of extractors was trained from seeds that the program itself never uses. `rankings.py` compares
the verdicts of all. What is done is not done again.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import Any

from triptych.evaluate.of_run import evaluate_run
from triptych.evaluate.options import Samples
from triptych.metrics.features import contrasts
from triptych.system.files import read_json


def linked(study: Path, out: Path) -> None:
    """A copy of a study's folder that takes no room, without its evaluations; what is there stays."""
    for file in study.rglob("*"):
        target = out / file.relative_to(study)
        if file.name in ("eval.json", "report.html", "report.csv") or target.exists():
            continue
        if file.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            # evaluation writes this one
            (shutil.copy if file.name == "sampling.json" else os.link)(file, target)


def with_seeds_from(first: int) -> None:
    """The pair of extractors is of the seeds `first` and `first` + 1 from now on, under the same names."""
    place, make = contrasts.place, contrasts.make

    def placed(train: Any, seed: int) -> Path:
        return place(train, seed + first)

    def made(train: Any, seed: int, progress: Any = None) -> Any:
        return make(train, seed + first, progress)

    contrasts.place, contrasts.make = placed, made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pair", type=int, required=True, help="1 for the seeds 2 and 3, 2 for 4 and 5")
    args = parser.parse_args()
    folder = args.out / str(args.pair)
    linked(args.study, folder)
    with_seeds_from(2 * args.pair)
    n = read_json(args.study / "study.json").get("samples")
    for recipe in sorted(folder.glob("*/recipe.json")):
        run = recipe.parent
        if (run / "eval.json").exists() or not (args.study / run.name / "eval.json").exists():
            continue
        evaluate_run(run, samples=Samples(n=n), device="cpu")
        print(run.name, flush=True)


if __name__ == "__main__":
    main()
