"""What the numbers are of runs that were made before runs said so themselves.

The metrics' own declarations stand in. What an objective of that time logged has no direction: nothing here knows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from triptych.core import Quantity
from triptych.metrics.declared import declared, quantity

RATE = Quantity("KL(posterior ‖ prior)", neither="it is what the codes say about an example", unit="nats")


def is_of_features(name: str) -> bool:
    """Whether a number is made of an extractor's features."""
    return name in declared() and declared()[name].features


def of_features(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Values of eval.json under today's names: from the classifier or autoencoder of a set, which is offline-v1 today,
    comes `frechet_v1`, not `frechet`."""
    found: dict[str, Mapping[str, Any]] = {}
    for name, value in values.items():
        if is_of_features(name) and str(value.get("extractor")).startswith(("classifier:", "autoencoder:")):
            found[f"{name}_v1"] = {**value, **quantity(f"{name}_v1").told()}
        else:
            found[name] = value
    return found


def of_features_along(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line of the log of a run on images that was begun when there was no other extractor, likewise."""
    return {f"{k}_v1" if is_of_features(k) else k: v for k, v in line.items()}


def renamed(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Lines of a log whose `kl` was both an autoencoder's rate and, of flows, the distance of the model to the data."""
    return [
        {"kl_data" if k == "kl" and "recon" not in line else k: v for k, v in line.items()} if "kl" in line else line
        for line in lines
    ]


def logged(lines: Sequence[Mapping[str, Any]]) -> dict[str, Quantity]:
    """What stands in renamed lines."""
    return {k: RATE if k == "kl" else quantity(k) for line in lines for k in line}
