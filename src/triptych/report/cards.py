"""The picture row: the recipes side by side, by rank, each with its samples, its time and three numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from triptych.core.families import family
from triptych.core.statistics import duration, format_number
from triptych.report import charts
from triptych.report.axes import AxisVerdict
from triptych.report.matrix import leading_few, ranked, ranking
from triptych.report.pictures import pictures, real_picture
from triptych.report.table import Table, short_names

NUMBERS = 3
"""Numbers below a picture."""


@dataclass(frozen=True)
class Card:
    """One recipe of the picture row."""

    label: str
    name: str
    """without the name of the data"""
    family: str
    css: str
    standing: str
    """what the axis of the ranking says of it"""
    time: str
    seeds: str
    numbers: tuple[tuple[str, str], ...]
    sheet: dict[str, Any] | None
    """`report.pictures.pictures` of it; None where it has none"""


@dataclass(frozen=True)
class PictureRow:
    """All recipes, and the real examples in front where the run folders hold some."""

    order: str
    """by what they are ordered, in words"""
    real: dict[str, Any] | None
    cards: tuple[Card, ...]


def picture_row(table: Table, verdicts: Sequence[AxisVerdict], omitted: list[str]) -> PictureRow:
    """The recipes by rank, the yardsticks last."""
    names, found = short_names(table), {sheet["label"]: sheet for sheet in pictures(table, omitted)}
    order, metric = ranked(table), ranking(table)
    judged = next((v for v in verdicts if metric and v.axis == table.quantity(metric).axis), None)
    lead = {"lower": "lowest mean", "higher": "highest mean"}.get(table.quantity(metric).better, "") if metric else ""
    shown = leading_few(table, NUMBERS)
    cards = []
    for label in (*order, *table.yardsticks):
        means = [(m, table.estimate(label, m)) for m in shown]
        place = standing(judged, order, label, lead)
        if not place and label in order and not any(e.evaluated for e in table.of(label)):
            place = "not evaluated"
        cards.append(
            Card(
                label,
                names[label],
                "yardstick" if label in table.yardsticks else family(table.of(label)[0].env.get("parameters") or ()),
                charts.css(table.labels.index(label)),
                place,
                training(table, label),
                seeds(table, label),
                tuple((told(table, m), "–" if e is None else format_number(e.mean)) for m, e in means),
                found.get(label),
            )
        )
    by = f"by {table.quantity(metric).name}, best first" if metric else "in the order given"
    return PictureRow(by, real_picture(table, omitted), tuple(cards))


def told(table: Table, metric: str) -> str:
    quantity = table.quantity(metric)
    return f"{quantity.name} {quantity.arrow}"


SURE = {"clear": "clearly", "probable": "probably"}
"""What is said of a difference, by its grade, the surest first."""


def standing(verdict: AxisVerdict | None, order: Sequence[str], label: str, lead: str = "best mean") -> str:
    """What is certain of a recipe's place beside the first one; `lead` is what puts that one first."""
    if verdict is None or len(order) < 2 or label not in order:
        return ""
    first = order[0]
    if label == first:
        wins = [g for p in verdict.pairs if p.better == first for g in [p.grade]]
        if wins and all(g == "clear" for g in wins) and len(wins) == len(order) - 1:
            return "clearly the best"
        if all(p.grade == "untested" for p in verdict.pairs):
            return f"{lead}; nothing is tested"
        if sure := [SURE[p.grade] for p in verdict.pairs if p.worse == first and p.grade in SURE]:
            strongest = next(words for words in SURE.values() if words in sure)
            return f"{lead}, yet another is {strongest} better"
        ahead = sum(g == "clear" for g in wins)
        return f"clearly better than {ahead} of {len(order) - 1}" if ahead else f"{lead}, not significantly"
    pair = next((p for p in verdict.pairs if {p.better, p.worse} == {first, label}), None)
    if pair is None:
        return ""
    if pair.grade in SURE:
        return f"{SURE[pair.grade]} {'better than' if pair.better == label else 'behind'} the first"
    return {
        "mixed": "numbers contradict each other",
        "tied": "no clear difference from the first",
        "untested": "not tested",
    }[pair.grade]


def training(table: Table, label: str) -> str:
    """The mean time of training, for people."""
    seconds = [e.training for e in table.of(label) if e.training is not None]
    return duration(sum(seconds) / len(seconds)) if seconds else "time unknown"


def seeds(table: Table, label: str) -> str:
    """How many runs stand behind a row, and which did not end well."""
    found = table.of(label)
    bad = [
        f"{sum(e.state == s for e in found)} {s}"
        for s in ("diverged", "failed", "running")
        if any(e.state == s for e in found)
    ]
    return f"{len(found)} seed{'s' if len(found) > 1 else ''}" + (f", {', '.join(bad)}" if bad else "")
