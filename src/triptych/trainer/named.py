"""Training from Python in one call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from triptych.core import Recipe
from triptych.errors import UserError
from triptych.recipes.named import get
from triptych.run.folder import Run
from triptych.trainer.loop import fit


def train(
    recipe: Recipe | str,
    *,
    seed: int = 0,
    out: str | Path | None = None,
    images: int | None = None,
    minutes: float | None = None,
    device: str = "auto",
) -> Run:
    """Train a recipe, or the one of that name, and leave a run folder at `out` (default: runs/RECIPE-SEED).

    `images` is another budget than the recipe's; `minutes` sets it by the pace of the first steps here, evaluations
    counted. UserError where the recipe cannot be trained so, `Diverged` at a non-finite loss.
    """
    if images is not None and minutes is not None:
        raise UserError("minutes and images both say how long to train; give one of them")
    chosen = get(recipe) if isinstance(recipe, str) else recipe
    if images is not None:
        chosen = replace(chosen, train=replace(chosen.train, images=images))
    return fit(chosen, seed, out, device, minutes=minutes)
