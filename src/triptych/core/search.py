"""Where a search looks: ranges that stand beside the fields of objectives, networks and `Train`.

    lr: Annotated[float, Range(1e-5, 1e-2, log=True)] = 2e-4

Whoever reads the field sees its range; `triptych tune` finds it there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from triptych.errors import UserError


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; with `log`, every factor is as likely as every other."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise UserError(f"a range from {self.low} to {self.high} is empty; give low < high, both finite")
        if self.log and self.low <= 0:
            raise UserError(f"a range from {self.low} has no logarithm; begin above 0, or leave log out")

    def within(self, other: Space) -> bool:
        return isinstance(other, Range) and other.low <= self.low and self.high <= other.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}" + (", by factors" if self.log else "")


class Among:
    """One of a few values."""

    def __init__(self, *options: Any) -> None:
        if not options:
            raise UserError("a choice among no values is none; give at least one")
        self.options = options

    def within(self, other: Space) -> bool:
        if isinstance(other, Among):
            return all(v in other.options for v in self.options)
        return all(isinstance(v, int | float) and other.low <= v <= other.high for v in self.options)

    def __str__(self) -> str:
        return "one of " + ", ".join(map(str, self.options))


Space = Range | Among
