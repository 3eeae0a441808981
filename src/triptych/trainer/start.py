"""Where a training begins, and where it goes on: everything before the first step of `fit` and `resume`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import fspath
from pathlib import Path
from typing import Any

import torch

from triptych.core import Data, Model, Recipe, Train, decode, encode
from triptych.core.codec import differences
from triptych.core.columns import Columns
from triptych.core.features import Extractors
from triptych.core.model import class_count
from triptych.errors import Interrupted, UserError
from triptych.evaluate.while_training import FEWEST, LEAST, as_before, left_out_along, of_features, prepare
from triptych.models.build import build_for
from triptych.models.layers.data_init import head_start
from triptych.recipes.command import command
from triptych.run import data as run_data
from triptych.run import plugins as run_plugins
from triptych.run.addresses import Place
from triptych.run.folder import Run, check_free, fresh
from triptych.system import device as runtime
from triptych.system.files import write_json
from triptych.system.locks import exclusive
from triptych.system.processor import arithmetic
from triptych.system.shell import shell
from triptych.trainer.checks import Plan, check, check_checkpoints, check_train, enough_memory
from triptych.trainer.classes import told
from triptych.trainer.cost import forecast
from triptych.trainer.observe import go_back
from triptych.trainer.optimizers import learning_rate
from triptych.trainer.precision import Choice, choose
from triptych.trainer.quantities import logged
from triptych.trainer.rehearsal import Pace, budget_for, check_minutes, processor_pace
from triptych.trainer.state import State

Say = Callable[[str], None]


@contextmanager
def begin(
    recipe: Recipe, seed: int, out: str | Path | None, device: str, minutes: float | None, announce: Say | None
) -> Iterator[tuple[Run, State]]:
    """A new run folder and the untrained state, locked against other processes; see `fit`."""
    if out is not None:  # before the data are prepared and steps are timed
        check_free(Path(out))
    ready = prepared(recipe, seed, device, minutes, announce)
    plan, env, recipe = ready.plan, ready.env | marks(ready.extractors), ready.plan.recipe
    if announce is not None:
        for line in told(recipe, plan.examples[0]):
            announce(line)
        foretell(plan, env, ready.pace, announce)
    (data, test), model = plan.examples, plan.model
    runtime.place(model, plan.target, env["precision"])
    path = Path(out) if out is not None else fresh(Path("runs") / f"{recipe.name or 'run'}-{seed}")
    run = Run.create(path, recipe, seed, env)
    with training_lock(run), runtime.threads(env["threads"]):
        yield run, State(recipe, model, data, test, seed, extractors=ready.extractors)


def marks(extractors: Extractors) -> dict[str, Any]:
    """What env.json says of the extractors: that the log's numbers are of these."""
    return {"extractors": [e.id for e in extractors.of_features]}


@dataclass(frozen=True)
class Prepared:
    """A training that can begin: checked, its precision and budget decided."""

    plan: Plan
    env: dict[str, Any]
    pace: Pace | None
    """where it was rehearsed for its budget"""
    extractors: Extractors
    """what images are compared by on the way; none where it was not asked to be watched"""


def prepared(
    recipe: Recipe,
    seed: int,
    device: str,
    minutes: float | None = None,
    announce: Say | None = None,
    *,
    watched: bool = True,
) -> Prepared:
    """The plan of a training and its env.json; with `minutes` the recipe's budget is what fits into that time.

    What has to be made once for the data, the extractors of a training that is `watched`, is no part of that time.
    """
    if minutes is not None:
        check_minutes(minutes)
    plan = Plan(recipe, seed, device)
    check(plan)
    recipe = plan.recipe
    with runtime.threads(runtime.pick_threads(plan.model, plan.target)):
        chosen = choose(recipe, plan.model, plan.examples[0], plan.target)
    env = environment(plan, chosen)
    if announce is not None and chosen.note:
        announce(chosen.note)
    budget = recipe.train.images if minutes is None else LEAST
    extractors = Extractors()
    if watched:
        extractors = prepare(*plan.examples, budget, announce, shown=announce is not None).on(plan.target)
    if minutes is None:
        return Prepared(plan, env, None, extractors)
    with enough_memory(), runtime.threads(env["threads"]):
        train, pace = budget_for(minutes, recipe, *plan.examples, plan.target, env, extractors=extractors)
    plan.recipe = replace(recipe, train=train)
    check(plan)
    if announce is not None and train.evaluate != recipe.train.evaluate:
        announce(
            f"evaluated every {train.evaluate:,} images, since an evaluation takes {sum(pace.looks):.0f} s; "
            "--train.evaluate sets another number"
        )
    return Prepared(plan, env | {"minutes": minutes, "command": command(encode(plan.recipe), seed)}, pace, extractors)


def affordable(recipe: Recipe, seed: int, device: str, seconds: float) -> int:
    """The images that so many seconds pay for: of processor time for the steps alone, on a GPU of time.

    UserError where they do not pay for a step.
    """
    ready = prepared(recipe, seed, device, watched=False)
    plan, threads = ready.plan, ready.env["threads"]
    recipe = plan.recipe
    with enough_memory(), runtime.threads(threads):
        pace = processor_pace(recipe, *plan.examples, plan.target, ready.env["precision"], min(seconds, 5.0))
    images = int(seconds / pace) // recipe.train.batch * recipe.train.batch
    if images < recipe.train.batch:
        raise UserError(f"{seconds:g} s pay for no step of {pace * recipe.train.batch:.2g} s; give more")
    return images


def environment(plan: Plan, chosen: Choice) -> dict[str, Any]:
    """What env.json says: on what the plan is trained, and how."""
    data, test = plan.examples
    env = runtime.describe(plan.target) | {
        "seed": plan.seed,
        "shape": list(data.shape),
        "precision": chosen.precision,
        "arithmetic": chosen.told(),
        "threads": runtime.pick_threads(plan.model, plan.target),
        **run_data.record(plan.recipe.data, data, test),
        "parameters": {k: sum(w.numel() for w in p.parameters()) for k, p in plan.model.players.items()},
        "command": again(plan.recipe, plan.seed),
        "head_start": list(head_start(plan.model)) if plan.recipe.train.head_start == "own" else [],
        "quantities": {k: q.told() for k, q in logged(plan.recipe.objective).items()},
    }
    if data.origin:
        env["data"]["origin"] = list(data.origin)
    if class_count(plan.model):
        env["classes"] = list(data.classes)
    if data.conditions is not None:
        env["data"]["given"] = Columns(data.condition_columns).told()
    if data.typed is not None:
        env["data"]["columns"] = data.typed.told()
    elif data.columns:
        env["data"]["names"] = list(data.columns)
    return env


def again(recipe: Recipe, seed: int) -> str:
    """The command that trains this once more; empty where there is none."""
    return command(encode(recipe), seed, [plugin.given for plugin in run_plugins.used(recipe) if plugin.given])


def foretell(plan: Plan, env: dict[str, Any], pace: Pace | None, announce: Say) -> None:
    """Say what the training will take, and what its log will not have."""
    recipe, (data, test) = plan.recipe, plan.examples
    with enough_memory(), runtime.threads(env["threads"]):
        announce(forecast(recipe, data, test, plan.target, env["precision"], pace))
    if test is None and data.distribution is None:
        announce(
            f"{data.name} has no held-out part here: what is logged as held out is of training "
            "examples; --holdout 0.1 sets some aside"
        )
    if len(data if test is None else test) < FEWEST and data.is_images:
        why = left_out_along(data, test, recipe.train.images)
        announce(f"{', '.join(of_features())} are left out on the way: {why}")


@dataclass(frozen=True)
class More:
    """Another budget than the recipe's for a run that goes on: images, or minutes from now; neither keeps it."""

    images: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if self.images is not None and self.minutes is not None:
            raise UserError("--minutes and --train.images both say how long to train; give one of them")
        if self.minutes is not None:
            check_minutes(self.minutes)

    @property
    def asked(self) -> bool:
        """Whether it is another one."""
        return self.images is not None or self.minutes is not None


@contextmanager
def go_on(
    path: Place, device: str | None, more: More, data: str | None, announce: Say | None
) -> Iterator[tuple[Run, State | None]]:
    """A run and its state at the last checkpoint, locked; no state where the run is finished; see `resume`."""
    run, path = Run(path), fspath(path)
    if run.given_away:
        raise UserError(
            f"{path} was given away without its checkpoints, so that no training can go on with it; "
            f"`triptych train --like {path}` begins a new one"
        )
    check_train(run.recipe.train)
    run.check_plugins()
    check_checkpoints(run)
    if not more.asked and run.finished:
        _check_unchanged(run)
        yield run, None
        return
    with training_lock(run):
        run, state = restored(Run(path), device, more, data, announce)
        with runtime.threads(run.env["threads"]):
            yield run, state


def restored(run: Run, device: str | None, more: More, where: str | None, announce: Say | None) -> tuple[Run, State]:
    """The state of a run that nobody else trains, as its last checkpoint has it; without one, as at its beginning."""
    run.sweep()
    env = run.env
    target = runtime.pick_device(device or env["device"])
    found = run_data.own(run, where)
    train, test = found.train, found.test()
    saved = run.checkpoints()
    if saved:
        _check_unchanged(run)
    if announce is not None and (differs := elsewhere(env, target)):
        announce(f"{run.path} {differs}")
    images = more.images
    budget = LEAST if more.minutes is not None else images or run.recipe.train.images
    # a log goes on with the numbers that it began with
    features = prepare(train, test, budget, announce) if "extractors" in env else as_before(train, test, budget)
    features = features.on(target)
    if more.minutes is not None:
        with enough_memory(), runtime.threads(env["threads"]):
            done = max([*saved, 0])
            longer, _ = budget_for(more.minutes, run.recipe, train, test, target, env, done, features)
            images = longer.images
    torch.manual_seed(run.seed)
    model = build_for(run.recipe.model, train)
    if images is not None:
        run = set_budget(run, images, model, train, announce)
        env["command"] = again(run.recipe, run.seed)
    if where is not None:
        env["data"]["place"] = str(found.collection or run_data.place_of(found.spec, train))
    if env != run.env:
        write_json(run.path / "env.json", env)
    runtime.place(model, target, env["precision"])
    state = State(
        run.recipe, model, train, test, run.seed, alarms=list(run.status.get("alarms", [])), extractors=features
    )
    if saved:
        go_back(state, run)
        if more.asked:
            state.end = None  # patience begins anew at the next checkpoint
    else:
        run.truncate(-1)
    return run, state


def elsewhere(env: Mapping[str, Any], device: torch.device) -> str:
    """What differs from where the run began; empty where it is the same kind of processor.

    Runs of version 0.1 did not write down which kind theirs was.
    """
    here, there = arithmetic(device), env.get("arithmetic", {}).get("kind", "")
    if not there or there == here.name:
        return ""
    precision = {"bf16": "bfloat16", "fp32": "float32"}[env["precision"]]
    slow = env["precision"] == "bf16" and here.bfloat16 is False
    return (
        f"began on another kind of processor ({env.get('processor', 'unknown')}, {there}) and goes on here on "
        f"{runtime.processor()}, {here.name}: it stays in {precision}{', which is only emulated here' if slow else ''}"
        "; its sums are rounded otherwise from here on, so the run is not bit for bit what it would have been there"
    )


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
def training_lock(run: Run) -> Iterator[None]:
    """Train `run` in this process alone; UserError while another one does. A kill lets go of it.

    An interrupt inside it says how this run goes on.
    """
    with exclusive(run.path / ".lock", f"{run.path} is being trained by another process; wait for it, or end it"):
        try:
            yield
        except KeyboardInterrupt as e:
            saved = run.checkpoints()
            where = f"goes on from {saved[-1]:,} images" if saved else "begins it again: it has no checkpoint"
            raise Interrupted(f"`{shell('triptych', 'resume', str(run.path))}` {where}") from e


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
