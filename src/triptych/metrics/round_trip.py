"""How exactly a flow inverts itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from triptych.core import Comparison, Metric, Quantity, Value, to_inner
from triptych.metrics.comparison import counted, subset
from triptych.models.families import FlowModel


@dataclass(frozen=True)
class RoundTrip(Metric):
    """`round_trip`: the largest |f⁻¹(f(x)) − x| over held-out examples, in inner units (pictures: [−1, 1])."""

    needs = FlowModel
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "round_trip": Quantity(
            "Error of inversion", "lower", rank=60, about="The largest error of a flow's inverse applied to the flow."
        )
    }
    points: int = 1_000
    """held-out examples"""
    seed: int = 0

    def applies(self, comparison: Comparison) -> str:
        return "" if isinstance(comparison.model, FlowModel) else "only flows are inverted exactly"

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        model, real = comparison.model, subset(comparison.real, self.points, self.seed)
        assert isinstance(model, FlowModel)
        worst = []
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(self.seed)
            for part in real.x.split(256):
                x, _ = model.dequantise(to_inner(part).to(model.device))
                worst.append((model.flow.inverse(model.flow(x)[0]) - x).abs().max())
        found = comparison.value(
            torch.stack(worst).max().item(), seed=self.seed, note="largest |f⁻¹(f(x)) − x|, float32"
        )
        return counted({"round_trip": found}, len(real))
