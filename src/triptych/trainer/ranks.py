"""Several processes at one training: how they begin together, and how the others come by the state of the first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from triptych.core import Data, Recipe, decode, encode
from triptych.core.model_spec import ConditionalSpec
from triptych.data import load_spec
from triptych.errors import UserError
from triptych.models.build import build_for
from triptych.run import data as run_data
from triptych.run.folder import Run
from triptych.system import device as runtime
from triptych.system.distributed import Ranks
from triptych.system.files import write_json
from triptych.trainer.checks import check_divides
from triptych.trainer.classes import undecided
from triptych.trainer.state import State

Say = Callable[[str], None]


def said_by_first(ranks: Ranks, announce: Say | None) -> Say | None:
    """What is announced is so once."""
    return announce if ranks.first else None


def check_clock(ranks: Ranks) -> None:
    """UserError for a budget in time, which one rank alone would measure wrongly."""
    if ranks.world > 1:
        raise UserError("--minutes measures the pace of one process, not of several ranks; give --train.images")


def check_together(ranks: Ranks, recipe: Recipe, seed: int, minutes: float | None) -> None:
    """UserError for what several ranks cannot train, and where they were not asked for the same or have not the same.

    Nothing is written before.
    """
    if ranks.world == 1:
        return
    asked = json.dumps([encode(recipe), seed, minutes], sort_keys=True)
    ranks.alike("recipe or seed", lambda: hashlib.sha256(asked.encode()).hexdigest())

    def check() -> None:
        check_divides(recipe.train, ranks.world)
        if minutes is not None:
            check_clock(ranks)

    ranks.told(check)
    ranks.alike("data set", lambda: mark(load_spec(recipe.data)))


def mark(data: Data) -> str:
    """What is the same where the examples are."""
    # points that are drawn differ in the last bit from one processor to the next
    return data.name if data.distribution is not None else data.fingerprint


def cut_off(ranks: Ranks, recipe: Recipe, seed: int, out: str | Path | None) -> Path | None:
    """The run that this very command began before torchrun started its ranks anew; None where none is to go on."""
    if not ranks.restarts:
        return None

    def asked_for(run: Run) -> bool:
        other = run.recipe
        if undecided(recipe) and isinstance(other.model, ConditionalSpec):  # the run has their number
            other = replace(other, model=replace(other.model, classes="auto"))
        return other == recipe

    def begun() -> str:
        usual = Path("runs") / f"{recipe.name or 'run'}-{seed}"
        places = [Path(out)] if out is not None else [usual, *usual.parent.glob(f"{usual.name}-*")]
        found = [p for p in places if (p / "recipe.json").is_file()]
        mine = [p for p in found if asked_for(run := Run(p)) and run.seed == seed and not run.finished]
        return str(max(mine, key=lambda p: p.stat().st_mtime, default=""))

    path = ranks.told(begun)
    return Path(path) if path else None


@contextmanager
def together(
    ranks: Ranks,
    alone: AbstractContextManager[tuple[Run, State | None]],
    device: str | None,
    where: str | None,
    announce: Say | None,
) -> Iterator[tuple[Run, State | None]]:
    """The run and state that the first rank gets from `alone`, on every rank, joined.

    The others load the same examples, from `where` those of a run that goes on with moved ones; UserError where one
    cannot, or finds others.
    """
    with ExitStack() as stack:
        own = list[tuple[Run, State | None]]()

        def begin() -> dict[str, Any]:
            own.append(stack.enter_context(alone))
            run, state = own[0]
            if state is not None:
                regrouped(ranks, run, state, announce)
            asked = {"path": str(run.path), "recipe": encode(run.recipe), "seed": run.seed, "env": run.env}
            return asked | {"fresh": state is not None and state.fresh, "finished": state is None}

        told = ranks.told(begin) if ranks.world > 1 else begin()
        if ranks.world == 1 or told["finished"]:
            yield own[0] if own else (Run.elsewhere(told["path"], decode(told["recipe"]), told["seed"]), None)
            return

        def found() -> str:
            if not own:
                own.append(followed(told, device, where))
            state = own[0][1]
            assert state is not None
            return mark(state.data)

        ranks.alike("data set", found)
        run, state = own[0]
        assert state is not None
        state.join(ranks)
        with runtime.threads(told["env"]["threads"]):
            yield run, state


def regrouped(ranks: Ranks, run: Run, state: State, announce: Say | None) -> None:
    """Note on how many ranks the run goes on, and say what that changes."""
    check_divides(run.recipe.train, ranks.world)
    env, batch = run.env, run.recipe.train.batch
    before = env.get("ranks", 1)
    if announce is not None and ranks.world > 1:
        announce(
            f"{ranks.world} ranks compute {batch // ranks.world} of the {batch} examples of each batch; times that are "
            "foretold are those of one alone"
        )
    if before == ranks.world:
        return
    write_json(run.path / "env.json", env | {"ranks": ranks.world})
    if announce is not None and not state.fresh:
        announce(
            f"{run.path} was on {before} rank{'s' * (before != 1)} and goes on on {ranks.world}: examples and random "
            "numbers are the same, but sums are rounded otherwise, so it is not bit for bit what it would have been"
        )


def followed(told: dict[str, Any], device: str | None, where: str | None) -> tuple[Run, State]:
    """What another rank than the first begins with: the same model and examples, here."""
    recipe, env = decode(told["recipe"]), told["env"]
    assert isinstance(recipe, Recipe)
    run = Run.elsewhere(told["path"], recipe, told["seed"])
    data = load_spec(recipe.data) if told["fresh"] and where is None else moved(run.path, where)
    target = runtime.pick_device(device or env["device"])
    torch.manual_seed(run.seed)
    model = runtime.place(build_for(recipe.model, data), target, env["precision"])
    return run, State(recipe, model, data, None, run.seed)


def moved(path: Path, where: str | None) -> Data:
    return run_data.own(Run(path), where).train


def hand_over(state: State) -> None:
    """Give all ranks the state of the first, to the last bit: weights, optimisers, averages, stream, random numbers."""
    ranks = state.ranks
    if ranks.world == 1:
        return
    mine = state.contents().pack()
    told = ranks.told(
        lambda: {
            "note": state.note(),
            "tensors": {k: [list(v.shape), str(v.dtype).removeprefix("torch.")] for k, v in mine.items()},
        }
    )
    tensors = {}
    for name, (shape, dtype) in told["tensors"].items():
        there = mine[name].detach().cpu() if ranks.first else torch.empty(shape, dtype=getattr(torch, dtype))
        tensors[name] = there.contiguous()
    ranks.hand_out(list(tensors.values()))
    if not ranks.first:
        fresh, alarms = state.fresh, state.alarms
        state.restore(told["note"]["batches"]["drawn"], tensors, told["note"])
        state.fresh, state.alarms = fresh, alarms
