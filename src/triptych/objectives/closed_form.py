"""Models that are fitted before the first step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from triptych.core import Clock, Data, Move, Objective
from triptych.errors import UserError
from triptych.models.yardsticks import Yardstick


@dataclass(frozen=True)
class ClosedForm(Objective):
    """No loss and no moves: the model is fitted to the training examples at once, by its own formula."""

    def step(self, model: Yardstick, batches: Iterator[Tensor], clock: Clock) -> Iterator[Move]:
        """Draw a batch, so that the budget comes to its end."""
        next(batches)
        yield from ()

    def check(self, model: Any, data: Data, steps: int = 0) -> None:
        if not isinstance(model, Yardstick):
            raise UserError(
                f"ClosedForm fits what has a closed form, not {type(model).__name__}; take --model Mean, Memoriser or "
                "MixtureOfGaussians"
            )

    def prepare(self, model: Yardstick, data: Data) -> None:
        """The fit."""
        model.fit(data)
