"""Where a training begins, and where it goes on: `fit` and `resume`. The loop itself is in `training.py`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from triptych.core import Data, Model, Recipe, Train, decode, encode
from triptych.errors import UserError
from triptych.evaluate.while_training import ALONG, FEWEST, left_out_along
from triptych.models.families import build
from triptych.run import data as run_data
from triptych.run.folder import Run, differences, fresh
from triptych.system import device as runtime
from triptych.system.files import exclusive, write_json
from triptych.trainer.checks import check_best, check_checkpoints, check_side, check_train, enough_memory, load_data
from triptych.trainer.cost import forecast
from triptych.trainer.loop import Training
from triptych.trainer.optimizers import learning_rate


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
        **run_data.record(recipe.data, data, test),
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
        if len(data if test is None else test) < FEWEST and data.is_images:
            announce(f"{', '.join(ALONG)} are left out on the way: {left_out_along(data, test, recipe.train.images)}")
    model = runtime.place(model, where, precision)
    path = Path(out) if out is not None else fresh(Path("runs") / f"{recipe.name or 'run'}-{seed}")
    run = Run.create(path, recipe, seed, env)
    with alone(run), runtime.threads(env["threads"]):
        return Training(run, model, data, test).go(progress)


def resume(
    path: str | Path,
    device: str | None = None,
    progress: bool = True,
    *,
    images: int | None = None,
    data: str | None = None,
    announce: Callable[[str], None] | None = None,
) -> Run:
    """Continue a run that was cut off, bit for bit as if it had not been. A finished run is returned as it is.

    With `images`, another budget than the recipe's, also a finished run goes on, until it has seen so many;
    `announce` is told what becomes of its schedule. `data` says where the run's own examples are, if they have moved.
    UserError, before anything is written, where the examples are not the run's or `images` have been seen already.
    """
    run = Run(path)
    check_train(run.recipe.train)
    run.check_plugins()
    check_checkpoints(run)
    if images is None and run.finished and run.status["images"] >= run.recipe.train.images:
        _check_unchanged(run)
        return run
    with alone(run):
        return _go_on(Run(path), device, progress, images, data, announce)


def _go_on(
    run: Run,
    device: str | None,
    progress: bool,
    images: int | None,
    where: str | None,
    announce: Callable[[str], None] | None,
) -> Run:
    """`resume` of a run that nobody else trains."""
    run.sweep()
    env = run.env
    target = runtime.pick_device(device or env["device"])
    found = run_data.own(run, where)
    train, test = found.train, found.test()
    saved = run.checkpoints()
    if saved:
        _check_unchanged(run)
    torch.manual_seed(run.seed)
    model = build(run.recipe.model, train.shape)
    if images is not None:
        run = set_budget(run, images, model, train, announce)
    if where is not None:
        env["data"]["place"] = str(found.collection or run_data.place_of(found.spec, train))
        write_json(run.path / "env.json", env)
    training = Training(run, runtime.place(model, target, env["precision"]), train, test)
    if saved:
        training.restore()
    else:
        run.truncate(-1)
    with runtime.threads(env["threads"]):
        return training.go(progress)


def set_budget(run: Run, images: int, model: Model, data: Data, announce: Callable[[str], None] | None) -> Run:
    """Rewrite recipe.json with another budget, the old one kept under `continued`; the run as it is then."""
    if type(images) is not int:
        raise UserError(f"train.images is {images!r}; give a whole number of images")
    done = max([*run.checkpoints(), 0])
    if images <= done:
        raise UserError(f"{run.path} has seen {done:,} images already; give --train.images a number above that")
    old = run.recipe.train
    if images == old.images:
        return run
    recipe = replace(run.recipe, train=replace(old, images=images))
    check_train(recipe.train)
    recipe.objective.check(model, data, math.ceil(images / recipe.train.batch))
    run = run.with_budget(recipe, done)
    if announce is not None:
        announce(f"{run.path} goes on from {done:,} to {images:,} images (its budget was {old.images:,})")
        announce(rate_after(old, recipe.train, done))
        if tied := recipe.objective.tied_to_budget():
            announce(f"{tied} is tied to the length of the run and goes on where {images:,} images have it")
    return run


def rate_after(old: Train, new: Train, done: int) -> str:
    """What becomes of the learning rate of a run that goes on with another budget."""
    if new.schedule == "constant":
        return "the learning rate is constant and stays as it is"
    was, now = learning_rate(old, done), learning_rate(new, done)
    return (
        f"the learning rate was at {was:.3g} of its full value after the {old.schedule} schedule of {old.images:,} "
        f"images; it goes on at {now:.3g}, where the schedule of {new.images:,} images has it"
    )


@contextmanager
def alone(run: Run) -> Iterator[None]:
    """Train `run` in this process alone; UserError while another one does. A kill lets go of it."""
    with exclusive(run.path / ".lock", f"{run.path} is being trained by another process; wait for it, or end it"):
        yield


def _check_unchanged(run: Run) -> None:
    """UserError naming the fields of recipe.json that were edited since the last checkpoint."""
    _, note = next(iter(run.notes()), (0, None))
    if note is None:
        return
    begun = {"recipe": encode(decode(note["asked"]["recipe"])), "seed": note["asked"]["seed"]}
    now = {"recipe": encode(run.recipe), "seed": run.seed}
    if (budget := begun["recipe"]["train"]["images"]) in run.budgets:  # `set_budget` changed it
        now["recipe"]["train"]["images"] = budget
    if changed := differences(begun, now):
        raise UserError(
            f"recipe.json was changed since this run began ({'; '.join(changed).replace('recipe.', '')}); "
            "undo that, or start a new run with `triptych train`"
        )
