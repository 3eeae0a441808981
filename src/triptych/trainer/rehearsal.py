"""A rehearsal: the first steps and looks of a training, made and thrown away, to know what the whole of it will take.

Nothing of the training is touched: the model is another one, random numbers are put back, files go to a folder that is
removed.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from triptych.core import Data, Recipe, Train
from triptych.core.features import Extractors
from triptych.core.preparation import number
from triptych.errors import Diverged, UserError
from triptych.models.build import build_for
from triptych.run.folder import Run
from triptych.run.sending import Sinks
from triptych.run.sinks import JSONLines, PictureFiles
from triptych.system import device as runtime
from triptych.trainer import compilation, recorded
from triptych.trainer.observe import standard
from triptych.trainer.observer import Observer
from triptych.trainer.state import State
from triptych.trainer.step import step

COLD = 3.0
"""Seconds of a first look up to which a second is made: the first may have read files and loaded libraries. A tenth of
the time that there is, where that is more."""
HOPELESS = 5.0
"""Seconds of a first step from which on it is believed as it is."""


@contextmanager
def rehearsing(device: torch.device) -> Iterator[None]:
    """Random numbers are afterwards where they were."""
    before = runtime.random_state(device)
    try:
        torch.manual_seed(0)
        yield
    finally:
        runtime.set_random_state(before, device)


def untrained(
    recipe: Recipe,
    data: Data,
    test: Data | None,
    device: torch.device,
    precision: str,
    extractors: Extractors = Extractors(),  # noqa: B008
) -> State:
    """The state of a training that is about to make its first step."""
    model = runtime.place(build_for(recipe.model, data), device, precision)
    state = State(recipe, model, data, test, 0, extractors=extractors)
    state.prepare()
    model.train()
    return state


def one_step(
    recipe: Recipe, data: Data, device: torch.device, precision: str, batch: int | None = None
) -> Callable[[], float]:
    """A function that makes a step of a training of its own and tells its seconds."""
    train = replace(recipe.train, batch=batch or recipe.train.batch)
    state = untrained(replace(recipe, train=train), data, None, device, precision)
    return lambda: seconds_of_step(state)


def seconds_of_step(state: State, clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    step(state)
    runtime.synchronise(state.model.device)
    return clock() - began


def processor_pace(
    recipe: Recipe, data: Data, test: Data | None, device: torch.device, precision: str, seconds: float
) -> float:
    """Seconds of processor time that the steps of a training take for one image; on a GPU, of time."""
    with rehearsing(device):
        state = untrained(recipe, data, test, device, precision)
        return seconds_an_image(state, seconds, time.process_time if device.type == "cpu" else time.perf_counter)


def seconds_an_image(
    state: State, seconds: float, clock: Callable[[], float] = time.perf_counter, most: float = math.inf
) -> float:
    """Mean over the budget, by the steps of about so many seconds, or of `most` images where these are fewer; of each
    of the objective's stages by itself."""
    paces = paces_of_stages(state, seconds, clock, most)
    ends = [*(begin for begin, _ in paces[1:]), 1.0]
    return sum((end - begin) * pace for (begin, pace), end in zip(paces, ends, strict=True))


def paces_of_stages(
    state: State, seconds: float, clock: Callable[[], float] = time.perf_counter, most: float = math.inf
) -> list[tuple[float, float]]:
    """Where each of the objective's stages begins, as a fraction of the budget, and its seconds for an image."""
    begins, found = state.objective.stages(), []
    for begin in begins:
        state.ahead = begin
        found.append((begin, seconds_an_image_of_stage(state, seconds / len(begins), clock, most / len(begins))))
    state.ahead = 0.0
    return found


def rehearse_stages(state: State, precision: str, seconds: float = 1.0) -> list[tuple[float, float]]:
    """`paces_of_stages` of a training that is about to go on, which stays as it is; of a single stage nothing is tried.

    Equal paces where the steps of a stage diverge at once.
    """
    begins = state.objective.stages()
    if len(begins) == 1:
        return [(0.0, 1.0)]
    with rehearsing(state.model.device):
        try:
            other = untrained(state.recipe, state.data, state.test, state.model.device, precision)
            return paces_of_stages(other, seconds, most=state.train.images / 10)
        except Diverged:
            return [(begin, 1.0) for begin in begins]


def seconds_an_image_of_stage(state: State, seconds: float, clock: Callable[[], float], most: float) -> float:
    """Mean over the steps of about so many seconds or images, at least two, less the first ones, which are slower.

    Recorded ones, where those of the training will be.
    """
    spent: list[tuple[float, int]] = []
    began, start = time.perf_counter(), state.images
    while len(spent) < 2 or (time.perf_counter() - began < seconds and state.images - start < most):
        before = state.images
        spent.append((seconds_of_step(state, clock), state.images - before))
        if len(spent) == 1:
            if spent[0][0] > max(HOPELESS, seconds):
                break
            if recorded.possible(state):
                recorded.record(state)
    state.replay = None
    warm = spent[-(-len(spent) // 4) :] or spent
    return sum(s for s, _ in warm) / sum(n for _, n in warm)


LOOKING = 1 / 3
"""Share of a time to train in that looks may take, before there are fewer of them."""
EVALUATIONS = range(9, 2, -1)
"""How many there are then, in place of ten: as many as leave the rest of the time to the steps, if any do."""


@dataclass(frozen=True)
class Pace:
    """What a training takes on this machine, as far as it was rehearsed."""

    image: float
    """seconds of steps for one real example"""
    looks: tuple[float, ...] = ()
    """seconds of one call of each of the standard observers; empty where none was rehearsed"""
    observers: Callable[[Train], Sequence[Observer]] = lambda train: ()
    """the standard observers of a training: when they are due depends on its budget"""

    def seconds(self, train: Train, since: int = 0) -> float:
        """Of a training from `since` images to its end, looks included."""
        left = train.images - since
        total = left * self.image
        for seconds, observer in zip(self.looks, self.observers(train), strict=False):
            total += seconds * observer.calls(since, train.images, train.batch)
        return total

    def images(self, train: Train, seconds: float, since: int = 0, evaluations: int = 0) -> int:
        """The largest budget, in whole batches after `since`, that takes at most so many seconds; `since` for none.

        With `evaluations` these are spread over it, whatever the cadence of `train`.
        """
        low, high = 0, max(1, int(seconds / self.image / train.batch) + 1)
        while high - low > 1:
            middle = (low + high) // 2
            longer = spread(train, since + middle * train.batch, evaluations)
            low, high = (middle, high) if self.seconds(longer, since) <= seconds else (low, middle)
        return since + low * train.batch

    def fitting(self, train: Train, seconds: float) -> Train:
        """A whole training of so many seconds. One whose evaluations would take too much of it has fewer of them."""
        for evaluations in (0,) if train.evaluate else (0, *EVALUATIONS):
            found = spread(train, self.images(train, seconds, evaluations=evaluations), evaluations)
            if found.images * self.image >= (1 - LOOKING) * seconds:
                break
        return found


def spread(train: Train, images: int, evaluations: int) -> Train:
    """Another budget; with `evaluations` one of so many parts, each of which ends with one."""
    every = max(images // evaluations, 1) if evaluations else train.evaluate
    return replace(train, images=images, evaluate=every)


def rehearse_steps(
    recipe: Recipe, data: Data, test: Data | None, device: torch.device, precision: str, seconds: float
) -> Pace | None:
    """The pace of the steps alone, by a tenth of the budget at most; None where they diverge at once, as the training
    will."""
    with rehearsing(device):
        state = untrained(recipe, data, test, device, precision)
        try:
            return Pace(seconds_an_image(state, seconds, most=recipe.train.images / 10))
        except Diverged:
            return None


def rehearse(
    recipe: Recipe,
    data: Data,
    test: Data | None,
    device: torch.device,
    env: dict[str, Any],
    minutes: float,
    since: int = 0,
    extractors: Extractors = Extractors(),  # noqa: B008
) -> Pace:
    """The pace of steps and looks of a training that is to take so many minutes.

    Steps come first: how long the budget will be decides which numbers the looks make.
    """
    with tempfile.TemporaryDirectory(prefix="triptych-") as folder, rehearsing(device):
        state = untrained(recipe, data, test, device, env["precision"], extractors)
        run = Run.create(Path(folder) / "run", recipe, 0, env)
        sink = Sinks([JSONLines(run), PictureFiles(run)], [], run)

        def observers(train: Train) -> list[Observer]:
            return standard(run, train, sink)

        watching = observers(recipe.train)
        for observer in watching:
            observer.begin(state)
        try:
            image = seconds_an_image(state, min(max(1.0, 1.2 * minutes), 10.0))
            budget = Pace(image).images(recipe.train, 60 * minutes, since)
            longer = max(budget, state.images + recipe.train.batch)
            state.recipe = replace(recipe, train=replace(recipe.train, images=longer))
            looks = seconds_of_looks(state, watching)
            if sum(looks) < max(COLD, 6 * minutes):
                step(state)
                looks = seconds_of_looks(state, watching)
        finally:
            compilation.leave(state.model)
        return Pace(image, looks, observers)


def seconds_of_looks(state: State, observers: Sequence[Observer]) -> tuple[float, ...]:
    """Seconds of one call of each observer, 0 for those that never look."""
    line, found = state.line(), []
    for observer in observers:
        began = time.perf_counter()
        if observer.every:
            observer(state, line)
        found.append(time.perf_counter() - began)
    return tuple(found)


def budget_for(
    minutes: float,
    recipe: Recipe,
    data: Data,
    test: Data | None,
    device: torch.device,
    env: dict[str, Any],
    since: int | None = None,
    extractors: Extractors = Extractors(),  # noqa: B008
) -> tuple[Train, Pace]:
    """What a training may see in so many minutes from now, looks and this rehearsal counted, and its pace.

    One that goes on, `since` so many images, keeps its evaluations where they are. UserError where not even a step
    fits between a first and a last look.
    """
    check_minutes(minutes)
    began = time.perf_counter()
    done = since or 0
    pace = rehearse(recipe, data, test, device, env, minutes, done, extractors)
    spent = time.perf_counter() - began
    seconds = 60 * minutes - spent
    if since is None:
        train = pace.fitting(recipe.train, seconds)
    else:
        train = replace(recipe.train, images=pace.images(recipe.train, seconds, since))
    if train.images <= done:
        once = replace(recipe.train, images=done + recipe.train.batch)
        least = (spent + pace.seconds(once, done)) / 60
        raise UserError(
            f"--minutes {minutes:g} is too short here: one evaluation takes {sum(pace.looks):.1f} s, and a training "
            f"begins and ends with one; give at least {math.ceil(13 * least) / 10:g}"
        )
    return train, pace


MOST_MINUTES = 5_256_000
"""Ten years."""


def check_minutes(minutes: float) -> None:
    """UserError for a time that no training can take."""
    if not number(minutes) or not 0 < minutes <= MOST_MINUTES:
        told = f"{minutes:g}" if number(minutes) else repr(minutes)
        raise UserError(f"--minutes is {told}; it must be a finite number above 0, at most {MOST_MINUTES:,}")
