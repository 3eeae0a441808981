"""One step of a training: the objective is driven to its end, one update for each of its moves.

The batch may be computed in shares: by several ranks at once, and by each in several parts, one after the other. All
shares of a move are backward before anything is updated, so that the update is that of the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from triptych.core import Model, Move
from triptych.core.model import shape_told
from triptych.core.objective import moves_of
from triptych.core.share import computing
from triptych.data.batches import Batches
from triptych.system import device
from triptych.trainer.state import State


def step(state: State) -> None:
    """Drive `objective.step` to its end: one update for each move."""
    before = state.images
    state.set_rates()
    with shape_told(state.model):
        if state.train.accumulate > 1:
            in_parts(state)
        elif state.replay is not None:
            state.replay()
        else:
            play(state, state.batches, state.clock())
    state.check_drawn(before)
    if state.ranks.world > 1:
        pool(state.model, [buffers(state.model)], state)
    state.advance()


def play(state: State, batches: Iterator[Tensor], clock: Any) -> None:
    """The moves of one step on these batches."""
    with computing(state.ranks.share()):
        for move in moves_of(state.objective, state.model, batches, clock):
            apply(move, state)


def apply(move: Move, state: State) -> None:
    """Minimise the move's loss over its players' parameters, and nobody else's."""
    state.check_move(move)
    loss, logs = averaged(move, state)
    state.check_finite(loss, move.names)
    moving = parameters(move, state)
    for w in moving:
        w.grad = None
    with state.ranks.averaging(moving, overlap=state.overlaps):
        move.loss.backward(inputs=moving)
    update(move, state)
    state.accumulate(logs)


def parameters(move: Move, state: State) -> list[nn.Parameter]:
    """Those that the move changes."""
    return [w for player in move.names for w in state.parameters[player]]


def update(move: Move, state: State) -> None:
    """Let the move's players follow their gradients."""
    state.check_reached(move.names)
    if state.train.clip:
        norm = nn.utils.clip_grad_norm_(parameters(move, state), state.train.clip, foreach=True)
        state.check_finite(norm, move.names)  # clipped by an infinite norm, gradients are 0 and nothing moves
        state.accumulate({"grad_norm": norm})
    for player in move.names:
        state.optimizers[player].step()


def averaged(move: Move, state: State) -> tuple[Tensor, Mapping[str, Tensor | float]]:
    """Loss and logs of a move, means over the ranks: so all see at once where a loss is not finite."""
    if state.ranks.world == 1:
        return move.loss, move.logs
    loss = move.loss.detach()
    values = torch.stack([loss, *(torch.as_tensor(v).detach().to(loss) for v in move.logs.values())])
    state.ranks.average([values])
    return values[0], dict(zip(move.logs, values[1:], strict=True))


# ---------------------------------------------------------------------------------------------- in parts


def in_parts(state: State) -> None:
    """A step whose batches are computed in `accumulate` parts: as many games go on side by side, a move at a time.

    Each begins a move with the buffers and random numbers that the whole batch would have begun it with, and draws
    those of its own examples. `Parted` where a loss needs the whole batch.
    """
    k, model = state.train.accumulate, state.model
    shares, clock = [state.ranks.share(i, k) for i in range(k)], state.clock()
    drawn: list[tuple[Tensor, ...]] = []
    games = [moves_of(state.objective, model, PartOf(state.batches, drawn, i, k), clock) for i in range(k)]
    while True:
        noise, before, after = device.random_state(model.device), copied(buffers(model)), []
        moves: list[Move] = []
        for share, game in zip(shares, games, strict=True):
            device.set_random_state(noise, model.device)
            assign(buffers(model), before)
            with computing(share):
                if (move := next(game, None)) is None:
                    continue
                state.check_move(move)
                moving = parameters(move, state)
                if not moves:
                    for w in moving:
                        w.grad = None
                whole = state.ranks.averaging(moving, overlap=state.overlaps) if len(moves) == k - 1 else nullcontext()
                with whole:
                    (move.loss / k).backward(inputs=moving)
            moves.append(Move(move.players, move.loss.detach(), move.logs))
            after.append(copied(buffers(model)))
        if not moves:
            return
        pool(model, after, None)
        loss, logs = averaged(mean_of(moves), state)
        state.check_finite(loss, moves[0].names)
        update(moves[0], state)
        state.accumulate(logs)


class PartOf:
    """The i-th of k parts of each batch; whoever comes first draws it, and it is kept in `drawn` for the others."""

    def __init__(self, batches: Batches, drawn: list[tuple[Tensor, ...]], i: int, k: int) -> None:
        self.batches, self.drawn, self.i, self.k, self.at = batches, drawn, i, k, 0

    def __iter__(self) -> Iterator[Tensor]:
        return self

    def __next__(self) -> Tensor:
        return self.part(lambda: (next(self.batches),))[0]

    @property
    def labelled(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The same, with the labels of each part."""
        while True:
            x, y = self.part(lambda: next(self.batches.labelled))
            yield x, y

    def part(self, draw: Callable[[], tuple[Tensor, ...]]) -> list[Tensor]:
        """Ours of the next batch, that `draw` draws where nobody has."""
        if self.at == len(self.drawn):
            self.drawn.append(draw())
        self.at += 1
        return [t.chunk(self.k)[self.i] for t in self.drawn[self.at - 1]]


def mean_of(moves: list[Move]) -> Move:
    """One move with the means of their losses and logs."""

    def mean(values: list[Tensor | float]) -> Tensor:
        return torch.stack([torch.as_tensor(v).detach() for v in values]).mean()

    logs = {name: mean([move.logs[name] for move in moves]) for name in moves[0].logs}
    return Move(moves[0].players, mean([move.loss for move in moves]), logs)


# ----------------------------------------------------------------------------------------------- buffers


def buffers(model: Model) -> dict[str, Tensor]:
    """What the model keeps beside its parameters, and a checkpoint with it."""
    weights = {name for name, _ in model.named_parameters()}
    return {name: b for name, b in model.state_dict().items() if name not in weights}


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: t.clone() for name, t in tensors.items()}


def assign(to: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    for name, t in to.items():
        t.copy_(values[name])


def pool(model: Model, found: list[dict[str, Tensor]], state: State | None) -> None:
    """Give the model the mean of the buffers that its shares of a batch have left, over the ranks of `state` too."""
    own = buffers(model)
    pooled = {name: t for name, t in own.items() if t.is_floating_point()}
    if not pooled:
        return
    sums = {name: torch.zeros_like(t) for name, t in pooled.items()}
    for values in found:
        assign(own, values)
        model.before_pooling()
        for name, t in pooled.items():
            sums[name] += t / len(found)
    if state is not None:
        state.ranks.average(list(sums.values()))
    assign(pooled, sums)
    model.after_pooling()
