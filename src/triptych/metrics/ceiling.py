"""What a model in two stages can reach at best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from triptych.core import Comparison, Data, Metric, Quantity, Value, to_bytes
from triptych.metrics.comparison import counted, subset
from triptych.metrics.features.extractor import extract
from triptych.metrics.kernel import kernel_distance
from triptych.models.observed import TwoStages


@dataclass(frozen=True)
class Ceiling(Metric):
    """`ceiling`: the kernel distance from real examples to other real ones after the autoencoder's round trip.

    Samples that are decoded from codes cannot be expected to come closer.
    """

    needs = TwoStages
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "ceiling": Quantity("Kernel distance of the autoencoder's round trip", "lower", rank=61)
    }
    points: int = 2_000
    """examples a side"""
    seed: int = 0

    def applies(self, comparison: Comparison) -> str:
        if not isinstance(comparison.model, TwoStages):
            return "only models in two stages have a ceiling"
        return "" if comparison.extractors.own is not None else "there is no extractor"

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        model, own = comparison.model, comparison.extractors.own
        assert isinstance(model, TwoStages)
        assert own is not None
        left, right = (subset(side, self.points, self.seed) for side in comparison.floor_sides)
        with torch.no_grad():
            again = [to_bytes(model.reconstruct((x.float() / 255).to(model.device))).cpu() for x in right.x.split(256)]
        x, y = extract(own, left)["features"], extract(own, Data("round trips", torch.cat(again)))["features"]
        note = "; ".join(filter(None, ["the autoencoder alone: what samples can reach", own.note]))
        found = comparison.value(kernel_distance(x, y), extractor=own.id, seed=self.seed, dtype=own.dtype, note=note)
        return counted({"ceiling": found}, min(len(left), len(right)))
