"""What a training will take, before it begins: time, memory and disk."""

from __future__ import annotations

import math
import time

import torch

from triptych.core import Clock, Data, Recipe
from triptych.data.batches import Batches
from triptych.system import device as runtime

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
    cadence = train.checkpoint or math.ceil(train.images / 10)
    kept = math.ceil(train.images / cadence) if train.keep == "all" else train.keep
    memory = checkpoint + weights + data.x.nbytes
    seconds = fastest * train.images / drawn
    return (
        f"about {duration(seconds)} for {train.images:,} images, {size(memory)} of memory beside the activations of a "
        f"batch of {train.batch}, up to {size((kept + 2) * checkpoint)} of disk"
    )


def duration(seconds: float) -> str:
    """Coarse, as an estimate should be."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 5_400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def size(n: float) -> str:
    return f"{n / 2**20:.0f} MiB" if n < 2**30 else f"{n / 2**30:.1f} GiB"
