"""Text of CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from triptych.system.console import printable

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What begins a formula in a spreadsheet."""


def cell(value: Any) -> Any:
    """A value as a cell: texts cannot begin a formula or hold control characters; numbers are as they are."""
    if not isinstance(value, str) or is_number(value):
        return value
    shown = printable(value)
    return f"'{shown}" if value.startswith(FORMULA) else shown


def is_number(text: str) -> bool:
    """Whether it reads as one, which no spreadsheet takes for a formula."""
    try:
        float(text)
    except ValueError:
        return False
    return text.strip() == text


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
