"""Models that are fitted before the first step."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from triptych.core import Clock, Data, Move, Objective, Quantity
from triptych.errors import UserError
from triptych.models.yardsticks import Yardstick


@dataclass(frozen=True)
class ClosedForm(Objective):
    """No loss and no moves: the model is fitted to the training examples at once, by its own formula."""

    quantities: ClassVar[Mapping[str, Quantity]] = {
        "fit_seconds": Quantity("Time to fit in closed form", "lower", unit="s", rank=90)
    }

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
        """The fit, timed."""
        began = time.perf_counter()
        model.fit(data)
        model.seconds = time.perf_counter() - began

    def validate(self, model: Yardstick, batches: Iterable[Tensor], clock: Clock) -> dict[str, float]:
        """What the fit took."""
        return {"fit_seconds": model.seconds}
