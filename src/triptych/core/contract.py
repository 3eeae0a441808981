"""What is equal between the trainings of a study."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from triptych.errors import UserError

Resource = Literal["seconds", "images", "minutes"]
WORDS: dict[str, str] = {
    "seconds": "seconds of processor time for the steps of each training; evaluation and pictures come on top",
    "images": "examples shown to each training",
    "minutes": "minutes of each training, evaluations counted",
}


@dataclass(frozen=True)
class Contract:
    """Every training of a study gets so much of one resource.

    Seconds and minutes become examples once for each recipe, before its first training, by the pace of a few steps;
    from then on they are a budget in examples like any other.
    """

    equal: Resource
    budget: float

    def __post_init__(self) -> None:
        if self.equal not in get_args(Resource):
            raise UserError(f"equal is {self.equal!r}; choose {', '.join(get_args(Resource))}")
        if isinstance(self.budget, bool) or not isinstance(self.budget, int | float):
            raise UserError(f"the budget is {self.budget!r}; give {self.equal} as a number")
        if not 0 < self.budget < math.inf:
            raise UserError(f"the budget is {self.budget:g}; give a finite number of {self.equal} above 0")
        if self.equal == "images" and self.budget != int(self.budget):
            raise UserError(f"the budget is {self.budget:g} images; give a whole number")

    def __str__(self) -> str:
        return f"equal: {self.budget:,g} {WORDS[self.equal]}"

    def told(self) -> dict[str, Any]:
        """What study.json says."""
        return {"equal": self.equal, "budget": self.budget}
