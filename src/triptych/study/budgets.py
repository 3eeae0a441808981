"""Budgets in examples that fulfil a contract: found once for each recipe, and kept for all its seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from triptych.core import Recipe, Train
from triptych.core.contract import Contract
from triptych.errors import UserError
from triptych.study.jobs import Job, Outcome, run_id
from triptych.study.study import Study

CADENCES = ("log", "evaluate", "sample", "checkpoint")
"""Fields of Train that say how many images lie between two of a kind; 0 is a share of the budget by itself."""

Work = Callable[[list[Job]], Iterator[Outcome[Job]]]
"""How every one of the jobs ended, as they come."""


@dataclass(frozen=True)
class Budgets:
    """What the recipes of a study were given, by `run_id` of the recipe before and seed 0."""

    contract: Contract
    images: Mapping[str, int]

    def told(self) -> dict[str, Any]:
        """What study.json says."""
        return {"contract": self.contract.told(), "budgets": dict(self.images)}


def contract_of(study: Study, workers: int) -> Contract | None:
    """What every training gets: the study's contract, or its share of the study's minutes where `workers` go on."""
    if study.minutes is not None:
        return Contract("minutes", study.minutes / math.ceil(study.seeds * len(study.recipes) / workers))
    return study.contract


def find_budgets(study: Study, contract: Contract, out: Path, earlier: Mapping[str, Any], work: Work) -> Budgets:
    """The images of every recipe: those of `earlier`, the study.json of the same contract, else measured now.

    UserError where the budget is too small for one of them.
    """
    keys = {run_id(recipe, 0): recipe for recipe in study.recipes}
    if contract.equal == "images":
        return Budgets(contract, {key: whole(recipe, int(contract.budget)) for key, recipe in keys.items()})
    known = earlier.get("budgets") if earlier.get("contract") == contract.told() else None
    found = {k: v for k, v in known.items() if type(v) is int and v > 0} if isinstance(known, dict) else {}
    jobs = [Job(recipe, 0, out / f"pace-{key}", pace=contract) for key, recipe in keys.items() if key not in found]
    for outcome in work(jobs):
        name = outcome.job.path.name.removeprefix("pace-")
        if outcome.state != "done":
            raise UserError(f"{outcome.job.recipe.name}: {outcome.message}")
        found[name] = int(outcome.message)
    return Budgets(contract, {key: found[key] for key in keys})


def whole(recipe: Recipe, images: int) -> int:
    """The budget, where it holds a batch; UserError else."""
    if images < recipe.train.batch:
        raise UserError(
            f"{recipe.name} has batches of {recipe.train.batch}, and the contract gives it {images:,} images; give more"
        )
    return images


def with_budgets(study: Study, budgets: Budgets) -> Study:
    """The study with these budgets in its recipes."""
    recipes = tuple(
        replace(recipe, train=over(recipe.train, budgets.images[run_id(recipe, 0)])) for recipe in study.recipes
    )
    return replace(study, recipes=recipes, minutes=None, contract=None)


def over(train: Train, images: int) -> Train:
    """The same over another budget. Cadences keep their share of it, so that a run has as many figures of samples,
    evaluations and checkpoints as it had."""
    cadences = {name: getattr(train, name) for name in CADENCES}
    shares = {name: max(1, every * images // train.images) for name, every in cadences.items() if every}
    return replace(train, images=images, **shares)
