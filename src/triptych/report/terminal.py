"""A study's outcome on the terminal: one comparison table per data set and the verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table as Grid

from triptych.core.controls import praise
from triptych.core.statistics import format_number
from triptych.report.axes import gate, judge_axes
from triptych.report.cards import training
from triptych.report.entries import contract_words, gather, read_study_json
from triptych.report.matrix import leading_few, ranked
from triptych.report.table import Table, short_names, tables
from triptych.report.turned import angle, flags
from triptych.report.wording import headline
from triptych.system.console import console

SHOWN = 3
"""Metrics in a row, one of an axis; the page has them all."""


def show(folder: Path) -> None:
    """Print the tables of a study folder to standard output."""
    out = console()
    entries, _ = gather([folder])
    out.print(contract_words(read_study_json(folder)))
    every = tables(entries)
    for table in every:
        out.print(grid(table))
        for name, text in praises(table, leading_few(table, SHOWN)).items():
            out.print(f"{name} {text}", soft_wrap=True)
        out.print(headline(table, judge_axes(table), gate(table)))
        for told in flags(table, every) if angle(table) else ():
            out.print(told)
        out.print()


def praises(table: Table, metrics: Sequence[str]) -> dict[str, str]:
    """Which negative controls each metric takes for good, in words, by its display name; those that take none are
    left out."""
    found = {
        table.quantity(m).name: praise(*(e.values.get(m, {}).get("controls") for e in table.entries)) for m in metrics
    }
    return {name: text for name, text in found.items() if text}


def grid(table: Table) -> Grid:
    """The recipes by rank; of the first axes the leading metric of each, mean ± 95 % interval over seeds."""
    metrics = leading_few(table, SHOWN)
    made = Grid(title=table.title, title_style="bold", title_justify="left", box=None, pad_edge=False)
    made.add_column("recipe")
    made.add_column("seeds", justify="right")
    for metric in metrics:
        quantity = table.quantity(metric)
        made.add_column(f"{quantity.name} {quantity.arrow}", justify="right")
    made.add_column("training", justify="right")
    names = short_names(table)
    for label in (*ranked(table), *table.yardsticks):
        found = [table.estimate(label, metric) for metric in metrics]
        cells = ["–" if e is None else str(e) for e in found]
        made.add_row(names[label], str(len(table.of(label))), *cells, training(table, label))
    floors = [table.floor(m) for m in metrics]
    if any(f is not None for f in floors):
        made.add_row("floor", "", *("" if f is None else format_number(f) for f in floors), "", style="dim")
    return made
