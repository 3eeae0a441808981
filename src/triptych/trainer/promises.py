"""What an objective promises to a training, seen to as soon as the training can tell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from triptych.core import Objective, quantity
from triptych.errors import UserError
from triptych.trainer.observer import Observer
from triptych.trainer.quantities import OWN
from triptych.trainer.state import State

SHARE, STEPS = 0.1, 100
"""Part of the last stage's budget, and steps, after which a player that was never moved is not waiting for its turn."""


def check_declared(objective: Objective, names: Iterable[str]) -> None:
    """UserError for a number that an objective logs or validates and does not declare: nothing else knows what it is.

    What the loop logs beside it is known.
    """
    if strange := sorted(set(names) - set(quantity.BOOKKEEPING) - OWN.keys() - objective.quantities.keys()):
        name = type(objective).__name__
        raise UserError(f"{name} logs {strange[0]!r}, which is not declared; add it to the `quantities` of {name}")


class Promises(Observer):
    """Of a fresh training: its numbers are declared, at its first line; every player is moved, a tenth into its last
    stage. It comes first, while a line holds the numbers of moves alone."""

    def __init__(self, *every: int) -> None:
        super().__init__(*every)
        self.waiting = True

    def __call__(self, state: State, line: dict[str, Any]) -> None:
        if state.fresh:
            check_declared(state.objective, line)

    def stepped(self, state: State) -> None:
        if not self.waiting:
            return
        begin = state.objective.stages()[-1]
        passed = state.step >= STEPS and state.images >= (begin + SHARE * (1 - begin)) * state.train.images
        if passed or state.finished:
            self.waiting = False
            # one that goes on has not seen the moves before
            if state.fresh and (still := sorted(state.optimizers.keys() - state.moved)):
                raise UserError(
                    f"{type(state.objective).__name__} never moves the {' and '.join(still)} of this model; yield a "
                    "move of each player, or take a model without it"
                )
