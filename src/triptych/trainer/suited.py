"""The width of a recommended recipe that suits this machine and the time there is."""

from __future__ import annotations

import torch

from triptych.core import Data, Recipe
from triptych.core.statistics import duration
from triptych.models.build import build
from triptych.recipes.recommended import narrower
from triptych.system import device as runtime
from triptych.trainer.checks import Plan, enough, enough_memory
from triptych.trainer.classes import with_classes
from triptych.trainer.precision import choose
from triptych.trainer.rehearsal import one_step, rehearsing

MINUTES = 30.0
"""Of a training for which nobody said how long."""
ENOUGH = 250_000
"""Images that a training should see before wider networks are worth their time."""


def suited(recipe: Recipe, minutes: float, device: str) -> tuple[Recipe, str]:
    """The widest variant of a recommended recipe that sees `ENOUGH` images in so many minutes here, and why.

    The narrowest where none does.
    """
    where, counts = runtime.pick_device(device), list[tuple[Recipe, int]]()
    plan = Plan(recipe, 0, device)
    enough(plan)
    data = plan.examples[0]
    recipe = with_classes(recipe, data)
    for variant in narrower(recipe, data.shape):
        counts.append((variant, within(variant, data, minutes, where)))
        if counts[-1][1] >= ENOUGH:
            break
    chosen, images = counts[-1]
    width = vars(chosen.model).get("width", 0)
    words = f"width {width}: about {images:,} images in {minutes:g} min here"
    if len(counts) > 1:
        wider, fewer = counts[-2]
        longer = duration(60 * minutes * ENOUGH / max(fewer, 1))
        words += f"; width {vars(wider.model)['width']} would see {fewer:,} and is taken from {longer} on"
    return chosen, words


def within(recipe: Recipe, data: Data, minutes: float, device: torch.device) -> int:
    """Images that steps alone see in so many minutes, two figures of it, by steps of an eighth of the batch."""
    batch = max(8, recipe.train.batch // 8)
    with rehearsing(device), enough_memory():
        model = build(recipe.model, data.shape)
        with runtime.threads(runtime.pick_threads(model, device)):
            precision = choose(recipe, model, data, device).precision
            step = one_step(recipe, data, device, precision, batch)
            step()
            seconds = min(step(), step())
    return int(float(f"{60 * minutes * batch / seconds:.2g}"))
