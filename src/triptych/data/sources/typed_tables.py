"""Tables as people have them: categories, whole numbers, dates and empty cells, as vectors that every family trains on.

The types are found from the values and said in one line; `--columns` overrides them. How a row becomes a vector is in
`triptych.core.columns`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from triptych.core import Data, Split
from triptych.core.columns import Columns
from triptych.core.preparation import Preparation
from triptych.data.prepare import parquet
from triptych.data.source import digest
from triptych.data.sources import foreign
from triptych.data.sources.column_types import columns_of, words_of
from triptych.data.sources.delimited import Cells, Form, read_cells
from triptych.errors import NoSplit, UserError
from triptych.system.notices import say

SHOWN = 12
"""Columns whose types are said."""


def load(path: Path, split: Split, how: Preparation) -> Data:
    """The rows of a table at a path, encoded; UserError with the place of what cannot be."""
    if how != Preparation(holdout=how.holdout, columns=how.columns):
        raise UserError(f"{path} is a table, not pictures; drop the preparation options but --holdout and --columns")
    table = cells_of(path)
    found, values = columns_of(path, table, how.columns)
    columns = Columns(tuple(found))
    x = columns.encode(values)
    all_told = len(words_of(how.columns)) == len(table.columns)
    taken = [*table.taken, *([] if all_told else [said(columns)]), *rounded(columns, values, x)]
    for text in taken:
        say(f"{path}: {text}")
    x = x[_side(path, values, split, how.holdout)]
    told = str(columns.told())
    mark = digest(*(v.tobytes() for v in values), told, f"{split} {how.holdout}")
    about = {"name": path.stem, "source": str(path), "count": len(x), "preparation": {"columns": list(how.columns)}}
    return Data(
        path.stem, x, split, fingerprint=mark, columns=columns.places, typed=columns, about=about | {"taken": taken}
    )


def words_for(path: Path, known: Columns, own: Sequence[str]) -> tuple[str, ...]:
    """The words of --columns by which a table is read as one with `known` columns was, conditions among them.

    Each column has the type that it had there, whatever few rows would tell of it; what was not there is left out.
    `own` are the words that the other table was read by. A file that is no table, or has none of the columns: `own`.
    """
    try:
        names = cells_of(path).columns
    except UserError:  # said where it is read
        return tuple(own)
    kinds = {c.name: f"date:{c.form}" if c.kind == "date" else c.kind for c in known.all}
    if not kinds.keys() & set(names):
        return tuple(own)
    return tuple(f"{name}={kinds.get(name, 'drop')}" for name in names)


def said(columns: Columns) -> str:
    """The types in one line."""
    words = [column.said for column in columns.all]
    more = [f"{len(words) - SHOWN} more"] if len(words) > SHOWN else []
    return f"columns: {', '.join([*words[:SHOWN], *more])}; --columns NAME=TYPE says otherwise"


def table_text(cells: Mapping[str, Sequence[str]]) -> str:
    """Cells by the names of their columns as CSV, which is read back as the same."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(cells)
    writer.writerows(zip(*cells.values(), strict=True))
    return out.getvalue()


def cells_of(path: Path) -> Cells:
    """The cells of a text table or a Parquet file."""
    try:
        kind = foreign.kind(path)
        if kind == "parquet":
            return _parquet(path)
        if kind in foreign.ADVICE:
            raise UserError(f"{path} {foreign.ADVICE[kind]}")
        if kind:
            raise UserError(f"{path} holds an array, whose columns have no types; drop --columns")
        return read_cells(path)
    except OSError as e:
        raise UserError(f"{path} cannot be read ({e.strerror or e}); check the path") from e


def rounded(columns: Columns, values: Sequence[np.ndarray], x: Tensor) -> list[str]:
    """What float32 does not hold to the last digit."""
    found = []
    for column, was, now in zip(columns.all, values, columns.decode(x), strict=True):
        off = np.abs(now - was)
        if n := int((off > 1e-6 * np.maximum(np.abs(was), column.scale)).sum() if not column.step else (off > 0).sum()):
            found.append(
                f"{column.name}: {n:,} of {len(was):,} values come back up to {np.nanmax(off):.2g} off (float32)"
            )
    return found


def _side(path: Path, values: Sequence[np.ndarray], split: Split, holdout: float) -> Any:
    """Rows of a split, by a hash of what a row holds, so that equal ones are on one side."""
    if split == "test" and not holdout:
        raise NoSplit(f"{path} has no test split; use split all, or train with --holdout 0.1")
    if split == "all" or not holdout:
        return slice(None)
    whole = np.stack(values, 1)
    marks = np.array([int(digest(row.tobytes())[:16], 16) / 2.0**64 < holdout for row in whole])
    rows = torch.from_numpy(np.flatnonzero(marks == (split == "test")))
    if not len(rows):
        raise UserError(
            f"{path} has no {split} example of {len(whole)}; choose another --holdout, or 0 to set none aside"
        )
    return rows


def _parquet(path: Path) -> Cells:
    """The cells of a Parquet file, as the same table of text would have them."""
    with parquet.opened(path) as file:
        table = file.read()
    names = tuple(map(str, table.column_names))
    if odd := next((n for n in names if n.startswith("__index_level_")), None):
        table, names = table.drop_columns([odd]), tuple(n for n in names if n != odd)
    cells = [
        [_cell(path, name, v) for v in column.to_pylist()] for name, column in zip(names, table.columns, strict=True)
    ]
    rows = table.num_rows
    return Cells(names, cells, list(range(1, rows + 1)), ["it is a Parquet file: rows count from 1"], Form(",", False))


def _cell(path: Path, name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return replace_fraction(value)
    if isinstance(value, float):
        return "" if np.isnan(value) else repr(value)
    if isinstance(value, bool | int | str | date):
        return str(value).strip()
    raise UserError(f"{path}: {name} holds {type(value).__name__}; leave that column out of the file, or write text")


def replace_fraction(value: datetime) -> str:
    """A moment to the second, without a zone."""
    return value.replace(microsecond=0, tzinfo=None).isoformat(sep=" ")
