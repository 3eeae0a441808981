"""Objectives that train one part of a model first, and then another on what it makes."""

from __future__ import annotations

from triptych.core import Objective
from triptych.errors import UserError


class InTwoStages(Objective):
    """The first `share` of the budget trains one part of the model, the rest the other."""

    share: float
    """part of the budget of the first stage"""

    def check_share(self) -> None:
        """UserError unless both stages get something."""
        if not 0 < self.share < 1:
            raise UserError(f"objective.share is {self.share}; both stages need a part: give more than 0, less than 1")

    def check_steps(self, steps: int) -> None:
        """UserError for a training of a single step; 0 is not known."""
        if 0 < steps < 2:
            raise UserError("one step cannot train two stages; raise --train.images")

    def tied_to_budget(self) -> str:
        return f"the end of the autoencoder's stage, at {self.share:.0%} of the budget,"

    def stages(self) -> tuple[float, ...]:
        return (0.0, self.share)
