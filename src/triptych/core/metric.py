"""Metrics, and values that say what they are."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import Tensor

from triptych.core import controls
from triptych.core.data import Data
from triptych.core.features import Classifier, Extractor, Extractors, Space
from triptych.core.model import Model, Sampler
from triptych.core.objective import Objective
from triptych.core.quantity import Better, Quantity
from triptych.errors import UserError

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
    controls: Mapping[str, Any] | None = None
    """the same metric of real pictures that were spoilt: see `triptych.core.controls`"""
    beyond: str = ""
    """where it is clearly better than its floor: what that usually comes from"""
    quantity: str = ""
    """which of its metric's declared quantities it is; empty: the one of its own name"""
    variant: str = ""
    """which one of these it is: of which features, by which bound, of which checkpoint"""
    title: str = ""
    """from here on what the metric declares of it, as `Quantity` has it"""
    better: Better = ""
    neither: str = ""
    unit: str = ""
    comparable: str = ""
    rank: int = 50
    companion: str = ""


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
        """The extractor of the set that is a classifier."""
        ...

    @property
    def spaces(self) -> tuple[Space, ...]:
        """Features of both sides and of the floor's, one space an extractor. Vectors are their own."""
        ...

    @property
    def floor_sides(self) -> tuple[Data, Data]:
        """Two sets of real examples with none in common, as large as `real` and `fake` where that can be."""
        ...

    def sides(self, extractor: Extractor) -> tuple[Tensor, Tensor]:
        """Features (n, d), (m, d) of the two sides alone, for what is cheap."""
        ...

    def number(self, name: str, f: Callable[..., float], *args: Tensor) -> dict[str, float]:
        """`f(*args)` under that name; nothing, and a warning by it, where there are too few examples."""
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
        controlled: bool = False,
    ) -> dict[str, Value]:
        """`f(real, fake)` on one kind of features (n, d), (m, d), beside `f` on two real sets: the floor.

        `controlled`: also on real pictures that were spoilt, the negative controls.
        """
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
        quantity: str = "",
        variant: str = "",
    ) -> Value:
        """A `Value` that carries the counts and the reference; what is not finite is None: not defined."""
        ...


class Metric(ABC):
    """Abstract base of the frozen dataclasses in `metrics/`."""

    needs: ClassVar[type] = Sampler
    """Capability a model must have."""
    quantities: ClassVar[Mapping[str, Quantity]] = {}
    """What it makes, by name. Of a number whose name depends on the features (`coverage_inception`) the name before
    that is enough; where the variant has a name of its own among people (`fid`), that may be declared too."""

    @abstractmethod
    def applies(self, comparison: Comparison) -> str:
        """Empty when the metric is defined for this comparison, else the reason why not."""

    @abstractmethod
    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        """Named numbers."""

    def evaluated(self, comparison: Comparison) -> dict[str, Value]:
        """Named numbers, each with what is declared of it: what evaluations run.

        One that is better than real examples are is named in a warning, with the usual cause.
        """
        found = described(self(comparison), self.quantities)
        for name, value in found.items():
            cause = (self.quantities.get(name) or self.quantities[value.quantity]).beyond
            if cause and controls.beyond(value):
                found[name] = dataclasses.replace(value, beyond=cause)
                comparison.warn(f"{name} {controls.told(value.value, value.floor, cause)}")
        return found

    def along(self, comparison: Comparison) -> dict[str, float]:
        """Numbers for a line of the log while training: cheap ones, without floors. Default: none.

        Each is declared with the data it is `logged` on. What takes more examples than there are is left out, by
        `Comparison.number`.
        """
        return {}


def described(values: Mapping[str, Value], quantities: Mapping[str, Quantity]) -> dict[str, Value]:
    """Values with what is declared of them; UserError for one of which nothing is."""
    found = {}
    for name, value in values.items():
        # a name that people know needs no variant behind it: fid, not fid of Inception's features
        known = quantities.get(name)
        if known is None:
            if value.quantity not in quantities:
                raise UserError(f"{name!r} is not declared; add it to the `quantities` of its metric")
            known = quantities[value.quantity].as_variant(value.variant)
        elif value.quantity not in ("", name) and value.quantity not in quantities:
            raise UserError(f"{value.quantity!r} is not declared; add it to the `quantities` of its metric")
        base = value.quantity or name
        fields = known.told() | {"companion": known.companion and name.replace(base, known.companion, 1)}
        beside = controls.judged(value.controls, known.sign)
        found[name] = dataclasses.replace(value, quantity=base, controls=beside, **fields)
    return found
