"""What is refused before a run folder is made."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from triptych.core import Data, Recipe, Train
from triptych.core.data import LARGEST
from triptych.data import find, load_spec
from triptych.errors import NoSplit, UserError
from triptych.models.families import build
from triptych.run.folder import Run
from triptych.trainer.quantities import logged


def check_checkpoints(run: Run) -> None:
    """UserError where checkpoints were written and none is left: going on would begin again and lose the log."""
    images = run.status["images"]  # above 0 from the second checkpoint on: the first is written at 0
    if images and not run.checkpoints():
        raise UserError(
            f"{run.path} was trained on {images} images and its checkpoints are gone; put them back into "
            f"{run.path / 'checkpoints'}, or start a new run with `triptych train`"
        )


def load_data(recipe: Recipe) -> tuple[Data, Data | None]:
    """What is trained on, and the held-out part where the source has one."""
    data = load_spec(recipe.data)
    if data.split == "all":
        return data, None
    try:
        return data, load_spec(recipe.data, "test")
    except NoSplit:
        return data, None


def check_side(recipe: Recipe) -> None:
    """UserError where the networks cannot make pictures of the size asked for: before so many files are prepared."""
    spec = recipe.data
    if spec.size is not None and find(spec.name).encoded:
        width, height = spec.size
        build(recipe.model, (spec.channels or 3, height, width))


def check_best(recipe: Recipe) -> None:
    """UserError where the worst checkpoint would be kept for the best."""
    train, known = recipe.train, logged(recipe.objective)
    name = train.best.removeprefix("-")
    sign = known[name].sign if name in known else 0
    right = f"-{name}" if sign > 0 else name
    if sign and train.best != right:
        raise UserError(
            f"train.best is {train.best}, which keeps the {'lowest' if sign > 0 else 'highest'} {name}, and that is "
            f"the worst; write --train.best={right}"
        )


def check_train(train: Train) -> None:
    """UserError for settings no training can run with."""
    for name in ("images", "batch", "lr", "critic_lr"):
        value = getattr(train, name)
        if value is not None and not 0 < value < math.inf:
            raise UserError(f"train.{name} is {value}; it must be a finite number above 0")
    if train.batch > LARGEST:
        raise UserError(f"train.batch is {train.batch}; it must be at most {LARGEST:,}")
    for name in ("log", "evaluate", "sample", "checkpoint", "warmup", "clip", "weight_decay"):
        if not 0 <= getattr(train, name) < math.inf:
            raise UserError(f"train.{name} is {getattr(train, name)}; it must be a finite number, 0 or more")
    for name, rates in (("ema", (train.ema,)), ("betas", train.betas)):
        if not all(0 <= rate < 1 for rate in rates):
            raise UserError(f"train.{name} is {getattr(train, name)}; a decay must be at least 0 and below 1")


@contextmanager
def enough_memory() -> Iterator[None]:
    """Running out of memory, told with the option that helps."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as e:
        if isinstance(e, RuntimeError) and not isinstance(e, torch.OutOfMemoryError) and "can't allocate" not in str(e):
            raise
        raise UserError("memory ran out; lower --train.batch, or --model.width where the recipe has it") from e
