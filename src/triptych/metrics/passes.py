"""What a sample costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from triptych.core import Comparison, Metric, Quantity, Sampler, Value


@dataclass(frozen=True)
class Passes(Metric):
    """`passes`: how often an example goes through the networks to be made; quality counts at equal passes."""

    quantities: ClassVar[Mapping[str, Quantity]] = {
        "passes": Quantity("Network passes per sample", neither="it is the price of a sample, not its quality", rank=70)
    }

    def applies(self, comparison: Comparison) -> str:
        return "" if isinstance(comparison.model, Sampler) else "there is no model, only samples"

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        assert comparison.model is not None
        return {"passes": comparison.value(comparison.model.cost.sample)}
