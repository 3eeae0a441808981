"""Which differences are beyond chance."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from triptych.core.statistics import holm, welch
from triptych.report.table import Table

ALPHA = 0.05
"""Chance of any false alarm among the differences of one metric."""


@dataclass(frozen=True)
class Verdict:
    """What can be said about one metric in one table."""

    metric: str
    best: str = ""
    """label with the best mean; empty where nothing can be ranked"""
    worse: tuple[tuple[str, float], ...] = ()
    """labels that are significantly worse, with the corrected p value against the best"""
    tied: tuple[tuple[str, float], ...] = ()
    """labels with no clear difference from the best"""
    clear: tuple[tuple[str, str], ...] = ()
    """every pair with a significant difference, the better label first"""
    unjudged: tuple[str, ...] = ()
    """labels with fewer than two seeds"""
    tests: int = 0
    """tests that the p values are corrected for"""


def judge(table: Table, metric: str) -> Verdict | None:
    """Welch's test for every pair of labels over their seeds, corrected by Holm within the metric.

    None for a metric without a direction, or with numbers of fewer than two labels.
    """
    sign = table.quantity(metric).sign
    values = {label: v for label in table.contestants if (v := table.numbers(label, metric))}
    if not sign or len(values) < 2:
        return None
    unjudged = tuple(label for label, v in values.items() if len(v) < 2)
    ranked = sorted(values, key=lambda k: -sign * math.fsum(values[k]) / len(values[k]))
    best = ranked[0]
    pairs = [p for p in itertools.combinations(ranked, 2) if not set(p) & set(unjudged)]
    p_values = dict(zip(pairs, holm([welch(values[a], values[b]) for a, b in pairs]), strict=True))
    against = [(label, p_values[best, label]) for label in ranked[1:] if (best, label) in p_values]
    return Verdict(
        metric,
        best,
        tuple((label, p) for label, p in against if p < ALPHA),
        tuple((label, p) for label, p in against if not p < ALPHA),
        tuple(pair for pair, p in p_values.items() if p < ALPHA),
        unjudged,
        len(pairs),
    )


def seeds_missing(verdict: Verdict, table: Table) -> str:
    counts = {len(table.numbers(label, verdict.metric)) for label in table.contestants} - {0}
    return "one seed each" if counts == {1} else "too few recipes have two seeds or more"
