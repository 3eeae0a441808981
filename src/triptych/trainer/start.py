"""Where a training begins, and where it goes on: everything before the first step of `fit` and `resume`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from triptych.core import Data, Model, Recipe, Train, decode, encode
from triptych.errors import UserError
from triptych.evaluate.while_training import FEWEST, left_out_along, of_features
from triptych.models.families import build
from triptych.recipes.command import command
from triptych.run import data as run_data
from triptych.run import plugins as run_plugins
from triptych.run.folder import Run, differences, fresh
from triptych.system import device as runtime
from triptych.system.files import write_json
from triptych.system.locks import exclusive
from triptych.trainer.checks import Plan, check, check_checkpoints, check_train, enough_memory
from triptych.trainer.cost import forecast
from triptych.trainer.observe import go_back
from triptych.trainer.optimizers import learning_rate
from triptych.trainer.quantities import logged
from triptych.trainer.state import State

Say = Callable[[str], None]


@contextmanager
def begin(
    recipe: Recipe, seed: int, out: str | Path | None, device: str, announce: Say | None
) -> Iterator[tuple[Run, State]]:
    """A new run folder and the untrained state, locked against other processes; see `fit`."""
    plan = Plan(recipe, seed, device)
    check(plan)
    (data, test), model = plan.examples, plan.model
    env = environment(plan)
    if announce is not None:
        foretell(plan, env, announce)
    runtime.place(model, plan.target, env["precision"])
    path = Path(out) if out is not None else fresh(Path("runs") / f"{recipe.name or 'run'}-{seed}")
    run = Run.create(path, recipe, seed, env)
    with training_lock(run), runtime.threads(env["threads"]):
        yield run, State(recipe, model, data, test, seed)


def environment(plan: Plan) -> dict[str, Any]:
    """What env.json says: on what the plan is trained, and how."""
    data, test = plan.examples
    precision = runtime.pick_precision(plan.recipe.train.precision, plan.model, plan.target)
    env = runtime.describe(plan.target) | {
        "seed": plan.seed,
        "shape": list(data.shape),
        "precision": precision,
        "threads": runtime.pick_threads(plan.model, plan.target),
        **run_data.record(plan.recipe.data, data, test),
        "parameters": {k: sum(w.numel() for w in p.parameters()) for k, p in plan.model.players.items()},
        "command": again(plan.recipe, plan.seed),
        "quantities": {k: q.told() for k, q in logged(plan.recipe.objective).items()},
    }
    if data.origin:
        env["data"]["origin"] = list(data.origin)
    return env


def again(recipe: Recipe, seed: int) -> str:
    """The command that trains this once more; empty where there is none."""
    return command(encode(recipe), seed, [plugin.given for plugin in run_plugins.used(recipe) if plugin.given])


def foretell(plan: Plan, env: dict[str, Any], announce: Say) -> None:
    """Say what the training will take, and what its log will not have."""
    recipe, (data, test) = plan.recipe, plan.examples
    with enough_memory(), runtime.threads(env["threads"]):
        announce(forecast(recipe, data, plan.target, env["precision"]))
    if test is None and data.distribution is None:
        announce(
            f"{data.name} has no held-out part here: what is logged as held out is of training "
            "examples; --holdout 0.1 sets some aside"
        )
    if len(data if test is None else test) < FEWEST and data.is_images:
        why = left_out_along(data, test, recipe.train.images)
        announce(f"{', '.join(of_features())} are left out on the way: {why}")


@contextmanager
def go_on(
    path: str | Path, device: str | None, images: int | None, data: str | None, announce: Say | None
) -> Iterator[tuple[Run, State | None]]:
    """A run and its state at the last checkpoint, locked; no state where the run is finished; see `resume`."""
    run = Run(path)
    check_train(run.recipe.train)
    run.check_plugins()
    check_checkpoints(run)
    if images is None and run.finished and run.status["images"] >= run.recipe.train.images:
        _check_unchanged(run)
        yield run, None
        return
    with training_lock(run):
        run, state = restored(Run(path), device, images, data, announce)
        with runtime.threads(run.env["threads"]):
            yield run, state


def restored(
    run: Run, device: str | None, images: int | None, where: str | None, announce: Say | None
) -> tuple[Run, State]:
    """The state of a run that nobody else trains, as its last checkpoint has it; without one, as at its beginning."""
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
        env["command"] = again(run.recipe, run.seed)
    if where is not None:
        env["data"]["place"] = str(found.collection or run_data.place_of(found.spec, train))
    if env != run.env:
        write_json(run.path / "env.json", env)
    runtime.place(model, target, env["precision"])
    state = State(run.recipe, model, train, test, run.seed, alarms=list(run.status.get("alarms", [])))
    if saved:
        go_back(state, run)
    else:
        run.truncate(-1)
    return run, state


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


def training_lock(run: Run) -> AbstractContextManager[None]:
    """Train `run` in this process alone; UserError while another one does. A kill lets go of it."""
    return exclusive(run.path / ".lock", f"{run.path} is being trained by another process; wait for it, or end it")


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
