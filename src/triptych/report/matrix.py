"""The matrix of a table: metrics by axis down, recipes by rank across, shaded by the distance from the floor.

The shade is the share of the way from the floor (where a metric has none, from the best recipe) to the worst recipe
of the row. A row in which all are near has no far end of its own: its scale goes as far as the floor is large, so that
0.98 beside a floor of 0.99 stays pale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from triptych.core.controls import praise
from triptych.core.quantity import AXES, Quantity
from triptych.core.statistics import format_number
from triptych.metrics import declared
from triptych.report.axes import AxisVerdict, witnesses_of
from triptych.report.entries import number
from triptych.report.table import Table

SHADES = (0.03, 0.1, 0.25, 0.5, 0.8)
"""Shares of the way at which the next shade begins."""
OTHER = "no direction, or on no axis"


def ranked(table: Table) -> list[str]:
    """The recipes, nearest to real examples first, by the metric that `ranking` names; then those without a number."""
    labels = table.contestants
    if not (metric := ranking(table)):
        return labels
    sign = table.quantity(metric).sign
    means = {k: -sign * e.mean for k in labels if (e := table.estimate(k, metric))}
    return sorted(labels, key=lambda k: (k not in means, means.get(k, 0.0)))


def ranking(table: Table) -> str:
    """The metric that ranks: the leading one of the first axis on which two recipes have a number; empty where none.

    Nothing is ranked by what it costs.
    """
    labels = table.contestants
    for axis in AXES:
        if axis != "cost" and (metric := leading(table, axis, at_least=min(2, len(labels)))):
            return metric
    return ""


def leading(table: Table, axis: str, at_least: int = 1) -> str:
    """The first metric of an axis, witness by witness, of which so many recipes have a number; empty where none."""
    labels = table.contestants
    for witness in witnesses_of(table, axis):
        for metric in witness.metrics:
            if sum(bool(table.numbers(k, metric)) for k in labels) >= at_least > 0:
                return metric
    return ""


def leading_few(table: Table, most: int) -> list[str]:
    """The leading metrics of the first axes, each with the companion without which it is never shown."""
    found: list[str] = []
    for axis in AXES:
        if axis != "cost" and len(found) < most and (metric := leading(table, axis)):
            beside = table.quantity(metric).companion
            found += [m for m in (metric, beside) if m in table.metrics and m not in found]
    return found


def shade(value: float, near: float, far: float, sign: int) -> int:
    """0 at `near` or better, up to `len(SHADES)` at `far`."""
    unit = max(sign * (near - far), abs(near)) or 1.0
    share = sign * (near - value) / unit
    return sum(share > step for step in SHADES)


@dataclass(frozen=True)
class Cell:
    """A number of the matrix, or why there is none."""

    text: str = ""
    half_width: str = ""
    shade: int | None = None
    """0 (as good as real) to 5; None where nothing is shaded, as where only one recipe has a number"""
    why: str = ""
    """why there is no number, or by how many seeds it is"""
    best: bool = False


@dataclass(frozen=True)
class Row:
    """One metric."""

    metric: str
    quantity: Quantity
    about: str
    """sample count and features"""
    floor: Cell
    cells: tuple[Cell, ...]
    aside: tuple[Cell, ...]
    """yardsticks and negative controls: for scale, never ranked"""
    praise: str
    """which negative controls the metric takes for good; empty: none"""
    definition: str
    """the metric in a sentence; empty where none is declared"""


@dataclass(frozen=True)
class Win:
    """What an axis says of one recipe."""

    clear: tuple[str, ...] = ()
    """the recipes that it is clearly better than"""
    probable: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """The metrics of one axis."""

    axis: str
    question: str
    wins: tuple[Win, ...]
    """of each recipe; empty where nothing is judged"""
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Matrix:
    """What a table says, at a glance."""

    labels: tuple[str, ...]
    yardsticks: tuple[str, ...]
    controls: tuple[str, ...]
    """spoilt real pictures that were measured as if a model had made them"""
    groups: tuple[Group, ...]

    @property
    def judged(self) -> bool:
        """Whether any recipe is better than another on any axis."""
        return any(w.clear or w.probable for g in self.groups for w in g.wins)

    @property
    def shaded(self) -> bool:
        """Whether any number has a shade, as where two recipes share a metric."""
        return any(c.shade is not None for g in self.groups for r in g.rows for c in (*r.cells, *r.aside))

    @property
    def bold(self) -> bool:
        """Whether any number is the best of its row."""
        return any(c.best for g in self.groups for r in g.rows for c in r.cells)


def matrix(table: Table, verdicts: Sequence[AxisVerdict]) -> Matrix:
    """Rows of every metric that has a number; what no recipe has a number for is left out."""
    labels = ranked(table)
    yardsticks = table.yardsticks
    controls = list(dict.fromkeys(name for m in table.metrics for name in controls_of(table, m)))
    judged = {v.axis: v for v in verdicts}
    having = [m for m in table.metrics if any(table.numbers(k, m) for k in labels)]
    groups = []
    for axis in (*AXES, ""):
        metrics = [m for m in having if axis_of(table.quantity(m)) == axis]
        if metrics:
            metrics.sort(key=lambda m: table.quantity(m).rank)
            wins = tuple(win(judged[axis], k) for k in labels) if axis in judged else ()
            rows = tuple(row(table, m, labels, yardsticks, controls) for m in metrics)
            groups.append(Group(axis or "more", AXES.get(axis, OTHER), wins, rows))
    return Matrix(tuple(labels), tuple(yardsticks), tuple(controls), tuple(groups))


def axis_of(quantity: Quantity) -> str:
    return quantity.axis if quantity.sign else ""


def win(verdict: AxisVerdict, label: str) -> Win:
    told = {g: tuple(p.worse for p in verdict.graded(g, label)) for g in ("clear", "probable")}
    return Win(told["clear"], told["probable"])


def controls_of(table: Table, metric: str) -> Mapping[str, float]:
    """Values of the negative controls of a metric, of the first run that has any."""
    for e in table.entries:
        told = e.values.get(metric, {}).get("controls")
        if isinstance(told, Mapping) and isinstance(values := told.get("values"), Mapping):
            return {str(k): v for k, v in values.items() if number(v)}
    return {}


def row(table: Table, metric: str, labels: Sequence[str], yardsticks: Sequence[str], controls: Sequence[str]) -> Row:
    quantity, floor = table.quantity(metric), table.floor(metric)
    means = {k: e.mean for k in (*labels, *yardsticks) if (e := table.estimate(k, metric))}
    own = [means[k] for k in labels if k in means]
    sign, found = quantity.sign, spread(table, metric, labels)
    every = [v for values in found.values() for v in values]
    near = floor if floor is not None else max(every, key=lambda v: sign * v, default=0.0)
    far = min([*every, near], key=lambda v: sign * v)
    best = max((sign * v for v in own), default=math.nan) if len(set(own)) > 1 else math.nan

    def shaded(value: float) -> int | None:
        # the scale ends at the worst recipe: one alone would be its own worst
        return shade(value, near, far, sign) if sign and len(found) > 1 else None

    cells = [
        replace(c, shade=shaded(means[k]), best=k in labels and sign * means[k] == best) if k in means else c
        for k in (*labels, *yardsticks)
        for c in [cell(table, metric, k)]
    ]
    values = controls_of(table, metric)
    spoilt = [
        Cell(format_number(values[k]), shade=shaded(values[k])) if k in values else Cell(why="not measured")
        for k in controls
    ]
    said = Cell("" if floor is None else format_number(floor))
    praised = praise(*(e.values.get(metric, {}).get("controls") for e in table.entries))
    aside = (*cells[len(labels) :], *spoilt)
    return Row(
        metric,
        quantity,
        table.about(metric),
        said,
        tuple(cells[: len(labels)]),
        aside,
        praised,
        declared.quantity(metric).about,
    )


def spread(table: Table, metric: str, labels: Sequence[str]) -> dict[str, list[float]]:
    """Means of a metric by recipe, and of its variants by the same features, which share a scale: a likelihood and its
    bounds."""

    def kind(m: str) -> tuple[str, str, str]:
        return table.quantity(m).title, table.quantity(m).unit, table.features(m)

    akin = [m for m in table.metrics if kind(m) == kind(metric)]
    found = {k: [e.mean for m in akin if (e := table.estimate(k, m))] for k in labels}
    return {k: means for k, means in found.items() if means}


def cell(table: Table, metric: str, label: str) -> Cell:
    found = table.estimate(label, metric)
    if found is None:
        return Cell(why=table.missing(label, metric))
    of = len(table.of(label))
    why = "" if found.n == of else f"over {found.n} of {of} seeds"
    if found.n < 3:
        return Cell(str(found), why=why)
    value, half_width = found.rounded
    return Cell(value, half_width, why=why)
