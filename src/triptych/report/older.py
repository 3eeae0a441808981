"""What the numbers are of runs that were made before runs said so themselves.

The metrics' own declarations stand in. What an objective of that time logged has no direction: nothing here knows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from triptych.core import Quantity
from triptych.metrics.declared import quantity

RATE = Quantity("KL(posterior ‖ prior)", neither="it is what the codes say about an example", unit="nats")


def renamed(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Lines of a log whose `kl` was both an autoencoder's rate and, of flows, the distance of the model to the data."""
    return [
        {"kl_data" if k == "kl" and "recon" not in line else k: v for k, v in line.items()} if "kl" in line else line
        for line in lines
    ]


def logged(lines: Sequence[Mapping[str, Any]]) -> dict[str, Quantity]:
    """What stands in renamed lines."""
    return {k: RATE if k == "kl" else quantity(k) for line in lines for k in line}
