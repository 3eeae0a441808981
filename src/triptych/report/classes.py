"""Numbers of each class: a table for each metric that has them, and who is worst at what, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from triptych.core import Quantity
from triptych.core.statistics import estimate, format_number
from triptych.report.entries import number
from triptych.report.matrix import Cell, shade
from triptych.report.table import Table
from triptych.report.wording import listed

SHOWN = 40
"""Classes of a table; the CSV has all."""


@dataclass(frozen=True)
class Class:
    """One class of one metric."""

    name: str
    n: str
    """samples of it"""
    floor: str
    cells: tuple[Cell, ...]
    """of each recipe"""


@dataclass(frozen=True)
class Metric:
    """One metric within each class, the worst class first."""

    quantity: Quantity
    rows: tuple[Class, ...]
    more: int
    """classes that are not shown"""


@dataclass(frozen=True)
class ByClass:
    """What a table's runs say of classes."""

    labels: tuple[str, ...]
    metrics: tuple[Metric, ...]
    sentences: tuple[str, ...]


def by_class(table: Table) -> ByClass | None:
    """Of the set's own features and of samples sorted by its classifier; None where no run has numbers of classes."""
    chosen = sorted(filter(lambda m: plain(table, m), table.metrics), key=lambda m: table.quantity(m).rank)
    labels = tuple(k for k in table.labels if any(parts(table, k, m) for m in chosen))
    if not labels:
        return None
    told = [t for k in labels for t in (worst(table, k, chosen), too_few(table, k, chosen)) if t]
    return ByClass(labels, tuple(metric(table, m, labels) for m in chosen), tuple(told))


def plain(table: Table, name: str) -> bool:
    """Whether a metric has numbers of classes, and is not one more of the same by other features."""
    found = [v for e in table.entries if (v := e.values.get(name)) and v.get("parts")]
    return any(name.removesuffix("_sorted") == (v.get("quantity") or name) for v in found)


def parts(table: Table, label: str, name: str) -> list[Mapping[str, Any]]:
    """The parts of every seed that has some."""
    return [found for e in table.of(label) if (found := e.values.get(name, {}).get("parts"))]


def numbers(table: Table, label: str, name: str, field: str = "value") -> dict[str, list[float]]:
    """Numbers by class, one a seed."""
    made: dict[str, list[float]] = {}
    for seed in parts(table, label, name):
        for k, told in seed.items():
            made.setdefault(k, []).extend([told[field]] if number(told.get(field)) else [])
    return made


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def metric(table: Table, name: str, labels: tuple[str, ...]) -> Metric:
    """The classes of one metric; those for which it is worst, of any recipe, come first."""
    quantity = table.quantity(name)
    own = {k: numbers(table, k, name) for k in labels}
    floors: dict[str, list[float]] = {}
    counts: dict[str, list[float]] = {}
    for k in labels:
        for found, field in ((floors, "floor"), (counts, "n")):
            for c, values in numbers(table, k, name, field).items():
                found.setdefault(c, []).extend(values)
    names = list(dict.fromkeys(c for k in labels for c in own[k]))
    means = {(k, c): mean(values) for k in labels for c, values in own[k].items() if values}

    def place(c: str) -> float:
        return min((quantity.sign * means[k, c] for k in labels if (k, c) in means), default=math.inf)

    names.sort(key=place)
    every = list(means.values())
    far = min(every, key=lambda v: quantity.sign * v, default=0.0)
    best = max(every, key=lambda v: quantity.sign * v, default=0.0)
    rows = []
    for c in names[:SHOWN]:
        near = mean(floors[c]) if floors.get(c) else best
        cells = []
        for k in labels:
            if (k, c) not in means:
                cells.append(Cell(why="too few examples" if c in own[k] else "not defined for this model"))
                continue
            level = shade(means[k, c], near, far, quantity.sign) if len(every) > 1 else None
            cells.append(Cell(str(estimate(own[k][c])), shade=level))
        floor = format_number(mean(floors[c])) if floors.get(c) else ""
        n = [f"{int(count):,}" for count in (min(counts[c]), max(counts[c]))]
        rows.append(Class(c, "–".join(dict.fromkeys(n)), floor, tuple(cells)))
    return Metric(quantity, tuple(rows), len(names) - len(rows))


def worst(table: Table, label: str, chosen: list[str]) -> str:
    """The class of which each number of a recipe is worst."""
    by: dict[str, list[str]] = {}
    for name in chosen:
        quantity = table.quantity(name)
        means = {c: mean(v) for c, v in numbers(table, label, name).items() if v}
        if len(set(means.values())) > 1:
            c = min(means, key=lambda c: quantity.sign * means[c])
            by.setdefault(c, []).append(f"{quantity.name} {format_number(means[c])}")
    if not by:
        return ""
    ordered = sorted(by, key=lambda c: -len(by[c]))
    return f"{label}: worst {'; '.join(f'class {c} by {listed(by[c])}' for c in ordered)}."


def too_few(table: Table, label: str, chosen: list[str]) -> str:
    """The classes of which there are too few examples for any number."""
    found = {c: v for name in chosen for c, v in numbers(table, label, name).items()}
    short = [c for c, values in found.items() if not values]
    if not short:
        return ""
    shown = [*short[:5], *([f"{len(short) - 5:,} more"] if len(short) > 5 else [])]
    return f"{label}: too few examples of {listed(shown)}."
