"""Tables and verdicts of studies in Markdown, for the generated pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from triptych.core.statistics import format_number
from triptych.report.axes import gate, judge_axes
from triptych.report.entries import Entry
from triptych.report.matrix import leading_few, ranked
from triptych.report.table import Table
from triptych.report.turned import flags
from triptych.report.wording import axis_sentence, headline
from triptych.system import files

SHOWN = 5
"""Axes in the short table."""


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def verdicts_of(table: Table, every: Sequence[Table]) -> list[str]:
    """The verdict in words, what turning the set does to it, and each axis; `every` table is of the same study."""
    axes = judge_axes(table)
    turned = [*found, ""] if (found := flags(table, every)) else []
    head = [f"**{headline(table, axes, gate(table))}**", "", *turned, *budget(table)]
    return [*head, *(f"- {axis_sentence(v, table)}" for v in axes)]


def budget(table: Table) -> list[str]:
    """What the recipes of a table were trained for; nothing where there are yardsticks alone."""
    shown = sorted({e.status.get("images", 0) for e in table.entries if not e.yardstick})
    if not shown:
        return []
    images = f"{shown[0]:,}" if shown[0] == shown[-1] else f"{shown[0]:,} to {shown[-1]:,}"
    return [f"After {images} images a run; another budget may tell another story.", ""]


def summary(table: Table) -> str:
    """The recipes by rank, the yardsticks below them, with the leading metric of each axis: mean ± 95 % interval."""
    metrics = leading_few(table, SHOWN)
    names = [f"{table.quantity(m).name} {table.quantity(m).arrow}" for m in metrics]
    rows = [f"| | {' | '.join(map(cell, names))} |", "|---" * (len(metrics) + 1) + "|"]
    for label in [*(first := ranked(table)), *(k for k in table.labels if k not in first)]:
        found = [table.estimate(label, m) for m in metrics]
        rows.append(f"| {cell(label)} | {' | '.join('–' if e is None else str(e) for e in found)} |")
    floors = [table.floor(m) for m in metrics]
    rows.append(f"| floor: real against real | {' | '.join('' if f is None else format_number(f) for f in floors)} |")
    return "\n".join(rows)


def folded(table: Table) -> str:
    """Every metric, closed until somebody opens it."""
    return f"<details><summary>Every metric, and what it cost</summary>\n\n{markdown(table)}\n\n</details>"


def markdown(table: Table) -> str:
    """The comparison table: a metric with a direction a row, a recipe a column, mean ± 95 % interval over seeds."""
    rows = ["| | " + " | ".join(table.labels) + " | floor: real against real |", "|---" * (len(table.labels) + 2) + "|"]
    for metric, quantity in ((m, q) for m in table.metrics if (q := table.quantity(m)).sign):
        found = [table.estimate(label, metric) for label in table.labels]
        if not any(found):
            continue
        none = [table.missing(label, metric) for label in table.labels]
        short = ["–" if why.startswith("not defined") else why for why in none]
        cells = [why if e is None else str(e) for why, e in zip(short, found, strict=True)]
        floor = table.floor(metric)
        cells.append("" if floor is None else format_number(floor))
        rows.append(f"| {quantity.name} {quantity.arrow} | " + " | ".join(map(cell, cells)) + " |")
    costs: dict[str, Callable[[Entry], float | None]] = {
        "training, s": lambda e: e.status.get("seconds"),
        "images shown": lambda e: e.status.get("images"),
        "samples / s": lambda e: e.sampling.get("examples_per_second"),
    }
    for name, told in costs.items():
        means = [[v for e in table.of(label) if (v := told(e)) is not None] for label in table.labels]
        rows.append(f"| {name} | " + " | ".join(f"{sum(v) / len(v):,.0f}" if v else "" for v in means) + " | |")
    rows.append("| seeds | " + " | ".join(str(len(table.of(label))) for label in table.labels) + " | |")
    return "\n".join(rows)


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    files.write_bytes(target, files.read_bytes(source))
