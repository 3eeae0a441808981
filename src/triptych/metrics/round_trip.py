"""How exactly a flow inverts itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from triptych.core import Comparison, Density, Encoder, Metric, Quantity, Value
from triptych.core.model import Model, Stepwise
from triptych.metrics.comparison import counted, subset


def steps_of(model: Model) -> str:
    """How a model in steps makes its examples, in words; empty for others."""
    if not isinstance(model, Stepwise):
        return ""
    return f"; {model.solver}" + ("" if model.solver == "dopri5" else f", {model.steps} steps")


@dataclass(frozen=True)
class RoundTrip(Metric):
    """`round_trip`: the largest |f⁻¹(f(x)) − x| over held-out examples, in inner units (pictures: [−1, 1])."""

    needs = Density
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "round_trip": Quantity(
            "Error of inversion", "lower", rank=60, about="The largest error of a flow's inverse applied to the flow."
        )
    }
    points: int = 1_000
    """held-out examples"""
    seed: int = 0

    def applies(self, comparison: Comparison) -> str:
        return "" if isinstance(comparison.model, Encoder) else "only flows are inverted exactly"

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        model, real = comparison.model, subset(comparison.real, self.points, self.seed)
        assert isinstance(model, Encoder)
        worst = []
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(self.seed)
            for part in real.x.split(256):
                if real.is_images:
                    part = (part + torch.rand(part.shape).clamp_max(1 - 2**-16)) / 256
                x = part.to(model.device)
                error = (model.decode(model.encode(x)) - x).abs().max()
                worst.append(2 * error if real.is_images else error)
        found = comparison.value(
            torch.stack(worst).max().item(), seed=self.seed, note=f"largest |f⁻¹(f(x)) − x|, float32{steps_of(model)}"
        )
        return counted({"round_trip": found}, len(real))
