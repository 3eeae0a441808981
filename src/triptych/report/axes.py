"""Verdicts by axis, from distance to cost: one axis is one statement, however many metrics it has.

The rule, which `docs/metrics.md` explains:

1. Metrics on one axis that are made from the same features are one *witness*: they see the same errors, so they
   count once. Its leading metric (the one of the lowest rank) speaks; the others can only object.
2. Each witness compares two recipes by Welch's test over seeds.
3. A recipe is *clearly* better where at least two witnesses (one, where the axis can have no second) find it better
   with p < α, every other witness points the same way, and no metric objects. The p value of a pair is the largest of
   its witnesses (an intersection-union test), corrected by Holm over all pairs of the axis.
4. A recipe is *probably* better where this holds but for one thing: the second witness is missing, or agrees without
   being significant.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from triptych.core.quantity import AXES
from triptych.core.statistics import Difference, difference, holm, welch
from triptych.report.significance import ALPHA
from triptych.report.table import Table

Grade = Literal["clear", "probable", "mixed", "tied", "untested"]
GRADES: tuple[Grade, ...] = get_args(Grade)

ALONE = ("likelihood", "codes", "cost")
"""Axes of one witness: a likelihood, a code and a second have no features that could deceive."""
LEARNED = 1.0
"""A recipe has learned a set where it is closer to the floor than this multiple of the full Gaussian's distance."""


@dataclass(frozen=True)
class Witness:
    """The metrics of one axis that are made from one kind of features, the leading one first."""

    name: str
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """What one axis says about two recipes."""

    better: str
    worse: str
    grade: Grade
    p: float
    """the largest p value of the witnesses, corrected over the pairs of the axis; NaN where nothing can be tested"""
    metric: str
    """the first witness's leading metric"""
    gap: Difference
    """how much better by this metric, in its own unit, and in standard deviations over seeds"""


@dataclass(frozen=True)
class AxisVerdict:
    """What can be said about one axis of one table."""

    axis: str
    witnesses: tuple[Witness, ...]
    pairs: tuple[Pair, ...]

    def graded(self, grade: Grade, best: str) -> list[Pair]:
        """The pairs of this grade in which `best` is the better one."""
        return [p for p in self.pairs if p.grade == grade and p.better == best]

    @property
    def best(self) -> str:
        """The recipe that most others are clearly or probably worse than; of several the one that is ahead of most."""
        score: dict[str, tuple[int, int]] = {}
        for pair in self.pairs:
            won, ahead = score.get(pair.better, (0, 0))
            score[pair.better] = (won + (pair.grade in ("clear", "probable")), ahead + 1)
            score.setdefault(pair.worse, (0, 0))
        return max(score, key=lambda k: score[k])


def judge_axes(table: Table) -> list[AxisVerdict]:
    """One verdict for each axis on which two recipes have numbers, in the order of `AXES`; yardsticks stand aside."""
    labels = table.contestants
    found = []
    for axis in AXES:
        witnesses = tuple(witnesses_of(table, axis))
        pairs = [p for a, b in itertools.combinations(labels, 2) if (p := compare(table, axis, witnesses, a, b))]
        if pairs:
            corrected = holm([p.p for p in pairs])
            pairs = [replace(p, p=q, grade=weakened(p.grade, q)) for p, q in zip(pairs, corrected, strict=True)]
            found.append(AxisVerdict(axis, witnesses, tuple(pairs)))
    return found


def weakened(grade: Grade, p: float) -> Grade:
    """The grade that is left once p is corrected: what was clear before may be a tie now."""
    return "tied" if grade in ("clear", "probable") and not p < ALPHA else grade


def witnesses_of(table: Table, axis: str) -> list[Witness]:
    """The metrics of an axis by the features that they are made from, by rank.

    Pictures are looked at by features first: distances of pixels praise blur.
    """
    told = [m for m in table.metrics if table.quantity(m).axis == axis and table.quantity(m).sign]
    groups: dict[str, list[str]] = {}
    for metric in sorted(told, key=lambda m: table.quantity(m).rank):
        groups.setdefault(table.features(metric), []).append(metric)
    found = [Witness(name, tuple(metrics)) for name, metrics in groups.items()]
    return sorted(found, key=lambda w: not table.raw and of_pixels(w.name))


def of_pixels(features: str) -> bool:
    """Whether a witness sees the examples themselves, and no features of them."""
    return features in ("", "data") or features.startswith("pixels")


def compare(table: Table, axis: str, witnesses: Sequence[Witness], a: str, b: str) -> Pair | None:
    """Two recipes on one axis, before the correction for other pairs; None where they share no number."""
    views: list[tuple[str, float, float]] = []  # leading metric, gap (> 0: a is better), p
    objections = []
    for witness in witnesses:
        shared = [m for m in witness.metrics if table.numbers(a, m) and table.numbers(b, m)]
        for i, metric in enumerate(shared):
            x, y, sign = table.numbers(a, metric), table.numbers(b, metric), table.quantity(metric).sign
            gap, p = sign * (math.fsum(x) / len(x) - math.fsum(y) / len(y)), welch(x, y)
            if i == 0:
                views.append((metric, gap, p))
            elif p < ALPHA:
                objections.append(gap)
    if not views:
        return None
    lead, gap, _ = next((v for v in views if v[2] < ALPHA), views[0])
    ahead = gap >= 0
    better, worse = (a, b) if ahead else (b, a)
    shown = difference(table.numbers(better, lead), table.numbers(worse, lead))
    known = [p for _, _, p in views if not math.isnan(p)]
    if not known:
        return Pair(better, worse, "untested", math.nan, lead, shown)
    agree = [p for _, g, p in views if (g >= 0) == ahead]
    against = [p for _, g, p in views if g and (g >= 0) != ahead and p < ALPHA] + [
        g for g in objections if (g >= 0) != ahead
    ]
    significant = [p for p in agree if p < ALPHA]
    needed = 1 if axis in ALONE or (len(witnesses) == 1 and table.raw) else 2
    grade: Grade = "tied"
    if significant and against:
        grade = "mixed"
    elif len(significant) >= needed and len(agree) == len(views):
        grade = "clear"
    elif significant:
        grade = "probable"
    p = max(significant) if significant else min(known)
    return Pair(better, worse, grade, p, lead, shown)


@dataclass(frozen=True)
class Gate:
    """Whether anything was learned at all: the nearest recipe beside one Gaussian of the data's mean and covariance."""

    metric: str
    best: str
    """the recipe nearest to real examples"""
    value: float
    gaussian: float
    floor: float

    @property
    def ratio(self) -> float:
        """Distance from the floor in multiples of the Gaussian's."""
        return (self.value - self.floor) / (self.gaussian - self.floor)

    @property
    def learned(self) -> bool:
        return self.ratio < LEARNED


def gate(table: Table) -> Gate | None:
    """By the first distance that recipes, Gaussian and floor share.

    None without such a row, or where the Gaussian itself is as near as the floor: then the set is one.
    """
    for witness in witnesses_of(table, "distance"):
        for metric in witness.metrics:
            floor, yardstick = table.floor(metric), table.estimate(table.gaussian, metric)
            found = {k: e.mean for k in table.contestants if (e := table.estimate(k, metric))}
            if table.quantity(metric).better != "lower" or floor is None or yardstick is None or not found:
                continue
            best = min(found, key=lambda k: found[k])
            if yardstick.mean > floor:
                return Gate(metric, best, found[best], yardstick.mean, floor)
    return None
