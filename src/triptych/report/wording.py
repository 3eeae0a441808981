"""Verdicts and numbers in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from triptych.core.quantity import AXES
from triptych.core.statistics import format_number, format_to
from triptych.report.axes import GRADES, AxisVerdict, Gate, Pair
from triptych.report.significance import Verdict, seeds_missing
from triptych.report.table import Table, short_names


def sentence(verdict: Verdict, table: Table) -> str:
    """One metric's verdict in words."""
    best = table.estimate(verdict.best, verdict.metric)
    assert best is not None
    name = table.quantity(verdict.metric).name
    if verdict.best in verdict.unjudged or not (verdict.worse or verdict.tied):
        return (
            f"{name}: cannot be tested, {seeds_missing(verdict, table)}; {verdict.best} has {format_number(best.mean)}."
        )
    means = {e.mean for k in table.contestants if (e := table.estimate(k, verdict.metric))}
    if len(means) == 1:
        return f"{name}: no difference, every recipe has {format_number(best.mean)}."
    told = str(best)
    parts = []
    if verdict.worse:
        worst_p = max(p for _, p in verdict.worse)
        parts.append(f"clearly better than {listed([k for k, _ in verdict.worse])} ({p_text(worst_p)})")
    if verdict.tied:
        parts.append(f"no clear difference from {listed([k for k, _ in verdict.tied])}")
    others = [k for k in verdict.unjudged if k != verdict.best]
    if others:
        parts.append(f"{listed(others)} cannot be tested with one seed")
    part = [
        f"{k} by {n} of its {all_} seeds"
        for k in table.contestants
        if 0 < (n := len(table.numbers(k, verdict.metric))) < (all_ := len(table.of(k)))
    ]
    if part:
        parts.append(f"tested {listed(part)}, the others have no such number")
    lead = "is best" if verdict.worse else "has the best mean"
    return f"{name}: {verdict.best} {lead}, {told}: {'; '.join(parts)}."


def headline(table: Table, verdicts: Sequence[AxisVerdict], gate: Gate | None) -> str:
    """The table's verdict in one sentence: whether anything was learned, then who is ahead of whom on which axis."""
    labels, names = table.contestants, short_names(table)
    if gate is not None and not gate.learned:
        name, best = table.quantity(gate.metric).name, names[gate.best]
        who, after = f"the one recipe, {best}, has not learned the set at this budget: it is", ""
        if len(labels) > 1:
            who = f"none of these recipes has learned the set at this budget: the nearest, {best}, is"
            after = " A ranking would rank failures."
        return (
            f"On {table.title} {who} "
            f"{format_number(gate.ratio)} times as far from real examples as one Gaussian fitted to their mean and "
            f"covariance ({name} {format_number(gate.value)} against {format_number(gate.gaussian)}, floor "
            f"{format_number(gate.floor)}).{after}"
        )
    if len(labels) < 2:
        only = f"one recipe, {names[labels[0]]}" if labels else "no recipe"
        return f"On {table.title} there is {only}: nothing to compare."
    if not verdicts:
        return f"On {table.title} no number is shared by two recipes: nothing to compare."
    most = max(len(table.of(label)) for label in labels)
    if most < 2:
        return (
            f"On {table.title} nothing can be tested: a difference over one seed says nothing about the next one. "
            "Train at least 3 seeds of each recipe."
        )
    ahead: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for verdict in verdicts:
        if better_than := tuple(p.worse for p in verdict.graded("clear", verdict.best)):
            ahead.setdefault((verdict.best, better_than), []).append(verdict.axis)
    open_ = [v.axis for v in verdicts if not v.graded("clear", v.best)]
    if not ahead:
        return f"On {table.title} there is no clear difference between the recipes on {listed(open_)}."
    everybody = len(labels) - 1
    parts = [
        f"{names[best]} is clearly better than "
        f"{'all others' if len(k) == everybody > 1 else listed([names[one] for one in k])} on {listed(axes)}"
        for (best, k), axes in ahead.items()
    ]
    told = f"On {table.title}, {'; '.join(parts)}"
    return f"{told}; no clear difference on {listed(open_)}." if open_ else f"{told}."


def axis_sentence(verdict: AxisVerdict, table: Table) -> str:
    """One axis in words: the best recipe against each other one, with interval, effect size and p value."""
    best, axis = verdict.best, verdict.axis
    lead = f"{axis.capitalize()} ({AXES[axis]})"
    own = [p for p in verdict.pairs if best in (p.better, p.worse)]
    if all(p.grade == "untested" for p in own):
        return f"{lead}: cannot be tested, a recipe needs two seeds or more."
    parts = []
    if clear := verdict.graded("clear", best):
        told = "; ".join(f"{p.worse} by {gap(p, table)}" for p in clear)
        parts.append(f"clearly better than {told} ({p_text(max(p.p for p in clear))})")
    if probable := verdict.graded("probable", best):
        why = "one witness alone" if len(verdict.witnesses) == 1 else "not every witness is sure"
        parts.append(f"probably better than {listed([p.worse for p in probable])}, {why}")
    others = {grade: [p.worse if p.better == best else p.better for p in own if p.grade == grade] for grade in GRADES}
    if others["tied"]:
        parts.append(f"no clear difference from {listed(others['tied'])}")
    if others["mixed"]:
        parts.append(f"against {listed(others['mixed'])} the numbers contradict each other")
    if others["untested"]:
        parts.append(f"{listed(others['untested'])} cannot be tested with one seed")
    named = [w.name.partition(":")[0] or "the samples" for w in verdict.witnesses]
    witnesses = f" Witnesses: {listed([w if w != 'data' else 'the points' for w in named])}." if len(named) > 1 else ""
    return f"{lead}: {best} {'; '.join(parts)}.{witnesses}"


def gap(pair: Pair, table: Table) -> str:
    """How much better, in the unit of the leading metric, with its interval and in standard deviations."""
    quantity, d = table.quantity(pair.metric), pair.gap
    value, more = abs(d.value), "higher" if d.value > 0 else "lower"
    text = f"{format_number(value)} {more} {quantity.name}"
    if math.isfinite(d.half_width):
        low, high = (format_to(value + sign * d.half_width, d.half_width or 1.0) for sign in (-1, 1))
        text += f" (95 %: {low} to {high}" + (f", g = {abs(d.effect):.1f})" if math.isfinite(d.effect) else ")")
    return text


def count(n: int) -> str:
    return f"{n} metric{'s' if n > 1 else ''}"


def p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p ≤ {p:.3f}"


def listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
