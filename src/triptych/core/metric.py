"""Metrics, and values that say what they are."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from triptych.core import controls
from triptych.core.checks import not_finite
from triptych.core.data import Data
from triptych.core.features import Classifier, Extractor, Extractors, Space
from triptych.core.model import Model, Sampler
from triptych.core.objective import Objective
from triptych.core.quantity import Axis, Better, Quantity
from triptych.core.remembered import of_real
from triptych.errors import TooFew, UserError

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
    parts: Mapping[str, Mapping[str, Any]] | None = None
    """the same number within each class, by its name: `value` (None: too few examples), `n`, `n_real`, `floor`"""
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
    average: bool = False
    axis: Axis = ""
    rank: int = 50
    companion: str = ""


def real_side(reference: str) -> str:
    """What two values must share of a reference: the set.

    That of a known distribution ends in the count and seed of fresh points (`2500:1:...`), which need not agree.
    """
    head, _, mark = reference.rpartition(" ")
    return head if ":" in mark else reference


@dataclass(frozen=True, eq=False)
class Comparison(ABC):
    """What a metric is called with: two sides of examples, complete, and their features, made once for all metrics.

    `triptych.metrics.comparison.Comparison` is the one that evaluation builds.
    """

    real: Data
    """the reference"""
    fake: Data
    """the samples: uint8 images like `real`, or vectors, which may hold numbers that are not finite: they are counted,
    and metrics of features are then not defined"""
    _: KW_ONLY
    model: Model | None = None
    objective: Objective | None = None
    """what the model was trained with: the likelihood of a VAE"""
    train: Data | None = None
    """what the model was trained on"""
    seed: int = 0
    extractors: Extractors = field(default_factory=Extractors)
    """of images"""
    warnings: list[str] = field(default_factory=list, init=False)
    """what a reader should be told beside the numbers"""

    def __post_init__(self) -> None:
        for name, data in (("real", self.real), ("generated", self.fake)):
            if not len(data):
                raise UserError(f"the {name} side {data.name!r} has no examples; give some")
        if self.real.shape != self.fake.shape or self.real.is_images != self.fake.is_images:
            if self.real.is_images != self.fake.is_images:
                one, other = (self.real, self.fake) if self.real.is_images else (self.fake, self.real)
                raise UserError(f"{one.name} holds pictures and {other.name} vectors; give two sets of one kind")
            raise UserError(
                f"real examples have shape {self.real.shape}, generated ones {self.fake.shape}; prepare both alike "
                "(--resolution, --channels)"
            )
        if self.fake is not self.real and self.sides_identical:
            self.warn("the two sides are the same examples: distances are 0 by construction")
        for name, data in (("real", self.real), ("generated", self.fake)):
            if len(data) > 1 and bool((data.x[1:] == data.x[:1]).all()):
                self.warn(f"all {len(data)} {name} examples are the same")

    @property
    @abstractmethod
    def classifier(self) -> Classifier | None:
        """The extractor of the set that is a classifier."""

    @property
    @abstractmethod
    def spaces(self) -> tuple[Space, ...]:
        """Features of both sides and of the floor's, one space an extractor. Vectors are their own."""

    @property
    @abstractmethod
    def floor_sides(self) -> tuple[Data, Data]:
        """Two sets of real examples with none in common, as large as `real` and `fake` where that can be."""

    @abstractmethod
    def codes(self, points: int, seed: int) -> tuple[Data, Tensor]:
        """At most so many of the real examples, and their codes (n, latent) by the model, an encoder; on the CPU."""

    @abstractmethod
    def sides(self, extractor: Extractor) -> tuple[Tensor, Tensor]:
        """Features (n, d), (m, d) of the two sides alone, for what is cheap."""

    def warn(self, text: str) -> None:
        """Tell the person something beside the numbers, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    @property
    def is_images(self) -> bool:
        return self.real.is_images

    @cached_property
    def sides_identical(self) -> bool:
        return len(self.real) == len(self.fake) and bool(torch.equal(self.real.x, self.fake.x))

    @cached_property
    def non_finite_samples(self) -> int:
        """Samples with NaN or infinite numbers."""
        return 0 if self.is_images else not_finite(self.fake.x)

    @property
    def reference(self) -> str:
        """Name, split and fingerprint; behind a slash which part of it, where it is one."""
        fingerprint = "/".join(part[:12] for part in self.real.fingerprint.split("/"))
        return " ".join(filter(None, [self.real.name, self.real.split, fingerprint]))

    def number(self, name: str, f: Callable[..., float], *args: Tensor) -> dict[str, float]:
        """`f(*args)` under that name; nothing, and a warning by it, where there are too few examples."""
        try:
            return {name: f(*args)}
        except TooFew as why:
            self.warn(f"{name} is left out: {why}")
            return {}

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
        """`f(real, fake)` on one kind of features, beside `f` on two real sets: the floor.

        Of an f that is a method of the metric the floor is made once for all runs that a process evaluates.

        Where `f` has too few examples the value is None and the note says so; `TooFew` where not even the floor's
        sets tell what the values would be called. `controlled`: also on the negative controls, as `controls_of` has it.
        """
        e = space.extractor
        note = "; ".join(filter(None, [note, e.note]))
        floors: Mapping[str, Number]
        try:
            floors = of_real(f, space.floor_a[of], space.floor_b[of])
        except TooFew:
            floors = {}
        if bad := self.non_finite_samples:
            values, note = dict.fromkeys(floors, math.nan), f"{bad} of {len(self.fake)} samples are not finite"
        else:
            try:
                values = f(space.real[of], space.fake[of])
            except TooFew as error:
                if not floors:
                    raise
                values, note = dict.fromkeys(floors, math.nan), str(error)
        floor_n = min(len(d) for d in self.floor_sides)
        beside = self.controls_of(f, space) if controlled and not bad else {}
        return {
            e.name(name): self.value(
                number,
                extractor=e.id,
                resize=e.resize,
                dtype=dtype or e.dtype,
                seed=seed,
                floor=first(floors[name]) if name in floors else None,
                floor_n=floor_n if name in floors else None,
                note=note,
                quantity=name,
                variant=e.label,
                controls=beside.get(name),
            )
            for name, number in values.items()
        }

    def controls_of(
        self, f: Callable[[Tensor, Tensor], Mapping[str, Number]], space: Space
    ) -> Mapping[str, Mapping[str, Any]]:
        """`f` of every negative control, by the names of its values; see `triptych.core.controls`. Default: none."""
        return {}

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
        controls: Mapping[str, Any] | None = None,
    ) -> Value:
        """A `Value` that carries the counts and the reference; what is not finite is None: not defined."""
        value, se = number if isinstance(number, tuple) else (number, None)
        if not math.isfinite(value) and not note:
            note = f"not defined: it came out as {value}"
        if floor is not None and not math.isfinite(floor):
            floor = None
        return Value(
            value=value if math.isfinite(value) else None,
            n=len(self.fake),
            n_real=len(self.real),
            reference=self.reference,
            extractor=extractor,
            resize=resize,
            seed=seed,
            dtype=dtype,
            floor=floor,
            floor_n=None if floor is None else floor_n,
            se=se if se is not None and math.isfinite(se) else None,
            note=note,
            quantity=quantity,
            variant=variant,
            controls=controls,
        )


def first(number: Number) -> float:
    return number[0] if isinstance(number, tuple) else number


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
        found = described(self(comparison), self.quantities, type(self).__name__)
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


def described(
    values: Mapping[str, Value], quantities: Mapping[str, Quantity], metric: str = "its metric"
) -> dict[str, Value]:
    """Values with what is declared of them; TypeError for one of which nothing is, and for what is no value."""
    if not isinstance(values, Mapping):
        raise TypeError(f"it returns {type(values).__name__}; return a mapping from names to values")
    found = {}
    for name, value in values.items():
        if not isinstance(value, Value):
            raise TypeError(f"it returns {type(value).__name__} as {name!r}; return comparison.value(number)")
        # a name that people know needs no variant behind it: fid, not fid of Inception's features
        known = quantities.get(name)
        if known is None:
            if value.quantity not in quantities:
                raise TypeError(f"{name!r} is not declared; add it to the `quantities` of {metric}")
            known = quantities[value.quantity].as_variant(value.variant)
        elif value.quantity not in ("", name) and value.quantity not in quantities:
            raise TypeError(f"{value.quantity!r} is not declared; add it to the `quantities` of {metric}")
        base = value.quantity or name
        fields = known.told() | {"companion": known.companion and name.replace(base, known.companion, 1)}
        beside = controls.judged(value.controls, known.sign)
        found[name] = dataclasses.replace(value, quantity=base, controls=beside, **fields)
    return found


def standard_error(x: Tensor) -> float:
    """Of the mean of numbers (n,); NaN of fewer than two."""
    return (x.double().std() / len(x) ** 0.5).item() if len(x) > 1 else math.nan
