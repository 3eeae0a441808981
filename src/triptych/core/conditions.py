"""Columns of a table, and known factors, as the numbers that examples are conditioned on.

A column of categories is a number for each of its values, one of them 1 and the others 0. A date is its days, minutes
or seconds since 1970, which float32 holds to the day, to two minutes and to 128 seconds. Any other is the number that
it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from triptych.core.columns import Column
from triptych.errors import UserError, nearest

SHOWN = 12
"""Names of columns in a message."""


def names_of(columns: Sequence[Column]) -> tuple[str, ...]:
    """Names (k,) of the numbers: COLUMN, or COLUMN=VALUE for each value of categories."""
    each = ([f"{c.name}={v}" for v in c.values] if c.kind == "category" else [c.name] for c in columns)
    return tuple(itertools.chain(*each))


def numbers_of(columns: Sequence[Column], values: Sequence[np.ndarray]) -> Tensor:
    """float32 (n, k) of the columns' values (n,) each, none of them missing."""
    pairs = zip(columns, values, strict=True)
    parts = [np.eye(len(c.values))[v.astype(int)] if c.kind == "category" else v for c, v in pairs]
    return torch.from_numpy(np.column_stack(parts)).float()


def parts_of(columns: Sequence[Column], rows: Tensor) -> list[Tensor]:
    """The numbers of each column, (n, k of the column)."""
    return list(rows.split([len(c.values) if c.kind == "category" else 1 for c in columns], 1))


def cells_of(columns: Sequence[Column], rows: Tensor) -> dict[str, list[str]]:
    """Rows of numbers (n, k) as cells of a table, by the names of its columns.

    Shares of categories, which no cell can hold, are a column of each.
    """
    cells = dict[str, list[str]]()
    for column, part in zip(columns, parts_of(columns, rows), strict=True):
        one = bool(((part == 0) | (part == 1)).all() and (part.sum(1) == 1).all())
        if column.kind == "category" and one:
            cells[column.name] = column.write(part.argmax(1).double().numpy())
        elif column.kind == "date":
            cells[column.name] = column.write(part[:, 0].double().numpy())
        else:
            for name, numbers in zip(names_of([column]), part.numpy().T, strict=True):
                cells[name] = [np.format_float_positional(v, trim="-") for v in numbers]
    return cells


def row_asked(columns: Sequence[Column], words: Sequence[str]) -> Tensor:
    """The row (k,) of NAME=VALUE words, a value as a cell of the table has it, or NAME=CATEGORY=SHARE.

    UserError for a name that is not there or lacks, and for what is no value of the column.
    """
    known, found = {c.name: c for c in (*columns, *shares(columns))}, dict[str, float]()
    for word in words:
        if "=" not in word:
            raise UserError(f"--given {word} has no value; write NAME=VALUE, such as {example(columns[0])}")
        at = [name for name in known if word.startswith(f"{name}=")]
        if not at:
            name, names = word.partition("=")[0], [c.name for c in columns]
            known_names = f"it is on {', '.join(names[:SHOWN])}{' and others' if len(names) > SHOWN else ''}"
            raise UserError(f"this model is not conditioned on {name!r}; {nearest(name, names, known_names)}")
        column = known[max(at, key=len)]
        row = numbers_of([column], [value_of(column, word, word.removeprefix(f"{column.name}="))])[0]
        mine = dict(zip(names_of([column]), row.tolist(), strict=True))
        if found.keys() & mine.keys():
            raise UserError(f"--given {word}: {column.name} has a value already; give it once")
        found |= mine
    if lacking := [c.name for c in columns if not found.keys() >= set(names_of([c]))]:
        asked = ", ".join(c.name for c in columns)
        raise UserError(f"--given lacks {', '.join(lacking)}; a sample is made to all of {asked}")
    return torch.tensor([found[name] for name in names_of(columns)])


def shares(columns: Sequence[Column]) -> list[Column]:
    """Each number of a column of categories as a column of its own."""
    return [Column(name, "number") for c in columns if c.kind == "category" for name in names_of([c])]


def value_of(column: Column, word: str, text: str) -> np.ndarray:
    """The value (1,) of a cell that a person typed; UserError for what is none of the column."""
    if column.kind == "category" and text not in column.values:
        raise UserError(f"--given {word}: {column.name} is one of {', '.join(column.values)}")
    wanted = f"a date as {column.form}" if column.kind == "date" else "a finite number"
    try:
        value = column.read([text])
    except UserError:  # of a cell in a row of a table
        raise UserError(f"--given {word}: {text!r} is not {wanted}; give one, such as {example(column)}") from None
    return value


def example(column: Column) -> str:
    """A word that could be given for a column."""
    value = 0.0 if column.kind == "category" else column.centre if column.kind == "date" else 1.0
    return f"{column.name}={column.text(value)}"


def unnamed(k: int) -> tuple[Column, ...]:
    """Columns of k numbers of which nobody has said what they are."""
    return tuple(Column(f"number {i + 1}", "number") for i in range(k))


def from_names(names: Sequence[str]) -> tuple[Column, ...]:
    """The columns of a run that recorded the names of its numbers alone: dates are numbers there."""
    made = dict[str, list[str]]()
    for name in names:
        column, _, value = name.partition("=")
        made.setdefault(column, []).append(value)
    several = {column: values for column, values in made.items() if len(values) > 1}
    return tuple(
        Column(column, "category", values=tuple(several[column])) if column in several else Column(name, "number")
        for column, name in {name.partition("=")[0]: name for name in names}.items()
    )


def shown(column: Column, value: float) -> str:
    """A number for people; a date as the column writes it."""
    return column.text(value) if column.kind == "date" else f"{value:.4g}"


def extent(column: Column, low: float, high: float) -> str:
    return f"{shown(column, low)} to {shown(column, high)}"


def told(columns: Sequence[Column], rows: Tensor) -> str:
    """The columns in words, with what is in these rows (n, k): `age (18 to 90), sex (f, m)`."""
    words = []
    for column, part in zip(columns, parts_of(columns, rows), strict=True):
        low, high = part[:, 0].min().item(), part[:, 0].max().item()
        within = ", ".join(column.values) if column.kind == "category" else extent(column, low, high)
        words.append(f"{column.name} ({within})")
    return ", ".join(words)


def beyond(columns: Sequence[Column], known: Tensor, row: Tensor) -> list[str]:
    """Which numbers and dates of a row (k,) lie outside those of `known` rows (n, k): `age=200 (18 to 90 there)`.

    By more than a tenth of their range, since these rows are some of many.
    """
    words = []
    for column, part, (value,) in zip(columns, parts_of(columns, known), parts_of(columns, row[None]), strict=True):
        low, high, mine = part[:, 0].min().item(), part[:, 0].max().item(), value[0].item()
        margin = 0.1 * (high - low)
        if column.kind != "category" and not low - margin <= mine <= high + margin:
            words.append(f"{column.name}={shown(column, mine)} ({extent(column, low, high)} there)")
    return words


def read_as(columns: Sequence[Column], own: Sequence[Column], rows: Tensor, where: str) -> Tensor:
    """Rows of numbers of `own` columns as those of other columns of the same names, (n, k).

    UserError for a value that has no place there: a category that is new.
    """
    cells: Mapping[str, list[str]] = cells_of(own, rows)
    return numbers_of(columns, [column.read(cells[column.name], where) for column in columns])
