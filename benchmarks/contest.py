"""The tuned contest on the plane: as many short trials for each family, then fresh seeds under one contract.

For each set: every recipe gets `--trials` trials of `--seconds` each, pruned, decided by the sliced Wasserstein
distance on seeds that are not reported, and without a head start from statistics of the data; the best of each is then
trained for a minute over fresh seeds, on the set as it stands and turned. What is done stays in `--runs`: the same
command goes on. The record has every estimate and the report's own verdicts, both orientations side by side.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import record

from triptych import recipes
from triptych.core import Recipe
from triptych.core.contract import Contract
from triptych.objectives.relativistic import Relativistic
from triptych.report.axes import gate, judge_axes
from triptych.report.entries import gather
from triptych.report.table import Table, tables
from triptych.report.wording import headline
from triptych.study.asked import Search
from triptych.study.local import Local
from triptych.study.named import ANGLE, turned
from triptych.study.runner import run_study
from triptych.study.study import Study
from triptych.study.tune import search

FAMILIES = ("gan", "lsgan", "wgan", "wgan-gp", "relativistic", "vae", "realnvp", "spline", "cfm")
BY = "sliced_wasserstein"
TOLD = ("sliced_wasserstein", "high_quality", "modes", "kl_modes", "two_sample_perceptron")


def contestant(family: str, data: str) -> Recipe:
    """A recipe of the family on a set, without what it would be told of the data beforehand."""
    if family == "relativistic":
        base = recipes.get(f"wgan-gp-{data}")
        base = replace(base, name=f"{family}-{data}", objective=Relativistic(), about="relativistic GAN with R1 and R2")
    else:
        base = recipes.get(f"{family}-{data}")
    return replace(base, train=replace(base.train, head_start="none"))


def told(table: Table) -> dict[str, Any]:
    """The numbers of one orientation, and what the report says of them."""
    numbers = {
        label: {m: table.numbers(label, m) for m in table.metrics if m in TOLD or table.quantity(m).rank < 10}
        for label in table.labels
    }
    verdicts = judge_axes(table)
    clear = {
        v.axis: sorted(f"{p.better} > {p.worse}".replace(f"@{ANGLE}", "") for p in v.pairs if p.grade == "clear")
        for v in verdicts
    }
    return {"numbers": numbers, "clear": clear, "verdict": headline(table, verdicts, gate(table))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=["8gaussians", "25gaussians"])
    parser.add_argument("--families", nargs="+", default=list(FAMILIES))
    parser.add_argument("--trials", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each trial")
    parser.add_argument("--budget", type=float, default=60.0, help="processor seconds of each run that is reported")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    for data in args.sets:
        entered = tuple(contestant(family, data) for family in args.families)
        asked = Search(entered, args.trials, BY, minutes_each=args.seconds / 60)
        best = search(asked, args.runs / f"tune-{data}", executor=Local(args.jobs, "cpu"))
        both = tuple(one for recipe in best.values() for one in (recipe, turned(recipe)))
        study = Study(f"contest-{data}", both, args.seeds, contract=Contract("seconds", args.budget))
        out = args.runs / f"contest-{data}"
        run_study(study, out, args.jobs, "cpu")
        found = {table.data: told(table) for table in tables(gather([out])[0])}
        straight, other = found[data]["clear"], found[f"{data}@{ANGLE}"]["clear"]
        kept = {axis: sorted(set(straight[axis]) & set(other.get(axis, []))) for axis in straight}
        lost = {axis: sorted(set(straight[axis]) ^ set(other.get(axis, []))) for axis in straight}
        record(
            f"contest-{data}",
            f"{len(entered)} families on {data}, {args.trials} trials of {args.seconds:g} s each, then {args.seeds} "
            f"seeds of {args.budget:g} s, straight and turned by {ANGLE}°",
            "recorded",
            " ".join(one["verdict"] for one in found.values())
            + f" Clear statements that stand in both orientations: {sum(map(len, kept.values()))}; in one alone: "
            f"{sum(map(len, lost.values()))}.",
            None,
            {"found": found, "clear in both": kept, "clear in one": lost, "settings": settings(best)},
            args.note,
        )


def settings(best: dict[str, Recipe]) -> dict[str, Any]:
    """What the search chose, field by field, where it differs from the recipe that was entered."""
    from triptych.core import encode
    from triptych.core.codec import differences

    return {name: differences(encode(contestant(*name.rsplit("-", 1))), encode(tuned)) for name, tuned in best.items()}


if __name__ == "__main__":
    main()
