"""What a training will take, before it begins: time, memory and disk."""

from __future__ import annotations

import math

import torch

from triptych.core import Data, Model, Recipe
from triptych.core.model import affordable
from triptych.core.statistics import duration
from triptych.evaluate.while_training import LEAST_SAMPLES, SAMPLE_PASSES
from triptych.models.build import outline
from triptych.system import device as runtime
from triptych.trainer.rehearsal import Pace, rehearse_steps

SAMPLES = 2_500
"""Samples of a look where each takes one pass."""
MEASURED = 1.0
"""Seconds of steps that are measured, at least two of them."""


def forecast(
    recipe: Recipe, data: Data, test: Data | None, device: torch.device, precision: str, pace: Pace | None = None
) -> str:
    """A line for a person. Steps are measured on a model of their own; training's random numbers are untouched.

    With a `pace` that was rehearsed, looks are counted.
    """
    train = recipe.train
    model = outline(recipe.model, data.shape)
    measured = pace or rehearse_steps(recipe, data, test, device, precision, MEASURED)
    when = f"{train.images:,} images"
    if measured is not None:
        # a pass forward is about a third of a step's time
        looking = 0.0 if measured.looks else looks(recipe) * passes_of_a_look(model, data) * measured.image / 3
        beside = "" if measured.looks or looking else ", evaluations beside"
        when = f"about {duration(max(1.0, measured.seconds(train) + looking))} here for {when}{beside}"
    weights, averages = sizes(recipe, model)
    checkpoint = 3 * weights + averages
    held = runtime.peak_memory(device)
    memory = "" if held is None else f", {size(held - weights)} of memory"
    cadence = train.checkpoint or math.ceil(train.images / 10)
    kept = math.ceil(train.images / cadence) if train.keep == "all" else train.keep
    return f"{when}{memory}, up to {size((kept + 2) * checkpoint)} of disk"


def looks(recipe: Recipe) -> float:
    """How often a training is evaluated."""
    train = recipe.train
    return train.images / (train.evaluate or max(train.images // 10, 1)) + 1


def sizes(recipe: Recipe, model: Model) -> tuple[int, int]:
    """Bytes of the weights, and of their averages where the recipe keeps any."""
    weights = 4 * sum(w.numel() for w in model.parameters())
    averages = 4 * sum(w.numel() for n, w in model.named_parameters() if n.split(".")[0] in model.sampling)
    return weights, averages if recipe.train.ema else 0


def passes_of_a_look(model: Model, data: Data) -> float:
    """Passes through the networks that samples, a picture and a map take: nothing where one pass makes a sample."""
    cost = model.cost
    if cost.sample <= 1 and cost.likelihood <= 1:
        return 0.0
    samples = affordable(SAMPLES, cost.sample, SAMPLE_PASSES, LEAST_SAMPLES) + (64 if data.is_images else 2_000)
    likelihoods = 48**2 + 500 if data.distribution is not None else 0
    return samples * cost.sample + likelihoods * cost.likelihood


def size(n: float) -> str:
    return f"{n / 2**20:.0f} MiB" if n < 2**30 else f"{n / 2**30:.1f} GiB"
