"""Steps recorded once as a CUDA graph and replayed: one launch in place of thousands.

A processor asks a GPU for every operation by itself, a few microseconds each, and small networks are done before it has
asked for the next: nine tenths of their time was waiting. A recorded step repeats the same operations on the same
memory. So its real examples are copied to where the recorded ones were, its learning rates are numbers on the GPU, and
nothing else may differ from step to step: of the clock an objective may only ask which of its stages it is in, each of
which is recorded by itself; one that looks at a number on the GPU is not recorded. What was recorded is compared with
an ordinary step before it is used.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from triptych.system import device
from triptych.trainer.state import State
from triptych.trainer.step import play

WARM = 3
"""Ordinary steps before one is recorded: the first ones choose kernels and make the optimisers' memory."""
TOLERANCE = 0.02
"""Distance of a replayed step's weights from an ordinary one's, as a share of how far the step moved them.

Adam's first step moves a weight by the sign of its gradient: where that is nearly 0, rounding turns it. A compiled step
was seen to end 0.007 away, an ordinary one less than 0.001; other noise, or other examples, end a whole step away.
"""


FOLLOWS = "its objective follows the clock"


class Tape(Protocol):
    """What records operations and repeats them."""

    def record(self, step: Callable[[], None]) -> None:
        """Record the operations of a step; what they leave behind counts for nothing."""
        ...

    def replay(self) -> None:
        """Carry them out, on the memory that they had."""
        ...


class CUDATape:
    """A CUDA graph."""

    def __init__(self) -> None:
        self.graph = torch.cuda.CUDAGraph()

    def record(self, step: Callable[[], None]) -> None:
        # a thread of ours may read examples meanwhile
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            step()

    def replay(self) -> None:
        self.graph.replay()


class OfStage:
    """The clock of a step that is to be recorded: it tells the objective's stage, and nothing that moves on in it."""

    def __init__(self, state: State) -> None:
        self.fraction = Within(state.clock().fraction, state.objective.stages())

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(FOLLOWS)


class Within:
    """A fraction of the budget that can be compared with the beginnings of stages alone."""

    def __init__(self, now: float, begins: tuple[float, ...]) -> None:
        self.now, self.begins = now, begins

    def __lt__(self, begin: float) -> bool:
        if begin not in self.begins:
            raise RuntimeError(FOLLOWS)
        return self.now < begin

    def __ge__(self, begin: float) -> bool:
        return not self < begin


class Slots:
    """The batches of one step, as memory that is filled anew before every replay."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.slots: list[tuple[bool, tuple[Tensor, ...]]] = []
        self.at = 0

    def __iter__(self) -> Iterator[Tensor]:
        return self

    def __next__(self) -> Tensor:
        return self._slot(labelled=False)[0]

    @property
    def labelled(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The same, with labels beside them."""
        while True:
            x, y = self._slot(labelled=True)
            yield x, y

    def _slot(self, *, labelled: bool) -> tuple[Tensor, ...]:
        if self.at == len(self.slots):
            self.slots.append((labelled, tuple(t.clone() for t in self._draw(labelled=labelled))))
        self.at += 1
        return self.slots[self.at - 1][1]

    def _draw(self, *, labelled: bool) -> tuple[Tensor, ...]:
        return next(self.stream.labelled) if labelled else (next(self.stream),)

    def fill(self) -> None:
        """The next batches of the stream."""
        for labelled, slot in self.slots:
            for old, new in zip(slot, self._draw(labelled=labelled), strict=True):
                old.copy_(new)


class Kept:
    """What a step changes, as it was: put back into the same memory."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.model = _copied(state.model.state_dict())
        self.optimizers = {
            player: {w: _copied(known) for w, known in optimizer.state.items()}
            for player, optimizer in state.optimizers.items()
        }
        self.random, self.batches = device.random_state(state.model.device), state.batches.state_dict()
        self.sums, self.counts, self.sane = state.sums, state.counts, state.sane.clone()

    def put_back(self) -> None:
        state = self.state
        state.model.load_state_dict(self.model)
        for player, optimizer in state.optimizers.items():
            for w, known in optimizer.state.items():
                before = self.optimizers[player].get(w, {})
                for name, value in known.items():
                    value.copy_(before[name]) if name in before else value.zero_()
        device.set_random_state(self.random, state.model.device)
        state.batches.load_state_dict(self.batches)
        state.sums, state.counts = dict(self.sums), dict(self.counts)
        state.sane.copy_(self.sane)


def possible(state: State) -> bool:
    """Whether steps of this training can be recorded: on a GPU, whole batches, and no rank to be waited for."""
    return device.records(state.model.device) and state.ranks.world == 1 and state.train.accumulate == 1


def record(state: State, tape: Callable[[], Tape] = CUDATape) -> str | None:
    """Let the steps of a training be replays of one that is recorded here, on its own stream of examples.

    None, or why they are not. The training is left as it was.
    """
    kept, slots, clock = Kept(state), Slots(state.batches), OfStage(state)
    rates_on_device(state, on=True)
    try:
        warm_up(state, slots, clock)
        kept.put_back()
        ordinary_step(state, slots, clock)
        wanted = weights(state)
        found = tape()  # right after an ordinary step: what a network looks up once is looked up
        found.record(lambda: ordinary_step(state, slots, clock))
        recorded, counts = state.sums, state.counts
        kept.put_back()
        found.replay()
        gap = distance(weights(state), wanted, kept)
        if not gap <= TOLERANCE:
            raise RuntimeError(f"a replayed step ends {gap:.2g} of the step away from an ordinary one")
    except (RuntimeError, TypeError) as e:
        rates_on_device(state, on=False)
        if isinstance(e, TypeError):  # it calculated with what can only be compared
            return FOLLOWS
        return " ".join(str(e).split())[:200] or type(e).__name__
    finally:
        kept.put_back()

    def replay() -> None:
        slots.fill()
        found.replay()
        for name, value in recorded.items():
            state.sums[name] = state.sums[name] + value if name in state.sums else value.clone()
            state.counts[name] = state.counts.get(name, 0) + counts[name]

    state.replay = replay
    return None


def warm_up(state: State, slots: Slots, clock: OfStage) -> None:
    """Ordinary steps, of which the last may not wait for the GPU: a recording that it breaks off cannot be mended."""
    state.set_rates()
    if state.model.device.type != "cuda":
        ordinary_step(state, slots, clock)
        return
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    try:
        with torch.cuda.stream(beside), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")
            for i in range(WARM):
                torch.cuda.set_sync_debug_mode("error" if i == WARM - 1 else "default")
                ordinary_step(state, slots, clock)
    finally:
        torch.cuda.set_sync_debug_mode("default")
        torch.cuda.current_stream().wait_stream(beside)  # what it was asked for before an error too


def ordinary_step(state: State, slots: Slots, clock: OfStage) -> None:
    """A step on the batches of the slots, with sums of its own."""
    slots.at = 0
    state.sums, state.counts = {}, {}
    play(state, slots, clock)


def rates_on_device(state: State, *, on: bool) -> None:
    """Learning rates as numbers on the GPU, where a replay reads them anew, or as plain ones."""
    where = state.model.device
    for optimizer in state.optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = torch.tensor(float(group["lr"]), device=where) if on else float(group["lr"])
            group["capturable"] = on and where.type == "cuda"
        for w, known in optimizer.state.items():
            known["step"] = known["step"].to(w.device)  # where a recorded step counts


def weights(state: State) -> Tensor:
    """All that moves, in one vector."""
    return torch.cat([w.detach().flatten().double() for ws in state.parameters.values() for w in ws])


def distance(found: Tensor, wanted: Tensor, kept: Kept) -> float:
    """How far two steps ended from each other, as a share of how far the second one moved."""
    kept.put_back()
    return ((found - wanted).norm() / (wanted - weights(kept.state)).norm().clamp_min(1e-30)).item()


def seconds_an_image(state: State, steps: int) -> float:
    """What an example of a training costs here, by a few steps that are taken back."""
    kept = Kept(state)
    before, began = state.images, _now(state)
    for _ in range(steps):
        state.replay() if state.replay is not None else play(state, state.batches, state.clock())
    seconds = _now(state) - began
    drawn = state.images - before
    kept.put_back()
    return seconds / drawn


def _now(state: State) -> float:
    device.synchronise(state.model.device)
    return time.perf_counter()


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: t.clone() for name, t in tensors.items()}
