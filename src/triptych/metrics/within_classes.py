"""Distances, and precision, recall, density and coverage, within each class, and their means over classes.

A model that makes good pictures of the wrong class, or one picture of each class, may have good numbers as a whole.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from triptych.core import Comparison, Data, Extractor, Metric, Quantity, Space, Value
from triptych.errors import TooFew
from triptych.metrics.frechet import frechet_from_features
from triptych.metrics.kernel import kernel_statistics
from triptych.metrics.neighbours import prdc

LEAST = 10
"""Examples of a class that each side must have for anything to be said of it."""


@dataclass(frozen=True, eq=False)
class PerClass:
    """One number of each class, and of all together."""

    parts: Tensor
    """(classes,) float64; NaN where a class has too few examples"""
    overall: float | None = None
    """of all examples; None: the mean of the classes"""
    errors: Tensor | None = None
    """standard errors of the parts"""


Found = Mapping[str, PerClass]


def counts(labels: Tensor, classes: int) -> Tensor:
    """Examples of each class, (classes,); a negative label is none."""
    return torch.bincount(labels[labels >= 0], minlength=classes)


def by_class(
    f: Callable[[Tensor, Tensor], Mapping[str, float | tuple[float, float]]],
    real: Tensor,
    real_labels: Tensor,
    fake: Tensor,
    fake_labels: Tensor,
    least: int = LEAST,
) -> dict[str, PerClass]:
    """`f(real, fake)` of the examples of each class alone.

    Features (n, d), (m, d) with labels (n,), (m,); f gives a number by name, or one with its standard error. A class
    with fewer than `least` examples on either side has none; TooFew where that is so of all.
    """
    classes = number_of_classes(real_labels, fake_labels)
    enough = (counts(real_labels, classes) >= least) & (counts(fake_labels, classes) >= least)
    if not enough.any():
        raise TooFew(f"no class has {least} examples on each side")
    parts: dict[str, Tensor] = {}
    errors: dict[str, Tensor] = {}
    for k in enough.nonzero().flatten().tolist():
        for name, number in f(real[real_labels == k], fake[fake_labels == k]).items():
            value, error = number if isinstance(number, tuple) else (number, math.nan)
            for table, one in ((parts, value), (errors, error)):
                table.setdefault(name, torch.full((classes,), torch.nan, dtype=torch.float64))[k] = one
    return {name: PerClass(parts[name], errors=errors[name]) for name in parts}


def number_of_classes(*labels: Tensor) -> int:
    return max((int(y.max()) + 1 for y in labels if len(y)), default=0)


def class_name(data: Data, k: int) -> str:
    return data.classes[k] if k < len(data.classes) else str(k)


class WithinClasses(Metric):
    """Abstract base of metrics that need a class of every sample: the one it was made for, or lies in a folder of."""

    def applies(self, comparison: Comparison) -> str:
        real, fake = comparison.real.labels, comparison.fake.labels
        if real is None:
            return "the real examples have no classes"
        if fake is None:
            return "the samples are of no class"
        return "" if number_of_classes(real) > 1 else "there is one class"

    def told(
        self,
        comparison: Comparison,
        extractor: Extractor,
        name: str,
        value: PerClass,
        floor: PerClass | None,
        floor_n: int,
        note: str,
    ) -> Value:
        """One number as a `Value`, with its parts, the worst class and what is too few in the note."""
        real, labels = comparison.real, (comparison.fake.labels, comparison.real.labels)
        classes = number_of_classes(*(y for y in labels if y is not None))
        n, n_real = (counts(y, classes).tolist() for y in labels if y is not None)
        own, beside = resized(value.parts, classes), resized(None if floor is None else floor.parts, classes)
        has, both = ~own.isnan(), ~(own + beside).isnan()
        parts: dict[str, dict[str, Any]] = {}
        for k in range(classes):
            if n[k] or n_real[k]:
                one, other = finite(own[k]), finite(beside[k])
                parts[class_name(real, k)] = {"value": one, "n": n[k], "n_real": n_real[k], "floor": other}
        overall, lower = value.overall, None if floor is None else floor.overall
        told = []
        if overall is None:
            overall = own[has].mean().item() if has.any() else math.nan
            lower = beside[both].mean().item() if both.any() else None
            told.append(f"mean of {int(has.sum())}{'' if has.sum() == len(parts) else f' of {len(parts)}'} classes")
            if 0 < both.sum() < has.sum():
                told.append(f"floor of {int(both.sum())}")
        if short := len(parts) - int(has.sum()):
            told.append(f"too few examples of {short} {'class' if short == 1 else 'classes'}")
        if len(own[has].unique()) > 1:
            worst = worst_class(own, self.quantities[name].sign)
            told.append(f"worst: {class_name(real, worst)} ({own[worst].item():.3g})")
        se = math.nan
        if value.errors is not None and has.any():
            se = resized(value.errors, classes)[has].square().sum().sqrt().item() / int(has.sum())
        made = comparison.value(
            (overall, se),
            extractor=extractor.id,
            resize=extractor.resize,
            dtype=extractor.dtype,
            floor=lower,
            floor_n=floor_n,
            note="; ".join(filter(None, [*told, note])),
            quantity=name,
            variant=extractor.label,
        )
        return replace(made, parts=parts)


class OfClassFeatures(WithinClasses):
    """Abstract base of those that are made once of each extractor's features."""

    @abstractmethod
    def of(self, real: Tensor, real_labels: Tensor, fake: Tensor, fake_labels: Tensor) -> Found:
        """The numbers of each class from features (n, d), (m, d) and labels (n,), (m,) of both sides."""

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for space in comparison.spaces:
            found |= self.measure(comparison, space)
        return found

    def measure(self, comparison: Comparison, space: Space, *, note: str = "") -> dict[str, Value]:
        """Values on one kind of features with their parts by class, beside those between two real sets: the floor.

        Where a number is a mean over classes, value and floor are of the same classes.
        """
        e = space.extractor
        note = "; ".join(filter(None, [note, e.note]))
        floor_sides = comparison.floor_sides
        floors: Found = {}
        with suppress(TooFew):
            a, b = zip((space.floor_a, space.floor_b), floor_sides, strict=True)
            floors = self.of(*of_side(*a), *of_side(*b))
        if bad := comparison.non_finite_samples:
            values: Found = {k: PerClass(torch.full_like(v.parts, torch.nan)) for k, v in floors.items()}
            note = f"{bad} of {len(comparison.fake)} samples are not finite"
        else:
            values = self.of(*of_side(space.real, comparison.real), *of_side(space.fake, comparison.fake))
        n = min(map(len, floor_sides))
        return {e.name(k): self.told(comparison, e, k, v, floors.get(k), n, note) for k, v in values.items()}


def of_side(made: Mapping[str, Tensor], data: Data) -> tuple[Tensor, Tensor]:
    """Features and labels of a side; of no class where the side has none."""
    return made["features"], torch.full((len(data),), -1) if data.labels is None else data.labels


def resized(parts: Tensor | None, classes: int) -> Tensor:
    """Parts of so many classes: one side alone may have no example of the last ones."""
    padding = torch.full((classes,), torch.nan, dtype=torch.float64)
    return padding if parts is None else torch.cat([parts, padding])[:classes]


def finite(value: Tensor) -> float | None:
    return value.item() if bool(value.isfinite()) else None


def worst_class(parts: Tensor, sign: int) -> int:
    """The class of the worst number, where `sign` 1 says that more is better, -1 that less is; NaN is of no class."""
    return int((sign * parts).nan_to_num(math.inf).argmin())


# ------------------------------------------------------------------------------------------- metrics


@dataclass(frozen=True)
class ClassFrechet(OfClassFeatures):
    """`frechet_class_mean`: the Fréchet distance within each class, averaged.

    Source: Miyato and Koyama 2018, section 4 ("intra FID").
    """

    quantities: ClassVar[Mapping[str, Quantity]] = {
        "frechet_class_mean": Quantity(
            "Fréchet distance within classes",
            "lower",
            rank=40,
            features=True,
            about="The Fréchet distance of each class's samples from real examples of it, averaged over classes.",
        )
    }

    def of(self, real: Tensor, real_labels: Tensor, fake: Tensor, fake_labels: Tensor) -> Found:
        return by_class(
            lambda x, y: {"frechet_class_mean": frechet_from_features(x, y)}, real, real_labels, fake, fake_labels
        )

    def measure(self, comparison: Comparison, space: Space, *, note: str = "") -> dict[str, Value]:
        assert comparison.real.labels is not None
        d, classes = space.real["features"].shape[1], number_of_classes(comparison.real.labels)
        n = min(len(comparison.real), len(comparison.fake)) // classes
        if n < d:
            note = f"about {n} examples a class for {d} dimensions: strongly biased"
            name = space.extractor.name
            comparison.warn(f"{name('frechet_class_mean')}: {note}; prefer {name('kernel_class_mean')}")
        return super().measure(comparison, space, note=note)


@dataclass(frozen=True)
class ClassKernel(OfClassFeatures):
    """`kernel_class_mean`: the kernel distance within each class, averaged; unbiased however few examples there are."""

    quantities: ClassVar[Mapping[str, Quantity]] = {
        "kernel_class_mean": Quantity(
            "Kernel distance within classes",
            "lower",
            rank=41,
            features=True,
            about="The kernel distance of each class's samples from real examples of it, averaged over classes.",
        )
    }

    def of(self, real: Tensor, real_labels: Tensor, fake: Tensor, fake_labels: Tensor) -> Found:
        return by_class(
            lambda x, y: {"kernel_class_mean": kernel_statistics(x, y)}, real, real_labels, fake, fake_labels
        )


@dataclass(frozen=True)
class ClassNeighbours(OfClassFeatures):
    """Precision, recall, density and coverage of each class by itself, averaged over classes."""

    quantities: ClassVar[Mapping[str, Quantity]] = {
        "precision_class_mean": Quantity(
            "Precision within classes",
            "higher",
            rank=42,
            features=True,
            companion="recall_class_mean",
            about="Share of a class's samples that lie among real examples of it, averaged over classes.",
        ),
        "recall_class_mean": Quantity(
            "Recall within classes",
            "higher",
            rank=43,
            features=True,
            about="Share of a class's real examples that lie among its samples, averaged over classes.",
        ),
        "density_class_mean": Quantity(
            "Density within classes",
            "higher",
            rank=44,
            features=True,
            companion="coverage_class_mean",
            about="How many neighbourhoods of its class's real examples a sample lies in, averaged over classes.",
        ),
        "coverage_class_mean": Quantity(
            "Coverage within classes",
            "higher",
            rank=45,
            features=True,
            about="Share of a class's real examples with a sample of it in their neighbourhood, averaged over classes.",
        ),
    }
    k: int = 5
    """neighbours that a ball reaches to"""

    def of(self, real: Tensor, real_labels: Tensor, fake: Tensor, fake_labels: Tensor) -> Found:
        def four(x: Tensor, y: Tensor) -> dict[str, float]:
            return {f"{name}_class_mean": value for name, value in prdc(x, y, self.k).items()}

        return by_class(four, real, real_labels, fake, fake_labels, max(LEAST, self.k + 1))
