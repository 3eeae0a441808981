"""The numbers of a report as a table for other programs: CSV in UTF-8, a row per run and metric."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from triptych.system import files
from triptych.tables import Table
from triptych.terminal import printable

COLUMNS: tuple[str, ...] = (
    "data",
    "fingerprint",
    "recipe",
    "label",
    "seed",
    "state",
    "images",
    "seconds",
    "metric",
    "value",
    "n",
    "extractor",
    "resize",
    "dtype",
    "floor",
    "se",
    "source",
    "note",
    "run",
)


def tidy(made: Sequence[Table]) -> list[dict[str, Any]]:
    """One row per run and metric; a run without metrics has one row."""
    rows = []
    for table in made:
        for e in table.entries:
            common = {
                "data": table.data,
                "fingerprint": table.fingerprint,
                "recipe": e.name,
                "label": e.label,
                "seed": e.seed,
                "state": e.state,
                "images": e.status.get("images"),
                "seconds": e.status.get("seconds"),
                "run": str(e.path),
            }
            for metric, told in e.values.items() or [("", {})]:
                # `seed` is the run's: an evaluation's values have one of their own
                rows.append({k: told[k] for k in COLUMNS if k in told} | common | {"metric": metric})
    return rows


FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What begins a formula in a spreadsheet."""


def cell(value: Any) -> Any:
    """A value as a cell: texts cannot begin a formula or hold control characters; numbers are as they are."""
    if not isinstance(value, str):
        return value
    shown = printable(value)
    return f"'{shown}" if value.startswith(FORMULA) else shown


def csv_text(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """The file's text: a header and the rows."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns)
    writer.writeheader()
    writer.writerows({k: cell(v) for k, v in row.items()} for row in rows)
    return out.getvalue()


def ours(path: Path, columns: Sequence[str]) -> bool:
    """Whether there is a CSV at `path` that begins as ours do."""
    with path.open("rb") as f:
        return f.read(200).removeprefix(b"\xef\xbb\xbf").startswith(",".join(columns[:4]).encode())


def write_csv(rows: Sequence[Mapping[str, Any]], path: Path, advice: str) -> None:
    files.write_text(path, csv_text(COLUMNS, rows), advice)
