"""One step of a training: `step` drives the objective, `apply` makes a move."""

from __future__ import annotations

from torch import nn

from triptych.core import Move
from triptych.trainer.state import State


def step(state: State) -> None:
    """Drive `objective.step` to its end: one update for each move."""
    state.set_rates()
    for move in state.objective.step(state.model, state.batches, state.clock()):
        apply(move, state)
    state.advance()


def apply(move: Move, state: State) -> None:
    """Minimise the move's loss over its players' parameters, and nobody else's."""
    parameters = [w for player in move.names for w in state.parameters[player]]
    state.check_finite(move.loss, move.names)
    for w in parameters:
        w.grad = None
    move.loss.backward(inputs=parameters)
    state.check_reached(move.names)
    if state.train.clip:
        norm = nn.utils.clip_grad_norm_(parameters, state.train.clip, foreach=True)
        state.check_finite(norm, move.names)  # clipped by an infinite norm, gradients are 0 and nothing moves
        state.accumulate({"grad_norm": norm})
    for player in move.names:
        state.optimizers[player].step()
    state.accumulate(move.logs)
