"""Columns of two tables side by side: how far their marginals are apart, and how two columns go together in each.

Values (n,) are those of `core.columns`: a number, the number of a category, NaN where a cell is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from triptych.core.columns import Column, Columns

BINS = 8
"""Of a number in the table of a pair: as many real values in each."""
PAIRED = 30
"""Columns whose pairs are looked at, the first of a wider table: 435 pairs."""


def marginal(column: Column, real: np.ndarray, fake: np.ndarray) -> float:
    """Distance of two marginals, 0 to 1: total variation of categories, Kolmogorov and Smirnov's of numbers and dates.

    A missing cell is one more category, or a number below all others.
    """
    if column.kind == "category":
        shares = [np.bincount(codes(column, real, v), minlength=column.choices) / len(v) for v in (real, fake)]
        return float(np.abs(shares[0] - shares[1]).sum() / 2)
    a, b = (np.sort(np.nan_to_num(v, nan=-np.inf)) for v in (real, fake))
    at = np.concatenate([a, b])
    return float(np.abs(np.searchsorted(a, at, "right") / len(a) - np.searchsorted(b, at, "right") / len(b)).max())


def codes(column: Column, real: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Whole numbers from 0 in place of values: categories, or the bins of `edges`; missing cells come last."""
    if column.kind == "category":
        return np.where(np.isnan(values), len(column.values), values).astype(np.int64)
    inner = edges(real)
    return np.where(np.isnan(values), len(inner) + 1, np.searchsorted(inner, values, "right"))


def edges(real: np.ndarray) -> np.ndarray:
    """Inner edges of bins that hold equally many of the real values; fewer where many are the same."""
    there = real[~np.isnan(real)]
    return np.unique(np.quantile(there, np.arange(1, BINS) / BINS)) if len(there) else np.empty(0)


def contingency(a: np.ndarray, b: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Shares of the pairs of codes, of that shape."""
    return np.bincount(a * shape[1] + b, minlength=shape[0] * shape[1]).reshape(shape) / len(a)


def pair(columns: tuple[Column, Column], real: Sequence[np.ndarray], fake: Sequence[np.ndarray]) -> float:
    """Total variation of the contingency tables of two columns, 0 to 1."""
    sides = [[codes(c, r, v) for c, r, v in zip(columns, real, side, strict=True)] for side in (real, fake)]
    sizes = [int(max(a.max(), b.max())) + 1 for a, b in zip(*sides, strict=True)]
    tables = [contingency(a, b, (sizes[0], sizes[1])) for a, b in sides]
    return float(np.abs(tables[0] - tables[1]).sum() / 2)


def association(columns: tuple[Column, Column], values: Sequence[np.ndarray]) -> float:
    """How much two columns say of each other: 0 nothing, 1 everything; −1 to 1 of two numbers.

    Spearman's correlation of ranks of two numbers, the correlation ratio η of a category and a number (of its ranks),
    Cramér's V of two categories. Rows where a cell is missing do not count; 0 where nothing varies.
    """
    there = ~(np.isnan(values[0]) | np.isnan(values[1]))
    names = [c.kind == "category" for c in columns]
    a, b = (v[there].astype(np.int64) if name else ranks(v[there]) for v, name in zip(values, names, strict=True))
    if len(a) < 2:
        return 0.0
    if not any(names):
        spread = a.std() * b.std()
        return float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > 0 else 0.0
    if all(names):
        return cramer(contingency(a, b, (int(a.max()) + 1, int(b.max()) + 1)))
    group, number = (a, b) if names[0] else (b, a)
    count = np.bincount(group)
    means = np.bincount(group, number) / np.maximum(count, 1)
    between = (count * (means - number.mean()) ** 2).sum() / len(number)
    return float(np.sqrt(between / number.var())) if number.var() > 0 else 0.0


def cramer(table: np.ndarray) -> float:
    """Cramér's V of a contingency table of shares."""
    table = table[table.sum(1) > 0][:, table.sum(0) > 0]
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True)
    least = min(table.shape) - 1
    return float(np.sqrt((((table - expected) ** 2) / expected).sum() / least)) if least > 0 else 0.0


def ranks(values: np.ndarray) -> np.ndarray:
    """Mean ranks: equal values share one."""
    _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[inverse]


def marginals(columns: Columns, real: Sequence[np.ndarray], fake: Sequence[np.ndarray]) -> dict[str, float]:
    """`marginal` of every column that varies, by its name."""
    each = zip(columns.all, real, fake, strict=True)
    return {column.name: marginal(column, a, b) for column, a, b in each if column.width}


def pairs(columns: Columns, real: Sequence[np.ndarray], fake: Sequence[np.ndarray]) -> dict[tuple[int, int], float]:
    """`pair` of every two of the first `PAIRED` columns that vary, by their places in the table."""
    varied = [i for i, column in enumerate(columns.all) if column.width][:PAIRED]
    return {
        (i, j): pair((columns.all[i], columns.all[j]), (real[i], real[j]), (fake[i], fake[j]))
        for i, j in combinations(varied, 2)
    }


def associations(columns: Columns, values: Sequence[np.ndarray]) -> dict[tuple[int, int], float]:
    """`association` of the same pairs."""
    varied = [i for i, column in enumerate(columns.all) if column.width][:PAIRED]
    return {
        (i, j): association((columns.all[i], columns.all[j]), (values[i], values[j]))
        for i, j in combinations(varied, 2)
    }
