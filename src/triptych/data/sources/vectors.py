"""Tables of numbers as float32 vectors, without losing what their digits say.

A float32 has 24 bits. Seconds since 1970 or numbers of accounts need more, though they differ by little: cut to float32
they fall together. Such columns are counted from a round number near them, the column's *origin*, subtracted in
float64 before they are cut. Densities and distances are the same as of the uncut numbers; `Data.in_full` adds the
origins again.
"""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from triptych.core.counts import plural
from triptych.data.sources import digit_tables
from triptych.errors import UserError

TYPED = ", or add --columns auto, which gives it a type"
GAIN = 16  # a column is counted from an origin when that makes its numbers so many times smaller


def name_of(columns: tuple[str, ...], column: int) -> str:
    """What messages call a column."""
    return columns[column] if columns else f"column {column + 1}"


def check_table(path: Path, a: np.ndarray) -> None:
    """UserError for what holds no numbers, or too few."""
    if a.dtype.kind not in "fiub":
        raise UserError(f"{path} holds {a.dtype}, not numbers; save floats or integers")
    if not a.size:
        raise UserError(
            f"{path} has {plural(a.shape[0], 'row')} of {plural(a.shape[1], 'column')}; give at least one example"
        )


def to_vectors(
    path: Path, a: np.ndarray, columns: tuple[str, ...], taken: list[str]
) -> tuple[Tensor, tuple[float, ...]]:
    """float32 (n, d), finite or not, and the origins (d,), empty where all are 0. What was lost or moved is `taken`."""
    check_table(path, a)
    origins = [0.0] * a.shape[1]
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and treated as such
        x = np.array(a, np.float32)
        for j in range(a.shape[1]):
            column = a[:, j]
            if column.dtype.kind == "b" or column.dtype.itemsize <= 2 or column.dtype == np.float32:
                continue
            if (x[:, j] == column).all() or not np.isfinite(column).all():
                continue
            apart = len(np.unique(column))
            if len(np.unique(x[:, j])) == apart:
                continue
            origins[j] = origin(column)
            if origins[j]:
                x[:, j] = less(column, origins[j])
                taken.append(
                    f"{name_of(columns, j)} is counted from {origins[j]:.17g}, so that float32 keeps its digits"
                )
            if (kept := len(np.unique(x[:, j]))) < apart:
                taken.append(f"{name_of(columns, j)}: of {apart:,} different numbers float32 keeps {kept:,} apart")
    return torch.from_numpy(x), tuple(origins) if any(origins) else ()


def origin(column: np.ndarray) -> float:
    """A round number below all of a column, 0 where counting from it gains little."""
    kind = int if column.dtype.kind in "iu" else float
    low, high = kind(column.min()), kind(column.max())
    span = high - low
    if span <= 0 or max(abs(low), abs(high)) < GAIN * span:
        return 0.0
    digits = math.ceil(math.log10(span))
    unit = kind(10) ** digits if digits >= 0 else 10.0**digits
    return float(low // unit * unit)


def less(column: np.ndarray, start: float) -> np.ndarray:
    """column − start without rounding where both are whole numbers."""
    if column.dtype.kind in "iu" and float(start).is_integer():
        return (
            (column.astype(object) - int(start)).astype(np.float64)
            if column.dtype == np.uint64
            else column - int(start)
        )
    return column.astype(np.float64) - start


def refuse_unlearnable(path: Path, a: np.ndarray, columns: tuple[str, ...]) -> None:
    """UserError for vectors that no density can be fitted to: (n, d), as they are in the file."""
    check_table(path, a)
    with np.errstate(over="ignore"):
        bad = ~np.isfinite(a) | ~np.isfinite(a.astype(np.float32))
    if bad.any():
        row, column = (int(v) for v in np.argwhere(bad)[0])
        beyond = "" if not np.isfinite(a[row, column]) else " (beyond what float32 holds)"
        raise UserError(
            f"{path} has {int(bad.any(1).sum()):,} row(s) with NaN or infinite values, the first is row {row + 1} in "
            f"{name_of(columns, column)}{beyond}; drop or fill them{'' if beyond or np.isinf(a).any() else hint(path)}"
        )
    if len(a) == 1:  # it is constant, and may be scored; training refuses it for what it is, one row
        return
    constant = np.flatnonzero(a.max(0) == a.min(0))
    if len(constant):
        j = int(constant[0])
        raise UserError(
            f"{path}: {name_of(columns, j)} is constant ({float(a[0, j]):g}), so it has no density; drop the column"
            f"{hint(path)}{digit_tables.offer(path, a)}"
        )


def hint(path: Path) -> str:
    """That columns of text may have types, where this is such a table."""
    return TYPED if path.suffix.lower() in (".csv", ".tsv", ".txt") else ""


def csv_text(x: Tensor, columns: tuple[str, ...] = (), origin: tuple[float, ...] = ()) -> str:
    """Vectors (n, d) as a table of text, counted from 0: the fewest digits from which the same numbers are read."""
    names = columns or tuple(f"x{i}" for i in range(x.shape[1]))
    origins = [Decimal(repr(o)) for o in origin] or [Decimal(0)] * x.shape[1]
    lines = [",".join(_quoted(n) for n in names)]
    for row in x.numpy().astype(np.float32):
        lines.append(",".join(_digits(v, o) for v, o in zip(row, origins, strict=True)))
    return "\n".join(lines) + "\n"


def _digits(value: np.float32, start: Decimal) -> str:
    if not np.isfinite(value):
        return str(value)
    exact = Decimal(str(value)) + start
    if start and abs(exact) < 2**53:  # the fewest digits that float64 reads as the same
        exact = Decimal(repr(float(exact)))
    text = format(exact, "f") if start or value == 0 or 1e-5 <= abs(value) < 1e16 else str(value)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if set(name) & set(',;\t"\n') else name
