"""The one loop that trains every family, `train`, and its two ways in, `fit` and `resume`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from triptych.core import Recipe
from triptych.core.seeds import check_seed
from triptych.errors import Diverged
from triptych.run.addresses import Place
from triptych.run.folder import Run
from triptych.run.sinks import Sink
from triptych.system import distributed
from triptych.trainer.observer import Observer, look
from triptych.trainer.ranks import check_clock, check_together, cut_off, hand_over, said_by_first, together
from triptych.trainer.session import session
from triptych.trainer.start import More, begin, go_on
from triptych.trainer.state import State
from triptych.trainer.step import step


def train(state: State, observers: Sequence[Observer], signals: Sequence[int] = ()) -> None:
    """Train to the end of the budget, whatever was done before; any of `signals` ends it between two steps."""
    state.start_clock()
    ranks = state.ranks
    if state.fresh:
        state.prepare()
    hand_over(state)
    for observer in observers:
        observer.begin(state)
    if state.fresh:
        look(state, observers, before=0)
    stop = ranks.any(bool(signals))[0]
    while not (state.finished or stop):
        before, end, changed = state.images, state.end, False
        try:
            step(state)
            look(state, observers, before)
        except Diverged as e:
            changed = any(observer.recovers(state, e) for observer in observers)
            if ranks.first and not changed:
                raise
        stop, changed = ranks.any(bool(signals), changed or state.end != end)
        if changed:
            hand_over(state)
        for observer in observers:
            observer.stepped(state)
    for observer in observers:
        observer.end(state)


def fit(
    recipe: Recipe,
    seed: int = 0,
    out: str | Path | None = None,
    device: str = "auto",
    *,
    progress: bool = True,
    announce: Callable[[str], None] | None = None,
    minutes: float | None = None,
    sinks: Sequence[Callable[[Run], Sink]] = (),
    observers: Sequence[Observer] = (),
) -> Run:
    """Train `recipe` from `seed` and leave a run folder at `out` (default: runs/RECIPE-SEED).

    With `minutes` the recipe's budget is replaced by the images that fit into that time here, evaluations counted, by
    the pace of the first steps; from then on it is a budget in images like any other.

    `announce` is told beforehand what the training will take. Log lines, pictures and messages also go to a sink that
    each of `sinks` makes from the run, and `observers` watch it beside those that every training has.
    UserError, before anything is written, when the recipe cannot be trained; `Diverged` at a non-finite loss.
    """
    check_seed(seed)
    seed = int(seed)  # of NumPy's numbers JSON knows none
    with distributed.group() as ranks:
        if (cut := cut_off(ranks, recipe, seed, out)) is not None:
            return resume(cut, device, progress=progress, announce=announce, sinks=sinks, observers=observers)
        announce = said_by_first(ranks, announce)
        check_together(ranks, recipe, seed, minutes)
        alone = begin(recipe, seed, out, device, minutes, announce)
        with together(ranks, alone, device, None, announce) as (run, state):
            assert state is not None
            with session(run, state, sinks, observers, progress=progress) as (watching, signals):
                train(state, watching, signals)
            return run


def resume(
    path: Place,
    device: str | None = None,
    *,
    progress: bool = True,
    images: int | None = None,
    minutes: float | None = None,
    data: str | None = None,
    announce: Callable[[str], None] | None = None,
    sinks: Sequence[Callable[[Run], Sink]] = (),
    observers: Sequence[Observer] = (),
) -> Run:
    """Continue a run that was cut off, bit for bit as if it had not been. A finished run is returned as it is.

    With `images`, another budget than the recipe's, also a finished run goes on, until it has seen so many; with
    `minutes` until it has seen what fits into that time from now, by the pace of a few steps here. `announce` is told
    what becomes of its schedule. `data` says where the run's own examples are, if they have moved.
    `sinks` and `observers` are those of `fit`.
    UserError, before anything is written, where the examples are not the run's or `images` have been seen already.
    """
    with distributed.group() as ranks:
        announce = said_by_first(ranks, announce)
        if minutes is not None:
            check_clock(ranks)
        alone = go_on(path, device, More(images, minutes), data, announce)
        with together(ranks, alone, device, data, announce) as (run, state):
            if state is not None:
                with session(run, state, sinks, observers, progress=progress) as (watching, signals):
                    train(state, watching, signals)
            return run
