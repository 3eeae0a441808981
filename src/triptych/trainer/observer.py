"""What watches a training: observers in a list, each called with (state, line) when its cadence is due.

None of them changes what is trained, and how often they look changes no weight. One more is one class derived from
`Observer`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from triptych.core.model import shape_told
from triptych.errors import Diverged
from triptych.trainer.state import State


class Observer:
    """Watches one training; each method does nothing unless a class says more."""

    def __init__(self, *every: int) -> None:
        """Due every so many images; with several numbers, whenever one of them is."""
        self.every = every

    def due(self, before: int, now: int) -> bool:
        """Whether a cadence was passed between `before` and `now` images."""
        return any(before // n < now // n for n in self.every)

    def calls(self, since: int, budget: int, batch: int) -> int:
        """How often it will be called from `since` images on; at 0 and at the end whatever its cadence."""
        if not self.every or since >= budget:
            return 0
        steps = -(-(budget - since) // batch)
        if any((budget - since) // n >= steps for n in self.every):
            return steps + (since == 0)
        due = {k * n for n in self.every for k in range(since // n + 1, budget // n + 1)} | {budget}
        return len({-(-(at - since) // batch) for at in due}) + (since == 0)

    def begin(self, state: State) -> None:
        """Before the first step of this process."""

    def __call__(self, state: State, line: dict[str, Any]) -> None:
        """When due, at 0 images and at the end. `line` is the new line of the log, for numbers to be added to."""

    def stepped(self, state: State) -> None:
        """After every step: to be cheap."""

    def recovers(self, state: State, error: Diverged) -> bool:
        """Whether training can go on after this divergence, since the state was set back."""
        return False

    def end(self, state: State) -> None:
        """After the last step: of the budget, or where a signal came. Not called where an error ends the training."""


def look(state: State, observers: Sequence[Observer], before: int) -> None:
    """Call whoever is due between `before` images and now, with one new line of the log; all at 0 and at the end."""
    now = state.images
    ends = now == 0 or state.finished
    due = [o for o in observers if o.every and (ends or o.due(before, now))]
    if due:
        line = state.line()
        for observer in due:
            began = time.perf_counter()
            with shape_told(state.model):
                observer(state, line)
            state.looks.setdefault(id(observer), []).append(time.perf_counter() - began)
