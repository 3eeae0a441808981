"""A study that is to take so many minutes: each recipe's budget in images, found once and kept for all its seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from triptych.errors import UserError
from triptych.study.jobs import Job, Outcome, run_id
from triptych.study.study import Study

Work = Callable[[list[Job]], Iterator[Outcome]]
"""How every one of the jobs ended, as they come."""


@dataclass(frozen=True)
class Budgets:
    """What the recipes of a study were given, by `run_id` of the recipe before and seed 0."""

    minutes: float
    """of each training"""
    images: Mapping[str, int]

    def told(self) -> dict[str, Any]:
        """What study.json says."""
        return {"minutes_each": self.minutes, "budgets": dict(self.images)}


def minutes_each(study: Study, workers: int) -> float:
    """Minutes of each training where `workers` go on at a time."""
    assert study.minutes is not None
    return study.minutes / math.ceil(study.seeds * len(study.recipes) / workers)


def find_budgets(study: Study, out: Path, workers: int, earlier: Mapping[str, Any], work: Work) -> Budgets:
    """The images of every recipe: those of `earlier`, the study.json of a call for as many minutes, else measured now.

    UserError where the time is too short for one of them.
    """
    each = minutes_each(study, workers)
    known = earlier.get("budgets") if earlier.get("minutes_each") == each else None
    keys = {run_id(recipe, 0): recipe for recipe in study.recipes}
    found = {k: v for k, v in known.items() if type(v) is int and v > 0} if isinstance(known, dict) else {}
    jobs = [Job(recipe, 0, out / f"pace-{key}", minutes=each) for key, recipe in keys.items() if key not in found]
    for outcome in work(jobs):
        name = outcome.job.path.name.removeprefix("pace-")
        if outcome.state != "done":
            raise UserError(f"{outcome.job.recipe.name}: {outcome.message}")
        found[name] = int(outcome.message)
    return Budgets(each, {key: found[key] for key in keys})


def with_budgets(study: Study, budgets: Budgets) -> Study:
    """The study with these budgets in its recipes."""
    recipes = tuple(
        replace(recipe, train=replace(recipe.train, images=budgets.images[run_id(recipe, 0)]))
        for recipe in study.recipes
    )
    return replace(study, recipes=recipes, minutes=None)
