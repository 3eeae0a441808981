"""Verdicts and numbers in words."""

from __future__ import annotations

from collections.abc import Sequence

from triptych.core.statistics import format_number
from triptych.report.significance import Verdict, seeds_missing
from triptych.report.table import Table


def sentence(verdict: Verdict, table: Table) -> str:
    """One metric's verdict in words."""
    best = table.estimate(verdict.best, verdict.metric)
    assert best is not None
    name = table.quantity(verdict.metric).name
    if verdict.best in verdict.unjudged or not (verdict.worse or verdict.tied):
        return (
            f"{name}: cannot be tested, {seeds_missing(verdict, table)}; {verdict.best} has {format_number(best.mean)}."
        )
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


def headline(table: Table, verdicts: Sequence[Verdict]) -> str:
    """The table's verdict in one sentence: who is clearly better than others most often, less how often clearly worse.

    Being tied counts for nothing: a recipe whose seeds scatter widely is tied with everything.
    """
    judged = [v for v in verdicts if v.worse or v.tied]
    rows = table.contestants or table.labels
    most = max(len(table.of(label)) for label in rows)
    alone = " With one seed nothing can be tested in any case." if most < 2 else ""
    if len(rows) < 2:
        return f"On {table.data} there is one recipe, {rows[0]}: nothing to compare.{alone}"
    if not verdicts:
        return f"On {table.data} no number is shared by two recipes: nothing to compare.{alone}"
    if not judged:
        return (
            f"On {table.data} nothing can be tested: a difference over {most} seed{'s' if most > 1 else ''} "
            "says nothing about the next one. Train at least 3 seeds of each recipe."
        )
    clear = [pair for v in judged for pair in v.clear]
    if not clear:
        return f"On {table.data} there is no clear difference between the recipes ({count(len(judged))})."
    record = {k: (sum(k == better for better, _ in clear), sum(k == worse for _, worse in clear)) for k in rows}
    top = max(won - lost for won, lost in record.values())
    leaders = [label for label, (won, lost) in record.items() if won - lost == top]
    told = [f"{k} (clearly better in {record[k][0]} comparisons, clearly worse in {record[k][1]})" for k in leaders]
    plural = "have" if len(leaders) > 1 else "has"
    return f"On {table.data}, {listed(told)} {plural} the best record over {count(len(judged))}."


def count(n: int) -> str:
    return f"{n} metric{'s' if n > 1 else ''}"


def p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p ≤ {p:.3f}"


def listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
