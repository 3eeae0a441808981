"""Columns of numbers and words, as whoever works in Python wants them."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def frame(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Rows as a pandas DataFrame where pandas is installed, else as a dictionary of arrays, one a column.

    A column holds floats, NaN where a row has none, unless one of its values is no number: then it holds objects, None
    where a row has none.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: column([row.get(name) for row in rows]) for name in names}
    if importlib.util.find_spec("pandas") is None:
        return columns
    import pandas  # pyright: ignore[reportMissingImports]

    return pandas.DataFrame(columns)


def column(values: Sequence[Any]) -> np.ndarray:
    """Numbers as numbers, whole ones as int64 where none is missing; anything else as objects."""
    plain = [v for v in values if v is not None]
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in plain):
        whole = len(plain) == len(values) and all(isinstance(v, int) and abs(v) < 2**63 for v in values)
        return np.array(values, np.int64) if whole else np.array(values, np.float64)
    made = np.empty(len(values), object)
    made[:] = values
    return made
