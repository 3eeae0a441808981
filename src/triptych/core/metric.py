"""Metrics, and values that say what they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import Tensor

from triptych.core.data import Data
from triptych.core.features import Classifier, Extractors, Space
from triptych.core.model import Model, Sampler
from triptych.core.objective import Objective

Number = float | tuple[float, float]
"""A value, or a value and its standard error."""


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


class Comparison(Protocol):
    """What a metric is called with: two sides of examples, complete, and their features, made once for all metrics.

    `triptych.metrics.comparison.Comparison` is the one that evaluation builds.
    """

    @property
    def real(self) -> Data:
        """The reference."""
        ...

    @property
    def fake(self) -> Data:
        """The samples: uint8 images like `real`, or vectors, which may hold numbers that are not finite."""
        ...

    @property
    def train(self) -> Data | None:
        """What the model was trained on."""
        ...

    @property
    def model(self) -> Model | None: ...
    @property
    def objective(self) -> Objective | None:
        """What the model was trained with: the likelihood of a VAE."""
        ...

    @property
    def seed(self) -> int: ...
    @property
    def is_images(self) -> bool: ...
    @property
    def extractors(self) -> Extractors: ...
    @property
    def classifier(self) -> Classifier | None:
        """The set's own extractor, where it is a classifier."""
        ...

    @property
    def spaces(self) -> tuple[Space, ...]:
        """Features of both sides and of the floor's, one space an extractor. Vectors are their own."""
        ...

    @property
    def floor_sides(self) -> tuple[Data, Data]:
        """Two sets of real examples with none in common, as large as `real` and `fake` where that can be."""
        ...

    def warn(self, text: str) -> None:
        """Tell the person something beside the numbers, once."""

    def measure(
        self,
        f: Callable[[Tensor, Tensor], Mapping[str, Number]],
        space: Space,
        *,
        of: str = "features",
        seed: int | None = None,
        dtype: str | None = None,
        note: str = "",
    ) -> dict[str, Value]:
        """`f(real, fake)` on one kind of features (n, d), (m, d), beside `f` on two real sets: the floor."""
        ...

    def value(
        self,
        number: Number,
        *,
        extractor: str | None = None,
        resize: str | None = None,
        dtype: str = "float64",
        seed: int | None = None,
        floor: float | None = None,
        floor_n: int | None = None,
        note: str = "",
    ) -> Value:
        """A `Value` that carries the counts and the reference; what is not finite is None: not defined."""
        ...


class Metric(ABC):
    """Abstract base of the frozen dataclasses in `metrics/`."""

    needs: ClassVar[type] = Sampler
    """Capability a model must have."""

    @abstractmethod
    def applies(self, comparison: Comparison) -> str:
        """Empty when the metric is defined for this comparison, else the reason why not."""

    @abstractmethod
    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        """Named numbers."""
