"""The tuned recipes of a finished contest at other budgets: does the ranking hang on the length of the training?

`python benchmarks/contest_budgets.py 25gaussians --budgets 60 30 120 --runs FOLDER` builds the recipes again from the
settings in the record `contest-25gaussians` and runs one study for each budget, of equal processor seconds; all on one
machine and over the same number of seeds, since more seeds alone make more statements clear. What is done stays.
`rankings.py --title budget` then compares the studies.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from common import RESULTS
from contest import contestant

from triptych.core import Recipe
from triptych.core.contract import Contract
from triptych.recipes.override import with_field
from triptych.study.runner import run_study
from triptych.study.study import Study


def tuned(name: str, settings: list[str]) -> Recipe:
    """The recipe that a search chose: lines like `train.lr: 0.001 became 0.002` applied to what was entered."""
    found = contestant(*name.rsplit("-", 1))
    for line in settings:
        key, _, change = line.partition(": ")
        if key == "train.critic_lr" and not found.objective.adversarial:
            continue  # searched when that contest was run, and without a critic without effect
        value = json.loads(change.rpartition(" became ")[2])
        found = with_field(found, key, value) if "." in key else replace(found, **{key: value})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="the set of the contest")
    parser.add_argument("--budgets", type=float, nargs="+", required=True, help="processor seconds of each training")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--runs", type=Path, required=True)
    args = parser.parse_args()
    settings = json.loads((RESULTS / f"contest-{args.data}.json").read_text(encoding="utf-8"))["details"]["settings"]
    recipes = tuple(tuned(name, changes) for name, changes in settings.items())
    for budget in args.budgets:
        study = Study(f"contest-{args.data}-{budget:g}s", recipes, args.seeds, contract=Contract("seconds", budget))
        run_study(study, args.runs / study.name, args.jobs, "cpu")


if __name__ == "__main__":
    main()
