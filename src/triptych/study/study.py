"""A `Study`: recipes × seeds. A run's folder is named by the recipe's hash and the seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from triptych.core import Recipe
from triptych.core.contract import Contract
from triptych.core.counts import counted
from triptych.core.frame import frame
from triptych.errors import UserError
from triptych.run import schema
from triptych.study.jobs import Job, run_id
from triptych.system import files, names

Scale = Literal["quick", "plain", "full"]
MOST = 10_000
"""Runs of one study, and trainings at once."""
MOST_SAMPLES = 10_000_000


TWICE = "is there already, with the same settings; leave it out, or change one of the two"


def repeated(recipes: Sequence[Recipe]) -> int | None:
    """The place of the first recipe whose runs would be those of one before it; None where there is none."""
    seen = set[str]()
    for i, recipe in enumerate(recipes):
        if (run := run_id(recipe, 0)) in seen:
            return i
        seen.add(run)
    return None


@dataclass(frozen=True)
class Study:
    """What to contrast: every recipe is trained once per seed, seeds counting from 0.

    UserError for a name that cannot be a folder's, and for more than `MOST` runs.
    """

    name: str
    recipes: tuple[Recipe, ...]
    seeds: int = 3
    about: str = ""
    """The question that the study answers, a line."""
    samples: int | None = None
    """Examples that each run is evaluated on; default: the evaluation's own number"""
    minutes: float | None = None
    """Time of all trainings together, which sets their budgets by the pace of their first steps; default: the recipes'
    own budgets"""
    contract: Contract | None = None
    """What is equal between the trainings; default: their recipes' own budgets"""
    yardsticks: bool = True
    """Whether models fitted in closed form stand beside the recipes, once for each data set"""

    def __post_init__(self) -> None:
        names.component(self.name, "the study")
        if self.seeds < 1:
            raise UserError(f"study {self.name!r} has {self.seeds} seeds; give at least 1 (3 or more to compare)")
        if not self.recipes:
            raise UserError(f"study {self.name!r} has no recipes; name at least one")
        object.__setattr__(self, "recipes", tuple(self.recipes))
        if self.seeds * len(self.recipes) > MOST:
            raise UserError(
                f"study {self.name!r} has {len(self.recipes):,} recipes of {counted(self.seeds)} seeds; at most "
                f"{MOST:,} runs are one study: give fewer seeds"
            )
        if self.samples is not None and not 0 < self.samples <= MOST_SAMPLES:
            raise UserError(f"study {self.name!r} asks for {counted(self.samples)} samples; give 1 to {MOST_SAMPLES:,}")
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise UserError(f"study {self.name!r} has {self.minutes:g} minutes; give a finite number above 0")
        if self.minutes is not None and self.contract is not None:
            raise UserError(f"study {self.name!r} has minutes and a contract, which both set its budgets; give one")
        for recipe in self.recipes:
            names.component(recipe.name or "run", "the recipe")
        if (second := repeated(self.recipes)) is not None:
            raise UserError(f"study {self.name!r}: {self.recipes[second].name or 'run'} {TWICE}")

    def jobs(self, out: Path) -> list[Job]:
        """One job per recipe and seed, all recipes of a seed before the next, so that early reports compare.

        The yardsticks come first: they take seconds, and are what the others are measured against.
        """
        from triptych.recipes.yardsticks import yardsticks

        sets = dict.fromkeys(recipe.data for recipe in self.recipes) if self.yardsticks else {}
        pairs = [(recipe, 0) for data in sets for recipe in yardsticks(data)]
        pairs += [(recipe, seed) for seed in range(self.seeds) for recipe in self.recipes]
        jobs = [Job(recipe, seed, out / run_id(recipe, seed), self.samples) for recipe, seed in pairs]
        return list({job.path: job for job in jobs}.values())

    def table(self, out: str | Path) -> Any:
        """Every evaluated number of the study under `out`, a row per run and metric.

        `recipe`, `seed`, `state`, `metric`, `value`, `floor`, `n` and `run`: a pandas DataFrame where pandas is
        installed, else a dictionary of arrays. A run without numbers has one row. UserError where no study lies there.
        """
        out = Path(out)
        told = files.read_object(out / "study.json") if (out / "study.json").is_file() else {}
        if not isinstance(runs := told.get("runs"), list):
            raise UserError(f"{out} holds no study; run_study makes one there")
        rows = []
        for run in runs:
            folder = out / Path(str(run["run"])).name
            found = schema.read_evaluation(folder) if (folder / "eval.json").is_file() else {}
            common = {k: run[k] for k in ("recipe", "seed", "state")}
            for metric, v in found.items() or [("", {})]:
                rows.append(
                    common | {"metric": metric} | {k: v.get(k) for k in ("value", "floor", "n")} | {"run": str(folder)}
                )
        return frame(rows)
