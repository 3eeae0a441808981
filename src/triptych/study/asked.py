"""What is asked of a search, and one training of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from triptych.core import Quantity, Recipe
from triptych.core.search import Space
from triptych.errors import UserError, nearest
from triptych.metrics import declared
from triptych.recipes.space import space_of


@dataclass(frozen=True)
class Search:
    """What is searched, how long, and by which number."""

    recipes: tuple[Recipe, ...]
    trials: int
    by: str
    space: dict[str, Space] = field(default_factory=dict)
    """what to vary instead of what the recipes declare"""
    minutes_each: float | None = None
    """time of each trial; default: the recipe's own budget"""

    def __post_init__(self) -> None:
        if self.trials < 2:
            raise UserError(f"--trials is {self.trials}; a search takes at least 2")
        if len({r.name for r in self.recipes}) < len(self.recipes) or not self.recipes:
            raise UserError("name each recipe once, and at least one")
        if self.minutes_each is not None and not 0 < self.minutes_each < math.inf:
            raise UserError(f"--minutes-each is {self.minutes_each:g}; give a time above 0")
        for recipe in self.recipes:
            space_of(recipe, self.space)
            self.quantity(recipe)

    def quantity(self, recipe: Recipe) -> Quantity:
        """What the number is that decides; UserError where the recipe does not make it, or it has no direction."""
        made = {**recipe.objective.quantities, **declared.declared()}
        found = recipe.objective.quantities.get(self.by) or declared.quantity(self.by)
        if not found.sign and self.by not in made and found.neither == "it was not declared":
            raise UserError(f"no metric is named {self.by!r}; {nearest(self.by, made, 'docs/metrics.md lists them')}")
        if not found.sign:
            raise UserError(f"{self.by} has no direction to search by: {found.neither}; take another metric")
        return found

    def logged(self, recipe: Recipe) -> bool:
        """Whether a training logs the number on the way; else each trial is evaluated for it."""
        return self.by in recipe.objective.quantities or bool(declared.quantity(self.by).logged)


@dataclass
class Trial:
    """One training of a search, and what came of it."""

    recipe: Recipe
    """with the values that are tried"""
    path: Path
    seed: int
    values: dict[str, Any]
    state: str = "waiting"
    """done, pruned, diverged or failed"""
    value: float | None = None
    message: str = ""

    def told(self) -> dict[str, Any]:
        return {
            "run": self.path.name,
            "seed": self.seed,
            "values": self.values,
            "value": self.value,
            "state": self.state,
            "message": self.message,
            "images": self.recipe.train.images,
        }
