"""What a training will take, before it begins: time, memory and disk."""

from __future__ import annotations

import math
import time

import torch

from triptych.core import Clock, Data, Model, Recipe
from triptych.core.model import affordable
from triptych.data.batches import Batches
from triptych.evaluate.while_training import FEW, SAMPLE_PASSES
from triptych.run.checkpoint import KEEP
from triptych.system import device as runtime

SAMPLES = 2_500
"""Samples of a look where each takes one pass."""
MEASURED = 1.0
"""Seconds spent on measuring steps, at least one."""


def forecast(recipe: Recipe, data: Data, device: torch.device, precision: str) -> str:
    """A line for a person. Steps are measured on a model of their own; training's random numbers are untouched."""
    train = recipe.train
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        model = runtime.place(recipe.model.build(data.shape), device, precision)
        recipe.objective.prepare(model, data)
        batches = Batches(data, train.batch, 0, device)
        fastest, began, steps = math.inf, time.perf_counter(), 0
        while steps == 0 or (time.perf_counter() - began < MEASURED and steps < 20):
            started = time.perf_counter()
            for move in recipe.objective.step(model, batches, Clock(0, 0, 0.0)):
                move.loss.backward(inputs=[w for name in move.names for w in model.players[name].parameters()])
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
            fastest, steps = min(fastest, time.perf_counter() - started), steps + 1
        drawn = batches.drawn / steps
    weights = 4 * sum(w.numel() for w in model.parameters())
    averages = 4 * sum(w.numel() for n, w in model.named_parameters() if n.split(".")[0] in model.sampling)
    checkpoint = 3 * weights + (averages if train.ema else 0)
    memory = checkpoint + weights + data.x.nbytes
    seconds = fastest * train.images / drawn
    # a pass forward is about a third of a step's time, and a look a tenth of the budget apart unless asked otherwise
    looks = train.images / (train.evaluate or max(train.images // 10, 1)) + 1
    looking = looks * passes_of_a_look(model, data) * fastest / drawn / 3
    beside = f" and {duration(looking)} for looks at it" if looking > 0.1 * seconds else ""
    return (
        f"about {duration(seconds)} for {train.images:,} images{beside}, "
        f"{size(memory)} of memory beside the activations of a "
        f"batch of {train.batch}, up to {size((KEEP + 2) * checkpoint)} of disk"
    )


def passes_of_a_look(model: Model, data: Data) -> float:
    """Passes through the networks that samples, a picture and a map take: nothing where one pass makes a sample."""
    cost = model.cost
    if cost.sample <= 1 and cost.likelihood <= 1:
        return 0.0
    samples = affordable(SAMPLES, cost.sample, SAMPLE_PASSES, FEW) + (64 if data.is_images else 2_000)
    likelihoods = 48**2 + 500 if data.distribution is not None else 0
    return samples * cost.sample + likelihoods * cost.likelihood


def duration(seconds: float) -> str:
    """Coarse, as an estimate should be."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 5_400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def size(n: float) -> str:
    return f"{n / 2**20:.0f} MiB" if n < 2**30 else f"{n / 2**30:.1f} GiB"
