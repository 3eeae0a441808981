"""Tables as tidy CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from triptych.report.table import Table
from triptych.system import files
from triptych.system.csv_files import csv_text

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
    "class",
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
    """One row per run and metric, and one more for each class where it has numbers of them; a run without metrics has
    one row."""
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
                row = {k: told[k] for k in COLUMNS if k in told} | common | {"metric": metric}
                rows.append(row)
                for name, part in (told.get("parts") or {}).items():
                    own = {"class": name, "value": part["value"], "n": part["n"], "floor": part["floor"]}
                    rows.append(row | own | {"se": None, "note": ""})
    return rows


def write_csv(rows: Sequence[Mapping[str, Any]], path: Path, advice: str) -> None:
    files.write_text(path, csv_text(COLUMNS, rows), advice)
