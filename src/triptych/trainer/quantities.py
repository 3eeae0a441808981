"""What the numbers of a training's log are."""

from __future__ import annotations

from triptych.core import Objective, Quantity
from triptych.evaluate import while_training

OWN = {
    "grad_norm": Quantity("Norm of the gradient before clipping", neither="it shows where clipping sets in"),
    "codes_nll": Quantity(
        "Negative log-likelihood of held-out codes",
        neither="each encoder has codes of its own, in units of its own",
        unit="nats",
    ),
    "codes_seconds": Quantity("Time to fit the density of codes", neither="it is a cost", unit="s"),
    "codes_few": Quantity(
        "Classes with too few codes for a shape of their own", neither="it says how a density of codes was fitted"
    ),
}
"""Logged by the loop itself, and by the second stage of a model that has one."""


def logged(objective: Objective) -> dict[str, Quantity]:
    """What may stand in the log of a run with this objective: the loop's own, the metrics', the objective's."""
    return OWN | while_training.quantities() | dict(objective.quantities)
