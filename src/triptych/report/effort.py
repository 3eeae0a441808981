"""Quality against what it took: seconds of training, and passes through the network for a sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from triptych.core import Quantity
from triptych.core.quantity import AXES
from triptych.report import charts, facts
from triptych.report.entries import Entry, number
from triptych.report.table import Table

REACHED = "to_mixture_seconds"
SECONDS = Quantity("Training until as near as the mixture", "lower", unit="s", axis="cost", rank=901)
"""Seconds of training until a logged distance first was what the mixture of Gaussians has, a yardstick."""
ROUND = (1.0, 2.0, 5.0, 10.0)
"""Mantissas of the distances to which the seconds are told."""
QUALITY = tuple(AXES)[:3]
"""The axes on which samples are judged."""


@dataclass(frozen=True)
class Figure:
    """A chart with its heading."""

    name: str
    svg: str


def followed(table: Table) -> str:
    """The logged number that stands for quality: of the first axis with one, what most recipes log; empty for none."""
    logged: dict[str, set[str]] = {}
    for e in table.entries:
        if not e.yardstick:
            for name in {k for line in e.lines for k in line if e.quantity(k).sign and e.quantity(k).axis}:
                logged.setdefault(name, set()).add(e.label)
    quantities = {name: next(e for e in table.entries if name in e.quantities).quantity(name) for name in logged}
    return min(
        (name for name in logged if quantities[name].axis in QUALITY),
        key=lambda k: (QUALITY.index(quantities[k].axis), -len(logged[k]), quantities[k].rank, k),
        default="",
    )


def quantity_of(table: Table, name: str) -> Quantity:
    """What a logged number of a table is."""
    return next(e for e in table.entries if name in e.quantities).quantity(name)


def of_yardstick(entry: Entry, name: str) -> float | None:
    """The number that a yardstick has: by its log as for everybody, else by its evaluation."""
    logged = [line[name] for line in entry.lines if number(line.get(name))]
    value = logged[-1] if logged else entry.values.get(name, {}).get("value")
    return float(value) if number(value) else None


def levels(table: Table, name: str) -> dict[str, float]:
    """The number of every yardstick that has one, by its label: they take no training to speak of."""
    found = {}
    for label in table.yardsticks:
        values = [v for e in table.of(label) if (v := of_yardstick(e, name)) is not None]
        if values:
            found[label] = math.fsum(values) / len(values)
    return found


def reached(entry: Entry, name: str, target: float) -> float | None:
    """Seconds of training at the first look whose number is as good as `target`; None where there is none."""
    sign = entry.quantity(name).sign
    return next((p[1] for p in facts.curve(entry, name, alarms=False).points if sign * p[3] >= sign * target), None)


def round_above(value: float) -> float:
    """The least of 1, 2 and 5 times a power of ten that is not below a positive value."""
    unit = 10.0 ** math.floor(math.log10(value))
    return next(float(f"{m * unit:.0e}") for m in ROUND if m * unit >= value * (1 - 1e-9))


def round_levels(table: Table, name: str) -> list[float]:
    """The round distance that every recipe came down to in all its runs, and the one that only the best did.

    One where both are the same; none where a recipe logged too little to say, or more is better.
    """
    ends = []
    for label in table.contestants:
        runs = [facts.curve(e, name, alarms=False).points for e in table.of(label)]
        if any(e.quantity(name).sign >= 0 for e in table.of(label)) or not all(runs):
            return []
        ends.append(max(min(p[3] for p in run) for run in runs))
    if not ends or not 0 < min(ends) <= max(ends) < math.inf:
        return []
    return sorted({round_above(min(ends)), round_above(max(ends))}, reverse=True)


def had(table: Table, name: str, level: float) -> bool:
    """Whether a run was as good as `level` before its first step: then its seconds say nothing."""
    sign = quantity_of(table, name).sign
    points = [p for e in table.entries if not e.yardstick for p in facts.curve(e, name, alarms=False).points]
    return any(sign * p[3] >= sign * level for p in points if p[0] == 0)


def with_reach(table: Table) -> Table:
    """The table with the seconds in which each run came as near to the data as some distances say.

    They are that of the mixture of Gaussians, where that yardstick is in the table, and `round_levels`, without those
    that a run had before its first step.
    """
    name = followed(table)
    if not name:
        return table
    title = quantity_of(table, name).name
    target = levels(table, name).get(table.mixture)
    asked = {} if target is None else {REACHED: (SECONDS, target)}
    for i, level in enumerate(round_levels(table, name)):
        told = replace(SECONDS, title=f"Training until {title} ≤ {level:g}", rank=SECONDS.rank + 1 + i)
        asked[f"to_{name}_{level:g}_seconds"] = told, level
    asked = {key: (seconds, level) for key, (seconds, level) in asked.items() if not had(table, name, level)}

    def with_rows(entry: Entry) -> Entry:
        if entry.yardstick:
            return entry
        rows = {key: row(entry, name, level, seconds) for key, (seconds, level) in asked.items()}
        return replace(entry, values={**entry.values, **rows})

    return replace(table, entries=[with_rows(e) for e in table.entries]) if asked else table


def row(entry: Entry, name: str, level: float, seconds: Quantity) -> dict[str, Any]:
    """Seconds of a run's training until a logged number was as good as `level`, as a row of its values."""
    value = reached(entry, name, level)
    note = f"by {entry.quantity(name).name}, as it was logged" if value is not None else "never as near as that"
    return {"value": value, "source": "log", "note": note, **seconds.told()}


def over_minutes(table: Table) -> tuple[str, dict[str, list[list[tuple[float, float]]]]]:
    """The name of what is followed, and its (minutes, value) of every run by recipe, at the seeds' mean minutes.

    Looks before the first step are left out. Empty where nothing is logged.
    """
    name = followed(table)
    if not name:
        return "", {}
    title = quantity_of(table, name).name
    found = {}
    for label in table.contestants:
        runs = [facts.curve(e, name, alarms=False).points for e in table.of(label)]
        minutes = {p[0]: p[1] / 60 for p in charts.mean_curve(runs) if p[1] > 0}
        found[label] = [[(minutes[p[0]], p[3]) for p in run if p[0] in minutes] for run in runs]
    return title, found


def figures(table: Table) -> list[Figure]:
    """Quality over seconds of training, and over passes of a sample, on logarithmic axes; yardsticks are lines."""
    return [f for f in (over_seconds(table), over_passes(table)) if f is not None]


def over_seconds(table: Table) -> Figure | None:
    name = followed(table)
    if not name:
        return None
    quantity = quantity_of(table, name)
    series = {}
    for label in table.contestants:
        runs = [facts.curve(e, name, alarms=False) for e in table.of(label)]
        mean = charts.mean_curve([[p for p in c.points if all(map(math.isfinite, p))] for c in runs if c.points])
        series[label] = [(p[1], p[3]) for p in mean if p[1] > 0]
    title = f"{quantity.name} over seconds of training"
    svg = charts.log_chart(series, table.labels, levels(table, name), title, "seconds of training")
    return Figure(f"{quantity.name} {quantity.arrow}", svg) if svg else None


def over_passes(table: Table) -> Figure | None:
    """The evaluated number of the same axis over passes; nothing where all take as many."""
    metric = next((m for m in table.metrics if table.quantity(m).sign and table.quantity(m).axis in QUALITY), "")
    points: dict[str, Sequence[tuple[float, float]]] = {}
    for label in table.contestants:
        pairs = [
            (e.values.get("passes", {}).get("value"), e.values.get(metric, {}).get("value")) for e in table.of(label)
        ]
        points[label] = [(float(x), float(y)) for x, y in pairs if number(x) and number(y) and x > 0]
    if len({x for some in points.values() for x, _ in some}) < 2:
        return None
    own = {k: v.mean for k in table.yardsticks if (v := table.estimate(k, metric))}
    quantity = table.quantity(metric)
    title = f"{quantity.name} over passes through the network for a sample"
    svg = charts.log_chart(points, table.labels, own, title, "passes for a sample", joined=False)
    return Figure(f"{quantity.name} {quantity.arrow}", svg) if svg else None
