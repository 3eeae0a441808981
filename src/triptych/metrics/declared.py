"""What is known of a number by its name alone."""

from __future__ import annotations

from functools import cache

from triptych.core import Metric, Quantity, discover
from triptych.core.quantity import undeclared


@cache
def declared() -> dict[str, Quantity]:
    """What the metrics make, by name."""
    return {k: q for metric in discover("metrics", Metric).values() for k, q in metric.quantities.items()}


def quantity(name: str) -> Quantity:
    """Of a value in eval.json or a number of the log: the declared one, or that of which the name is a variant."""
    if name in declared():
        return declared()[name]
    words = name.split("_")
    for n in range(len(words) - 1, 0, -1):
        if (known := declared().get("_".join(words[:n]))) is not None:
            variant = " ".join(words[n:])
            return known.as_variant("offline-v1" if variant == "v1" else variant)
    return undeclared(name)
