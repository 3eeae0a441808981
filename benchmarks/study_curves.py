"""What the recipes of a kept study came to, and after how many minutes: one record for each of its data sets.

    python benchmarks/study_curves.py gallery/recommended-birds

Nothing is trained: `triptych study`, as the gallery says it, made the runs. One core trained each.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import record, spread

from triptych.core.statistics import format_number
from triptych.report import effort
from triptych.report.entries import gather, read_study_json
from triptych.report.matrix import leading_few
from triptych.report.table import Table, tables

SHOWN = ("frechet_v1", "kernel_v1", "coverage_v1")
"""Numbers that every study of pictures has, beside those by which its page ranks."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--note", default="")
    options = parser.parse_args()
    told = read_study_json(options.study)
    for table in map(effort.with_reach, tables(gather([options.study])[0])):
        if table.contestants:
            write(options.study, told, table, options.note)


def write(study: Path, told: dict[str, Any], table: Table, note: str) -> None:
    """The record of one data set."""
    name, curves = effort.followed(table), effort.over_minutes(table)[1]
    metrics = [*dict.fromkeys([*leading_few(table, 3), *(m for m in SHOWN if m in table.metrics)])]
    contract = told.get("contract") or {}
    budget = f"{contract['budget']:g} {contract['equal']} each" if contract else "the recipes' own budgets"
    seeds = max(len(table.of(label)) for label in table.contestants)
    runs = {
        label: numbers(table, label, metrics) | {"curve": {"of": name, "minutes_and_value": curves.get(label, [])}}
        for label in table.contestants
    }
    lead = metrics[0]
    measured = ", ".join(f"{label} {told_value(table, label, lead)}" for label in table.contestants)
    floor = table.floor(lead)
    record(
        f"study-{study.name}" + ("" if table.data in study.name else f"-{table.data}"),
        f"{table.data}: the study `{told['name']}`, {budget}, {seeds} seed(s): {table.quantity(lead).name}",
        "curves over minutes; nothing was promised",
        measured + ("" if floor is None else f" (real against real {format_number(floor)})"),
        None,
        {"contract": contract, "metrics": metrics, "recipes": runs},
        note,
        made=table.of(table.contestants[0])[0].env,
    )


def told_value(table: Table, label: str, metric: str) -> str:
    found = table.estimate(label, metric)
    return "–" if found is None else str(found)


def numbers(table: Table, label: str, metrics: list[str]) -> dict[str, Any]:
    """Of one recipe: values over the seeds, and seconds until round distances."""
    entries = table.of(label)
    until = {m: table.numbers(label, m) for m in table.metrics if m.startswith("to_")}
    return {
        "seeds": [e.seed for e in entries],
        "images": [e.recipe["train"]["images"] for e in entries],
        "training_seconds": [e.training for e in entries],
        "values": {m: over_seeds(found) for m in metrics if (found := table.numbers(label, m))},
        "seconds_until": until,
    }


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """With their interval where there are several: one seed has none."""
    return spread(values) if len(values) > 1 else {"values": list(values)}


if __name__ == "__main__":
    main()
