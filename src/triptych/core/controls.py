"""Negative controls: what a metric says of real pictures that were spoilt, and of values better than real ones.

`Value.controls` holds `n`, examples a side; `floor`, the metric between two sets of so many real pictures; `samples`,
of as many samples; `values`, by control; and, where the metric has a direction, `above` and `within`: the controls that
it ranks above the samples, and those that it cannot tell from real pictures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

WITHIN = 0.05
"""Share of the floor by which a control may be worse and still counts as within it."""
BEYOND = 0.02
"""Share of the floor by which a value has to be better to count as beyond it, next to three standard errors."""


class Beside(Protocol):
    """A value and its floor."""

    @property
    def value(self) -> float | None: ...
    @property
    def n(self) -> int: ...
    @property
    def floor(self) -> float | None: ...
    @property
    def floor_n(self) -> int | None: ...
    @property
    def se(self) -> float | None: ...
    @property
    def better(self) -> str: ...


def judged(controls: Mapping[str, Any] | None, sign: int) -> Mapping[str, Any] | None:
    """Controls with `above` and `within`; as they are for a metric without a direction, `sign` 0."""
    if controls is None or not sign:
        return controls
    known = {k: v for k, v in controls["values"].items() if v is not None}
    floor, samples = controls["floor"], controls["samples"]
    above = [k for k, v in known.items() if samples is not None and sign * (v - samples) > 0]
    within = [k for k, v in known.items() if floor is not None and sign * (v - floor) >= -WITHIN * abs(floor)]
    return {**controls, "above": above, "within": within}


def praise(*found: Mapping[str, Any] | None) -> str:
    """Which spoilt pictures a metric takes for good ones in any of these evaluations, in words; empty: none."""
    within, above = (
        ", ".join(dict.fromkeys(name for told in found if told for name in told.get(kind, ())))
        for kind in ("within", "above")
    )
    parts = [f"takes {within} for real"] if within else []
    return " and ".join(parts + ([f"ranks {above} above the samples"] if above else []))


def told(value: float | None, floor: float | None, cause: str) -> str:
    """What `Value.beyond` means, in words."""
    return f"{value:.3g} is better than between real examples ({floor:.3g}): {cause}"


def beyond(found: Beside) -> bool:
    """Whether a share, or a number with a standard error, is better than its floor by more than chance.

    For higher is better, and not where the floor is of fewer examples than the value.
    """
    value, floor = found.value, found.floor
    if value is None or floor is None or found.better != "higher" or (found.floor_n or 0) < found.n:
        return False
    error = math.sqrt(max(floor * (1 - floor), 0.01) / found.n) if found.se is None else found.se
    chance = 3 * math.sqrt(2) * error
    return value - floor > BEYOND * abs(floor) + chance
