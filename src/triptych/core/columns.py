"""Typed columns of a table, and the way between its rows and the vectors that models see.

A row becomes a vector, column after column:

- a *number* is (v + u − centre) / scale. u is uniform noise as wide as the smallest step that is written, 1 of whole
  numbers (dequantisation): nearly half a step each way, so that rounding undoes it. Where steps are so small that
  they cannot be seen, or no digit is the last, u is 0.
- a *date* is the number of days, minutes or seconds since 1970, and then treated as a whole number. What a model puts
  before the year 1000 or after 9999 is the first or last moment of these, which formats can still write.
- a *category* is one-hot; of two, one number, 0 or 1. Each gets noise of less than a half each way.
- where cells are missing, an indicator stands behind a number, whose own place is then filled with one of the values
  that are there, drawn at random. A missing category is one more category.
- a column that is always the same takes no place in the vector, and comes back all the same.

`Columns.decode` undoes this exactly for rows of the table, as far as float32 holds them, and makes a row of the same
types of any vector. What a cell holds is float64: the value, the number of its category, NaN where it is missing.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from triptych.core.row_noise import RowNoise
from triptych.errors import UserError

Kind = Literal["number", "date", "category"]
KINDS = ("number", "date", "category")
EPOCH = datetime(1970, 1, 1)
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-", "#n/a"})
"""Cells that say that nothing is known, in lower case."""
COARSE = 4096
"""Steps of a column in its scale, from which on they are too fine to be dequantised."""
LEAST, MOST = datetime(1000, 1, 1), datetime(9999, 12, 31, 23, 59, 59)
"""Dates that four digits of a year can say."""


def is_missing(cell: str) -> bool:
    return cell.strip().lower() in MISSING


def unit(form: str) -> int:
    """Seconds of the smallest unit that a format of dates tells: a day, a minute or a second."""
    return 1 if "%S" in form else 60 if "%H" in form else 86_400


@dataclass(frozen=True)
class Column:
    """One column: its type, and what it takes to encode it. Values are those of the table that it was found in."""

    name: str
    kind: Kind
    centre: float = 0.0
    scale: float = 0.0
    """of a number or a date; 0 where all values are `centre`"""
    decimals: int | None = None
    """digits behind the point that are written, 0 of whole numbers; None: as many as it takes"""
    form: str = ""
    """of a date, as strftime has it"""
    values: tuple[str, ...] = ()
    """of a category"""
    missing: bool = False
    """whether cells may be missing"""

    @property
    def choices(self) -> int:
        """Categories, a missing one counted."""
        return len(self.values) + self.missing

    @property
    def width(self) -> int:
        """Numbers of the vector that it takes."""
        if self.kind == "category":
            return {0: 0, 1: 0, 2: 1}.get(self.choices, self.choices)
        return int(self.scale > 0) + int(self.missing)

    @property
    def step(self) -> float:
        """Smallest difference between two values that are written; 0: any."""
        return 0.0 if self.decimals is None else 10.0**-self.decimals

    @property
    def places(self) -> tuple[str, ...]:
        """Names of its numbers in the vector."""
        if self.kind == "category":
            texts = [*self.values, *(["missing"] if self.missing else [])]
            return tuple(f"{self.name} = {text}" for text in (texts[1:] if self.width == 1 else texts[: self.width]))
        return (self.name,) * (self.scale > 0) + (f"{self.name} is missing",) * self.missing

    @property
    def said(self) -> str:
        """Its type in a few words."""
        if self.kind == "category" and not self.values:
            return f"{self.name} always empty"
        if self.kind == "category":
            words = f"{len(self.values)} categories" if len(self.values) != 1 else "always the same"
        elif self.scale == 0:
            words = "always the same"
        elif self.kind == "date":
            words = f"dates as {self.form}"
        else:
            words = "whole numbers" if self.decimals == 0 else "numbers"
        return f"{self.name} {words}{' (some missing)' if self.missing else ''}"

    # ---------------------------------------------------------------------------------- values and vectors

    def encode(self, values: np.ndarray, noise: np.random.Generator | RowNoise | None) -> np.ndarray:
        """float64 (n, width) of values (n,); without `noise` every value is in the middle of what it may become.

        With noise of each row alone a missing number is the centre, as without: which others there are tells nothing.
        """
        gone = np.isnan(values)
        if self.kind == "category":
            codes = np.where(gone, len(self.values), values).astype(np.int64)
            flat = codes[:, None] == (np.arange(1, 2) if self.width == 1 else np.arange(self.width))
            return flat + bell(flat.shape, noise)
        parts = []
        if self.scale > 0:
            there = values[~gone]
            filled = values.copy()
            if isinstance(noise, np.random.Generator) and len(there):
                filled[gone] = noise.choice(there, int(gone.sum()))
            else:
                filled[gone] = self.centre
            if noise is not None and self.scale < COARSE * self.step:
                filled = filled + self.step * (noise.random(len(filled)) - 0.5) * 0.96
            parts.append((filled - self.centre) / self.scale)
        if self.missing:
            parts.append(gone + bell(gone.shape, noise))
        return np.stack(parts, 1) if parts else np.empty((len(values), 0))

    def decode(self, x: np.ndarray) -> np.ndarray:
        """Values (n,) of float64 (n, width)."""
        if self.kind == "category":
            if self.width:
                code = (x[:, 0] > 0.5).astype(np.float64) if self.width == 1 else x.argmax(1).astype(np.float64)
            else:
                code = np.zeros(len(x))
            return np.where(code >= len(self.values), np.nan, code)
        value = x[:, 0] * self.scale + self.centre if self.scale > 0 else np.full(len(x), self.centre)
        if self.decimals is not None:
            value = np.round(value, self.decimals)
        if self.kind == "date":
            seconds = unit(self.form)
            low, high = ((at - EPOCH) // timedelta(seconds=seconds) for at in (LEAST, MOST))
            value = np.clip(value, low, high)
        return np.where(x[:, -1] > 0.5, np.nan, value) if self.missing else value

    # -------------------------------------------------------------------------------------- values and text

    def read(self, cells: Sequence[str], where: str = "") -> np.ndarray:
        """Values (n,) of cells; UserError for one that is not of this type."""
        codes = {text: i for i, text in enumerate(self.values)}
        found = np.empty(len(cells))
        for i, cell in enumerate(cells):
            if is_missing(cell) and cell not in codes:
                if not self.missing:
                    raise UserError(f"{where}{self.name} is empty in row {i + 1}, and never was in training; fill it")
                found[i] = np.nan
                continue
            try:
                found[i] = codes[cell] if self.kind == "category" else self.value(cell)
            except (KeyError, ValueError):
                known = f"one of {', '.join(self.values[:6])}{', ...' if len(self.values) > 6 else ''}"
                wanted = {"category": known, "date": f"a date as {self.form}", "number": "a number"}[self.kind]
                raise UserError(f"{where}{self.name} is {cell[:40]!r} in row {i + 1}, and should be {wanted}") from None
        return found

    def value(self, cell: str) -> float:
        """Of a number or a date; ValueError for another text."""
        if self.kind == "date":
            return moment(cell, self.form)
        value = float(cell)
        if not math.isfinite(value):
            raise ValueError(cell)
        return value

    def write(self, values: np.ndarray) -> list[str]:
        """Cells of values (n,), empty where they are missing."""
        return ["" if np.isnan(v) else self.text(float(v)) for v in values]

    def text(self, value: float) -> str:
        if self.kind == "category":
            return self.values[int(value)]
        if self.kind == "date":
            return (EPOCH + timedelta(seconds=value * unit(self.form))).strftime(self.form)
        if self.decimals is None:
            return f"{value:.7g}"
        text = f"{value:.{self.decimals}f}"
        return text.removeprefix("-") if float(text) == 0 else text

    def told(self) -> dict[str, Any]:
        """Plain JSON values; what has its default is left out."""
        found = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        found["values"] = list(self.values)
        plain = {f.name: f.default for f in dataclasses.fields(self)} | {"values": []}
        return {k: v for k, v in found.items() if v != plain[k]}


def moment(cell: str, form: str) -> float:
    """Units since 1970 of a date in a format; ValueError where it is none."""
    at = datetime.strptime(cell, form)
    if at < LEAST:
        raise ValueError(cell)
    return float((at - EPOCH) / timedelta(seconds=unit(form)))


def bell(shape: tuple[int, ...], noise: np.random.Generator | RowNoise | None) -> np.ndarray:
    """Noise within a half of 0, the rarer the farther: the middle of two uniform numbers."""
    return (noise.random(shape) + noise.random(shape) - 1) * 0.499 if noise is not None else np.zeros(shape)


@dataclass(frozen=True)
class Columns:
    """The columns of a typed table, in its order."""

    all: tuple[Column, ...]

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where each column lies in the vector."""
        ends = np.cumsum([0, *(column.width for column in self.all)]).tolist()
        return tuple(slice(a, b) for a, b in itertools.pairwise(ends))

    @property
    def width(self) -> int:
        return sum(column.width for column in self.all)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.all)

    @property
    def places(self) -> tuple[str, ...]:
        """Names of the numbers of the vector."""
        return tuple(place for column in self.all for place in column.places)

    def encode(self, values: Sequence[np.ndarray], seed: int | None = 0) -> Tensor:
        """float32 (n, width) of the columns' values (n,) each; the noise is of `seed`, None: there is none."""
        return self._encoded(values, None if seed is None else np.random.default_rng(seed))

    def encode_rows(self, values: Sequence[np.ndarray]) -> Tensor:
        """As `encode`, but a row is the same vector whatever table it stands in."""
        return self._encoded(values, RowNoise(values))

    def _encoded(self, values: Sequence[np.ndarray], noise: np.random.Generator | RowNoise | None) -> Tensor:
        parts = [column.encode(v, noise) for column, v in zip(self.all, values, strict=True)]
        return torch.from_numpy(np.concatenate(parts, 1).astype(np.float32))

    def decode(self, x: Tensor) -> list[np.ndarray]:
        """Values (n,) of each column; UserError where vectors are not finite or not of this width."""
        if x.dim() != 2 or x.shape[1] != self.width:
            raise UserError(f"these rows take vectors of {self.width} numbers, not of shape {tuple(x.shape)}")
        if bad := int((~torch.isfinite(x)).any(1).sum()):
            raise UserError(f"{bad} of {len(x)} vectors hold NaN or infinite numbers; the model has diverged")
        flat = x.detach().cpu().double().numpy()
        return [column.decode(flat[:, part]) for column, part in zip(self.all, self.slices, strict=True)]

    def canonical(self, x: Tensor) -> Tensor:
        """The vectors of the rows that x stands for, without noise: equal rows are equal vectors."""
        return self.encode(self.decode(x), None)

    def read(self, columns: Mapping[str, Sequence[str]], where: str = "") -> list[np.ndarray]:
        """Values of a table's cells, found by the names of its columns; UserError where one lacks or does not fit."""
        lacking = [name for name in self.names if name not in columns]
        if lacking:
            raise UserError(
                f"{where}there is no column {lacking[0]!r}, which is needed; its columns are {', '.join(columns)}"
            )
        return [column.read(columns[column.name], where) for column in self.all]

    def write(self, values: Sequence[np.ndarray]) -> dict[str, list[str]]:
        """Cells by the names of the columns."""
        return {column.name: column.write(v) for column, v in zip(self.all, values, strict=True)}

    def told(self) -> list[dict[str, Any]]:
        """Plain JSON values."""
        return [column.told() for column in self.all]


def read_back(told: Sequence[Mapping[str, Any]]) -> Columns:
    """The columns that `Columns.told` wrote."""
    return Columns(tuple(Column(**{**one, "values": tuple(one.get("values", ()))}) for one in told))
