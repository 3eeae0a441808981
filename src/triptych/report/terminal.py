"""A study's outcome on the terminal: one comparison table per data set and the verdict in words."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table as Grid

from triptych.core.controls import praise
from triptych.core.statistics import format_number
from triptych.report.axes import gate, judge_axes
from triptych.report.entries import contract_words, gather, read_study_json
from triptych.report.table import Table, tables
from triptych.report.wording import headline
from triptych.system.console import console

SHOWN = 6
"""Metrics in a row, one of each kind; the page has them all."""


def show(folder: Path) -> None:
    """Print the tables of a study folder to standard output."""
    out = console()
    entries, _ = gather([folder])
    out.print(contract_words(read_study_json(folder)))
    for table in tables(entries):
        out.print(grid(table))
        for name, text in praises(table).items():
            out.print(f"{name} {text}", soft_wrap=True)
        out.print(headline(table, judge_axes(table), gate(table)))
        out.print()


def praises(table: Table) -> dict[str, str]:
    """Which negative controls each metric takes for good, in words, by its display name; those that take none are
    left out."""
    found = {
        table.quantity(m).name: praise(*(e.values.get(m, {}).get("controls") for e in table.entries))
        for m in table.metrics
    }
    return {name: text for name, text in found.items() if text}


def grid(table: Table) -> Grid:
    """Recipes as rows, the first metrics that have a direction as columns, mean ± 95 % interval over seeds."""
    told = {m: q for m in table.metrics if (q := table.quantity(m)).sign}
    first: dict[str, str] = {}
    for metric, quantity in told.items():
        first.setdefault(quantity.title, metric)
    metrics = list(first.values())[:SHOWN]
    for metric in [m for m in metrics if told[m].companion]:
        beside = told[metric].companion
        if beside in told and beside not in metrics:
            metrics.insert(metrics.index(metric) + 1, beside)
    made = Grid(title=table.data, title_style="bold", title_justify="left", box=None, pad_edge=False)
    made.add_column("recipe")
    made.add_column("seeds", justify="right")
    for metric in metrics:
        made.add_column(f"{told[metric].name} {told[metric].arrow}", justify="right")
    made.add_column("s", justify="right")
    for label in table.labels:
        cells = []
        for metric in metrics:
            e = table.estimate(label, metric)
            cells.append("–" if e is None else str(e))
        seconds = [e.training for e in table.of(label) if e.training is not None]
        cells.append(f"{sum(seconds) / len(seconds):.0f}" if seconds else "–")
        made.add_row(label, str(len(table.of(label))), *cells)
    floors = [table.floor(m) for m in metrics]
    if any(f is not None for f in floors):
        made.add_row("floor", "", *("" if f is None else format_number(f) for f in floors), "", style="dim")
    return made
