"""Metrics, and values that say what they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from triptych.core.model import Sampler


@dataclass(frozen=True)
class Value:
    """One number and what it takes to trust it. `eval.json` stores exactly these fields."""

    value: float | None
    """None: not defined, `note` says why"""
    n: int
    """generated examples"""
    n_real: int | None = None
    """real examples"""
    reference: str = ""
    """the real side: name, split and fingerprint"""
    extractor: str | None = None
    resize: str | None = None
    seed: int | None = None
    dtype: str = "float64"
    floor: float | None = None
    """the same metric between two independent sets of real examples"""
    floor_n: int | None = None
    """real examples on the smaller side of the floor: n, unless there are too few"""
    se: float | None = None
    """standard error where the estimator has one"""
    how: str = ""
    """what was unlike a plain evaluation of a run: the best checkpoint's weights, statistics of batches"""
    note: str = ""
    card: Mapping[str, Any] | None = None
    """of a likelihood: what it is a likelihood of"""


class Metric(ABC):
    """Abstract base of the frozen dataclasses in `metrics/`.

    A metric is called with a `triptych.metrics.comparison.Case`, which makes samples and features once for all metrics.
    """

    needs: ClassVar[type] = Sampler
    """Capability a model must have."""

    @abstractmethod
    def applies(self, case: Any) -> str:
        """Empty when the metric is defined for this case, else the reason why not."""

    @abstractmethod
    def __call__(self, case: Any) -> dict[str, Value]:
        """Named numbers."""
