"""Tables and verdicts of studies in Markdown, for the generated pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from triptych.core.statistics import format_number
from triptych.report.axes import gate, judge_axes
from triptych.report.entries import Entry
from triptych.report.table import Table
from triptych.report.turned import flags
from triptych.report.wording import axis_sentence, headline
from triptych.system import files


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def verdicts_of(table: Table, every: Sequence[Table]) -> list[str]:
    """The verdict in words, what turning the set does to it, and each axis; `every` table is of the same study."""
    axes = judge_axes(table)
    shown = sorted({e.status.get("images", 0) for e in table.entries})
    budget = f"{shown[0]:,}" if shown[0] == shown[-1] else f"{shown[0]:,} to {shown[-1]:,}"
    told = f"After {budget} images a run; another budget may tell another story."
    head = [f"**{headline(table, axes, gate(table))}**", "", *flags(table, every), "", told, ""]
    return [*head, *(f"- {axis_sentence(v, table)}" for v in axes)]


def markdown(table: Table) -> str:
    """The comparison table: a metric with a direction a row, a recipe a column, mean ± 95 % interval over seeds."""
    rows = ["| | " + " | ".join(table.labels) + " | floor: real against real |", "|---" * (len(table.labels) + 2) + "|"]
    for metric, quantity in ((m, q) for m in table.metrics if (q := table.quantity(m)).sign):
        found = [table.estimate(label, metric) for label in table.labels]
        if not any(found):
            continue
        cells = [
            table.missing(label, metric) if e is None else str(e) for label, e in zip(table.labels, found, strict=True)
        ]
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
