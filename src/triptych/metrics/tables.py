"""Typed tables: are the columns of the samples distributed as the real ones, alone and two by two?"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from triptych.core import Comparison, Data, Metric, Quantity, Value
from triptych.core.columns import Columns
from triptych.core.features import Space
from triptych.core.marginals import PAIRED, associations, marginals, pairs
from triptych.metrics.comparison import mixed, subset
from triptych.metrics.features.extractor import Identity


@dataclass(frozen=True)
class TypedColumns(Metric):
    """Rows as they are written, in the types of the table: marginals, pairs, and how columns go together.

    `marginal_distance` is the mean over columns of the total variation of categories and of Kolmogorov and Smirnov's
    distance of numbers and dates, with missing cells as a value of their own; `pair_distance` the mean over pairs of
    the total variation of their contingency tables (numbers in eight bins of equal real shares);
    `association_distance` the mean difference of Spearman's correlation, the correlation ratio or Cramér's V.
    """

    quantities: ClassVar[Mapping[str, Quantity]] = {
        "marginal_distance": Quantity(
            "Distance of marginals",
            "lower",
            axis="distance",
            rank=22,
            logged="vectors",
            about="How far single columns of the samples are from the real ones, averaged: 0 is the same, 1 disjoint.",
        ),
        "marginal_worst": Quantity("Distance of marginals, worst column", "lower", rank=23),
        "pair_distance": Quantity(
            "Distance of pairs of columns",
            "lower",
            axis="distance",
            rank=24,
            logged="vectors",
            about="How far the tables of two columns at a time are from the real ones, averaged.",
        ),
        "pair_worst": Quantity("Distance of pairs of columns, worst pair", "lower", rank=25),
        "association_distance": Quantity(
            "Difference of associations",
            "lower",
            rank=26,
            about="How much weaker, stronger or other the columns go together than in the real table.",
        ),
    }
    points: int = 10_000
    """rows a side"""
    logged: int = 2_000
    """rows a side on the way"""

    def applies(self, comparison: Comparison) -> str:
        return "" if typed_of(comparison) is not None else "the examples are no rows of a typed table"

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        columns = typed_of(comparison)
        assert columns is not None
        sides = [subset(d, self.points, comparison.seed) for d in self.sides(comparison)]
        space = Space(Identity("rows"), *({"features": d.x} for d in sides))
        found = comparison.measure(lambda x, y: distances(columns, x, y), space, dtype="float64")
        if comparison.non_finite_samples:
            return found
        worst = named(columns, sides[0].x, sides[1].x)
        return {k: dataclasses.replace(v, note=worst.get(k, v.note)) for k, v in found.items()}

    def sides(self, comparison: Comparison) -> tuple[Data, Data, Data, Data]:
        return (comparison.real, comparison.fake, *comparison.floor_sides)

    def along(self, comparison: Comparison) -> dict[str, float]:
        columns = typed_of(comparison)
        if columns is None:
            return {}
        found = distances(
            columns, mixed(comparison.real, self.logged).x[: self.logged], comparison.fake.x[: self.logged]
        )
        return {k: v for k, v in found.items() if self.quantities[k].logged}


def typed_of(comparison: Comparison) -> Columns | None:
    """The columns, where any of them varies."""
    typed = comparison.real.typed
    return typed if typed is not None and typed.width else None


def distances(columns: Columns, x: Tensor, y: Tensor) -> dict[str, float]:
    """Every number of `TypedColumns`, of vectors (n, d) and (m, d)."""
    real, fake = columns.decode(x), columns.decode(y)
    alone, both = list(marginals(columns, real, fake).values()), list(pairs(columns, real, fake).values())
    found = {"marginal_distance": sum(alone) / len(alone), "marginal_worst": max(alone)}
    if both:
        a, b = associations(columns, real), associations(columns, fake)
        apart = [abs(a[k] - b[k]) for k in a]
        found |= {"pair_distance": sum(both) / len(both), "pair_worst": max(both)}
        found |= {"association_distance": sum(apart) / len(apart)}
    return found


def named(columns: Columns, x: Tensor, y: Tensor) -> dict[str, str]:
    """Which column and which pair are the worst."""
    real, fake = columns.decode(x), columns.decode(y)
    alone, both = marginals(columns, real, fake), pairs(columns, real, fake)
    told = {"marginal_worst": f"of {max(alone, key=lambda k: alone[k])}"}
    if both:
        i, j = max(both, key=lambda k: both[k])
        told["pair_worst"] = f"of {columns.names[i]} and {columns.names[j]}"
        a, b = associations(columns, real), associations(columns, fake)
        i, j = max(a, key=lambda k: abs(a[k] - b[k]))
        told["association_distance"] = (
            f"most between {columns.names[i]} and {columns.names[j]}: {b[i, j]:.2f}, really {a[i, j]:.2f}"
        )
        if sum(column.width > 0 for column in columns.all) > PAIRED:
            told["pair_distance"] = f"of the first {PAIRED} columns"
    return told
