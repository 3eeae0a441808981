"""Where a training begins, and where it goes on: `fit` and `resume`. The loop itself is in `training.py`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from triptych import runtime
from triptych.core import LARGEST, Data, Recipe, Train, decode, encode
from triptych.data import find
from triptych.directions import direction
from triptych.errors import NoSplit, UserError
from triptych.forecast import forecast
from triptych.models import build
from triptych.run import Run, differences, fresh
from triptych.system.files import exclusive
from triptych.training import Training, enough_memory


def fit(
    recipe: Recipe,
    seed: int = 0,
    out: str | Path | None = None,
    device: str = "auto",
    progress: bool = True,
    announce: Callable[[str], None] | None = None,
) -> Run:
    """Train `recipe` from `seed` and leave a run folder at `out` (default: runs/RECIPE-SEED).

    `announce` is told beforehand what the training will take.
    UserError, before anything is written, when the recipe cannot be trained; `Diverged` at a non-finite loss.
    """
    check_train(recipe.train)
    check_best(recipe.train)
    runtime.check_seed(seed)
    where = runtime.pick_device(device)
    check_side(recipe)
    data, test = load_data(recipe)
    if recipe.train.flip and not data.is_images:
        raise UserError(f"train.flip mirrors pictures, and {data.name} holds none; leave it out")
    torch.manual_seed(seed)
    model = build(recipe.model, data.shape)
    recipe.objective.check(model, data, math.ceil(recipe.train.images / recipe.train.batch))
    precision = runtime.pick_precision(recipe.train.precision, model, where)
    env = runtime.describe(where) | {
        "seed": seed,
        "shape": list(data.shape),
        "precision": precision,
        "threads": runtime.pick_threads(model, where),
        "data": {"name": data.name, "split": data.split, "fingerprint": data.fingerprint, "examples": len(data)},
        "test": {"examples": len(test)} if test is not None else None,
        "parameters": {k: sum(w.numel() for w in p.parameters()) for k, p in model.players.items()},
    }
    if data.origin:
        env["data"]["origin"] = list(data.origin)
    if announce is not None:
        with enough_memory(), runtime.threads(env["threads"]):
            announce(forecast(recipe, data, where, precision))
        if test is None and data.law is None:
            announce(
                f"{data.name} has no held-out part here: what is logged as held out is of training "
                "examples; --holdout 0.1 sets some aside"
            )
    model = runtime.place(model, where, precision)
    path = Path(out) if out is not None else fresh(Path("runs") / f"{recipe.name or 'run'}-{seed}")
    run = Run.create(path, recipe, seed, env)
    with alone(run), runtime.threads(env["threads"]):
        return Training(run, model, data, test).go(progress)


def resume(path: str | Path, device: str | None = None, progress: bool = True) -> Run:
    """Continue a run that was cut off, bit for bit as if it had not been. A finished run is returned as it is."""
    run = Run(path)
    check_train(run.recipe.train)
    check_checkpoints(run)
    if run.finished and _unchanged(run):
        return run
    with alone(run):
        return _go_on(run, device, progress)


def _go_on(run: Run, device: str | None, progress: bool) -> Run:
    """`resume` of a run that nobody else trains."""
    run.sweep()
    env = run.env
    where = runtime.pick_device(device or env["device"])
    data, test = load_data(run.recipe)
    if data.fingerprint != env["data"]["fingerprint"]:
        raise UserError(
            f"the data {data.name!r} has changed since this run began (fingerprint {data.fingerprint}, not "
            f"{env['data']['fingerprint']}); restore it, or start a new run"
        )
    torch.manual_seed(run.seed)
    model = build(run.recipe.model, data.shape)
    training = Training(run, runtime.place(model, where, env["precision"]), data, test)
    if run.checkpoints() and _unchanged(run):
        training.restore()
    else:
        run.truncate(-1)
    with runtime.threads(env["threads"]):
        return training.go(progress)


@contextmanager
def alone(run: Run) -> Iterator[None]:
    """Train `run` in this process alone; UserError while another one does. A kill lets go of it."""
    with exclusive(run.path / ".lock", f"{run.path} is being trained by another process; wait for it, or end it"):
        yield


def check_checkpoints(run: Run) -> None:
    """UserError where checkpoints were written and none is left: going on would begin again and lose the log."""
    images = run.status["images"]  # above 0 from the second checkpoint on: the first is written at 0
    if images and not run.checkpoints():
        raise UserError(
            f"{run.path} was trained on {images} images and its checkpoints are gone; put them back into "
            f"{run.path / 'checkpoints'}, or start a new run with `triptych train`"
        )


def _unchanged(run: Run) -> bool:
    """True, or UserError naming the fields of recipe.json that were edited since the last checkpoint."""
    begun = next(
        ({"recipe": encode(decode(n["asked"]["recipe"])), "seed": n["asked"]["seed"]} for _, n in run.notes()), {}
    )
    changed = differences(begun, {"recipe": encode(run.recipe), "seed": run.seed}) if begun else []
    if changed:
        raise UserError(
            f"recipe.json was changed since this run began ({'; '.join(changed).replace('recipe.', '')}); "
            "undo that, or start a new run with `triptych train`"
        )
    return True


def load_data(recipe: Recipe) -> tuple[Data, Data | None]:
    """What is trained on, and the held-out part where the source has one."""
    data = recipe.data.load()
    if data.split == "all":
        return data, None
    try:
        return data, recipe.data.load("test")
    except NoSplit:
        return data, None


def check_side(recipe: Recipe) -> None:
    """UserError where the networks cannot make pictures of the size asked for: before so many files are prepared."""
    spec = recipe.data
    if spec.size is not None and find(spec.name).encoded:
        width, height = spec.size
        build(recipe.model, (spec.channels or 3, height, width))


def check_best(train: Train) -> None:
    """UserError where the worst checkpoint would be kept for the best."""
    name = train.best.removeprefix("-")
    sign = direction(name)
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
