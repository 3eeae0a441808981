"""What a set of points, turned about the origin, says of a result: whether it was about the data or about their axes.

A set `NAME@DEGREES` is NAME, turned; its table is laid beside that of NAME. Recipes are matched by their names without
angles. Each is tested on the leading metric of every axis but cost, by Welch's test over seeds, with Holm's correction
over all tests of the two tables.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from triptych.core.quantity import AXES
from triptych.core.statistics import format_number, holm, welch
from triptych.report.matrix import leading
from triptych.report.significance import ALPHA
from triptych.report.table import Table

ANGLE = re.compile(r"@(-?\d+(?:\.\d+)?)")


def plain(name: str) -> str:
    """A name of a set or recipe without an angle."""
    return ANGLE.sub("", name)


def angle(table: Table) -> str:
    """The degrees by which a table's set is turned, as its name has them; empty for none."""
    found = ANGLE.search(table.data)
    return found[1] if found else ""


@dataclass(frozen=True)
class Moved:
    """One recipe's number on the set as it stands and turned."""

    recipe: str
    name: str
    """of the metric"""
    straight: float
    turned: float
    p: float
    """corrected over all tests of the two tables; NaN where nothing can be tested"""


def compare(straight: Table, turned: Table) -> list[Moved]:
    """Every recipe that both tables have, on each axis of which both have numbers."""
    others = {plain(label): label for label in turned.contestants}
    found = []
    for label in straight.contestants:
        if (other := others.get(plain(label))) is None:
            continue
        for axis in AXES:
            metric = leading(straight, axis) if axis != "cost" else ""
            a, b = straight.numbers(label, metric), turned.numbers(other, metric) if metric in turned.metrics else []
            if metric and a and b:
                name, means = straight.quantity(metric).name, (sum(a) / len(a), sum(b) / len(b))
                found.append(Moved(plain(label), name, *means, welch(a, b)))
    return [replace(one, p=p) for one, p in zip(found, holm([one.p for one in found]), strict=True)]


def flags(table: Table, every: Sequence[Table]) -> list[str]:
    """What of a table moves when its set is turned, in words: one line for each recipe, or one that nothing does.

    Nothing where no other table is of the same set at another angle, or where no number can be tested.
    """
    told = []
    for other in every:
        if plain(other.data) != plain(table.data) or bool(angle(other)) == bool(angle(table)):
            continue
        straight, turned = (other, table) if angle(table) else (table, other)
        tests = [m for m in compare(straight, turned) if not math.isnan(m.p)]
        moved: dict[str, list[Moved]] = {}
        for one in tests:
            if one.p < ALPHA:
                moved.setdefault(one.recipe, []).append(one)
        lead = f"Turned by {angle(turned)}°"
        told += [
            f"{lead}, {recipe} gives a different result: {'; '.join(map(said, own))}." for recipe, own in moved.items()
        ]
        if tests and not moved:
            told.append(f"{lead}, no recipe gives a clearly different result.")
    return told


def said(moved: Moved) -> str:
    """A number that moved, in words."""
    return f"{moved.name} {format_number(moved.turned)} instead of {format_number(moved.straight)}"
