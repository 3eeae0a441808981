"""What a number is: its name for people, which direction is better, its unit, and where it may be compared.

Whoever makes a number declares it once, in a class attribute `quantities` of the metric or objective. From there it
goes with the number: into `eval.json` beside every value, and into `env.json` for the lines of the log. Whoever shows,
ranks or judges numbers asks the quantity.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

Better = Literal["lower", "higher", ""]
Axis = Literal["distance", "fidelity", "coverage", "likelihood", "codes", "cost", ""]
AXES: dict[str, str] = {
    "distance": "samples as a whole are like the data",
    "fidelity": "each sample could be of the data",
    "coverage": "every part of the data is among the samples",
    "likelihood": "held-out examples are likely",
    "codes": "codes say what is in an example",
    "cost": "training is short",
}
"""What a contrast is about: the question of each axis. `report.axes` makes one statement of each."""

BOOKKEEPING = ("images", "step", "seconds", "evaluating")
"""Fields of every line of a log that say when and how long; no quantities."""


class Undefined(float):
    """NaN in place of a number, with the reason why there is none."""

    why: str

    def __new__(cls, why: str) -> Undefined:
        made = super().__new__(cls, math.nan)
        made.why = why
        return made


@dataclass(frozen=True)
class Quantity:
    """What one named number is. TypeError for one with neither a direction nor the reason why it has none."""

    title: str
    """for people, beginning with a capital"""
    better: Better = ""
    """which direction is better; empty where neither is, and then `neither` says why"""
    _: KW_ONLY
    neither: str = ""
    """why neither direction is better, in words"""
    unit: str = ""
    """nats, bits, of 1,000; empty for a pure number"""
    comparable: str = ""
    """what two models must share, beside data and evaluator, for their numbers to be compared"""
    average: bool = False
    """whether it is a mean over examples or draws, whose expectation does not depend on how many there are: two values
    are compared although these numbers differ"""
    variant: str = ""
    """which one, where a metric makes several of one quantity: of which features, by which bound"""
    axis: Axis = ""
    """the axis of a contrast on which it is a witness; empty where it is on none"""
    rank: int = 50
    """place in tables and on the progress bar, the smallest first"""
    live: bool = False
    """shown on the progress bar while training"""
    about: str = ""
    """what it is, in a sentence for the report; empty where the title says it"""
    companion: str = ""
    """name of the quantity without which it is never shown: each alone is easily fooled"""
    beyond: str = ""
    """the usual cause of a value clearly better than the floor, in words; empty where that says nothing"""
    features: bool = False
    """whether it is made once of each extractor's features, and its name tells of which"""
    logged: Literal["", "vectors", "images"] = ""
    """of a metric: the data on which a training logs it on the way (`Metric.along`)"""

    def __post_init__(self) -> None:
        if self.axis and self.axis not in AXES:
            raise TypeError(f"{self.title!r}: axis is {self.axis!r}; it must be one of {', '.join(AXES)}, or empty")
        if self.better not in ("lower", "higher", ""):
            raise TypeError(f"{self.title!r}: better is {self.better!r}; it must be 'lower', 'higher' or ''")
        if bool(self.better) == bool(self.neither):
            raise TypeError(f"{self.title!r}: give `better`, or in `neither` the reason why it has no direction")

    @property
    def name(self) -> str:
        """For people, with variant and unit: `Negative log-likelihood, ELBO (nats)`."""
        text = f"{self.title}, {self.variant}" if self.variant else self.title
        return f"{text} ({self.unit})" if self.unit else text

    @property
    def sign(self) -> int:
        """-1 where lower is better, 1 where higher is, 0 where neither is."""
        return {"lower": -1, "higher": 1, "": 0}[self.better]

    @property
    def arrow(self) -> str:
        return {"lower": "↓", "higher": "↑", "": ""}[self.better]

    def told(self) -> dict[str, Any]:
        """As the JSON files of a run have it."""
        return {k: getattr(self, k) for k in TOLD}

    def as_variant(self, variant: str) -> Quantity:
        return dataclasses.replace(self, variant=", ".join(filter(None, [self.variant, variant])))


TOLD = ("title", "better", "neither", "unit", "comparable", "average", "variant", "axis", "rank", "companion")
"""Fields of a quantity that go into files."""


def read_back(told: Mapping[str, Any]) -> Quantity:
    """The quantity that `Quantity.told` wrote; where somebody left both reasons out, neither direction is better."""
    fields = {k: told[k] for k in TOLD if k in told}
    if fields.get("better"):
        fields["neither"] = ""
    elif not fields.get("neither"):
        fields["neither"] = "it was not declared"
    return Quantity(**fields)


def undeclared(name: str) -> Quantity:
    """A number of which only the name is known."""
    text = name.replace("_", " ").replace("-", " ")
    return Quantity(text[:1].upper() + text[1:], neither="it was not declared", rank=1_000)


def live(quantities: Mapping[str, Quantity]) -> list[str]:
    """Names of what the progress bar shows, the most telling first."""
    return sorted((k for k in quantities if quantities[k].live), key=lambda k: quantities[k].rank)
