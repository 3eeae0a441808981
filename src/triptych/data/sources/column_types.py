"""The types of a table's columns, found from their cells or said by a person."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from triptych.core.columns import Column, is_missing, moment
from triptych.data.sources.delimited import NUMBER, Cells, no_number
from triptych.errors import UserError
from triptych.system.yaml_files import Reader

AUTO = "auto"
TYPES = ("integer", "number", "category", "date", "drop")
CATEGORIES = 100
"""Most categories of a column: more are a text of its own in each row, or somebody's key."""
FEW = 20
"""So many are categories even where there are hardly more rows."""
DIGITS = 6
"""Digits behind the point up to which all numbers of a column are taken to be rounded to them."""
DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%m.%d.%Y")
TIMES = (" %H:%M:%S", " %H:%M", "T%H:%M:%S", "T%H:%M", "T%H:%M:%SZ")
DATES = (*DAYS, *(day + time for day in DAYS for time in TIMES))
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d{2}(:\d{2}Z?)?)?")
DRESSED = re.compile(r"[$€£¥]?\s?[+-]?(\d+|\d{1,3}([,' ]\d{3})+)([.,]\d+)?\s?[%$€£¥]?")
"""A number as spreadsheets show it."""
NORMAL = 1.3489795  # quartiles of a Gaussian lie so many standard deviations apart


@dataclass(frozen=True)
class Place:
    """Where cells are, for messages."""

    path: Path
    table: Cells

    def of(self, row: int, name: str) -> str:
        return f"{self.path}, line {self.table.lines[row]}: {name}"


def words_of(words: Sequence[str]) -> tuple[str, ...]:
    """`NAME=TYPE` words, those in a .yaml file among them; `auto` is left out. UserError for anything else."""
    found: list[str] = []
    for word in words:
        if word == AUTO:
            continue
        if "=" not in word and word.lower().endswith((".yaml", ".yml")):
            found += _in_file(Path(word))
            continue
        name, equals, kind = word.rpartition("=")
        if not equals or not name or not (kind in TYPES or kind.startswith("date:")):
            raise UserError(
                f"--columns takes auto, a .yaml file or NAME=TYPE, not {word!r}; a type is one of {', '.join(TYPES)}, "
                "or date:FORMAT such as date:%d.%m.%Y"
            )
        found.append(word)
    return tuple(found)


def _in_file(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        raise UserError(f"{path} is not a file; give --columns a .yaml file with lines such as `age: integer`")
    reader = Reader(path.name)
    root = reader.root(path, "a file of columns")
    told = reader.mapping(root, "a file of columns")
    return words_of([f"{name}={reader.value(node)}" for name, node in told.items()])


def columns_of(path: Path, table: Cells, words: Sequence[str]) -> tuple[list[Column], list[np.ndarray]]:
    """The columns of a table and their values (n,) each; those that are dropped are not among them."""
    if doubled := [name for name, n in Counter(table.columns).items() if n > 1]:
        raise UserError(f"{path} has {doubled[0]!r} as the name of several columns; give each a name of its own")
    if not table.lines:
        raise UserError(f"{path} has no rows; give at least one example")
    asked = {name: kind for name, _, kind in (word.rpartition("=") for word in words_of(words))}
    if unknown := [name for name in asked if name not in table.columns]:
        raise UserError(f"--columns names {unknown[0]!r}, and the columns of {path} are {', '.join(table.columns)}")
    place, columns, values = Place(path, table), [], []
    for name, cells in zip(table.columns, table.cells, strict=True):
        if asked.get(name) == "drop":
            continue
        column = _column(place, name, cells, asked.get(name))
        columns.append(column)
        values.append(column.read(cells, f"{path}: "))
    fitted = [_scaled(column, v) for column, v in zip(columns, values, strict=True)]
    return fitted, values


def _column(place: Place, name: str, cells: list[str], asked: str | None) -> Column:
    """Its type, and what of it is no statistics."""
    there = [(i, cell) for i, cell in enumerate(cells) if not is_missing(cell)]
    missing = len(there) < len(cells)
    if not there:
        return Column(name, "category", missing=True)
    if asked is None:
        asked = _found(place, name, there)
    if asked in ("integer", "number"):
        decimals = _decimals(place, name, there, asked, rounded=missing)
        return Column(name, "number", decimals=decimals, missing=missing)
    if asked.startswith("date"):
        form = asked.partition(":")[2] or _form(place, name, there)
        for i, cell in there:
            if not fits(cell, form):
                raise UserError(
                    f"{place.of(i, name)} is {cell[:40]!r}, no date as {form}; write all of them in one format"
                )
        return Column(name, "date", decimals=0, form=form, missing=missing)
    counts = Counter(cell for _, cell in there)
    return Column(name, "category", values=tuple(sorted(counts)), missing=missing)


def _found(place: Place, name: str, there: list[tuple[int, str]]) -> str:
    """`integer`, `number`, `date` or `category`."""
    numbers = [(i, cell) for i, cell in there if NUMBER.fullmatch(cell)]
    if len(numbers) == len(there):
        kinds = {cell for _, cell in there}
        return "category" if kinds <= {"0", "1"} and len(kinds) == 2 else "integer" if _whole(there) else "number"
    if 2 * len(numbers) > len(there):
        i, cell = next(one for one in there if not NUMBER.fullmatch(one[1]))
        text = no_number(place.path, place.table.lines[i], name, cell, place.table.form)
        raise UserError(f"{text}, or take the column as names with --columns '{name}=category'")
    dates = [one for one in there if DATE.fullmatch(one[1])]
    if len(dates) == len(there):
        return "date"
    if 2 * len(dates) > len(there):
        i, cell = next(one for one in there if not DATE.fullmatch(one[1]))
        raise UserError(f"{place.of(i, name)} is {cell[:40]!r}, not a date as the others are; repair it")
    dressed = [one for one in there if DRESSED.fullmatch(one[1])]
    if 2 * len(dressed) > len(there):
        i, cell = next(one for one in dressed if not NUMBER.fullmatch(one[1]))
        raise UserError(
            f"{place.of(i, name)} is {cell[:40]!r}, a number with signs or separators; write plain numbers, or take "
            f"the column as names with --columns '{name}=category'"
        )
    different = len({cell for _, cell in there})
    if different > CATEGORIES or (different > FEW and 2 * different > len(there)):
        raise UserError(
            f"{place.path}: {name} has {different:,} different texts in {len(there):,} rows, which are no categories; "
            f"leave it out with --columns '{name}=drop'"
        )
    return "category"


def _whole(there: list[tuple[int, str]]) -> bool:
    """Whether all are written as whole numbers; with empty cells among them pandas writes 3.0 for 3."""
    return all(re.fullmatch(r"[+-]?\d+", cell) for _, cell in there)


def _decimals(place: Place, name: str, there: list[tuple[int, str]], asked: str, *, rounded: bool) -> int | None:
    """Digits behind the point; None where they say no rounding."""
    for i, cell in there:
        if not NUMBER.fullmatch(cell):
            raise UserError(no_number(place.path, place.table.lines[i], name, cell, place.table.form))
        if not np.isfinite(value := float(cell)):
            raise UserError(f"{place.of(i, name)} is infinite; drop or fill the row")
        if asked == "integer" and not value.is_integer():
            raise UserError(f"{place.of(i, name)} is {cell}, no whole number; take it as {name}=number")
        if abs(value) >= 2**53:
            raise UserError(
                f"{place.of(i, name)} is {cell[:40]}, beyond what is kept exactly; take {name}=category or drop"
            )
    if asked == "integer" or (rounded and all(re.fullmatch(r"[+-]?\d+(\.0*)?", cell) for _, cell in there)):
        return 0
    digits = [len(cell.partition(".")[2]) if "e" not in cell.lower() else DIGITS + 1 for _, cell in there]
    return max(digits) if max(digits) <= DIGITS else None


def fits(cell: str, form: str) -> bool:
    """Whether a cell is a date in a format."""
    try:
        moment(cell, form)
    except ValueError:
        return False
    return True


def _form(place: Place, name: str, there: list[tuple[int, str]]) -> str:
    """The one format that all dates of a column have; UserError where they have several, or may have."""
    forms = [form for form in DATES if fits(there[0][1], form)]
    for i, cell in there:
        left = [form for form in forms if fits(cell, form)]
        if not any(fits(cell, form) for form in DATES):
            raise UserError(f"{place.of(i, name)} is {cell[:40]!r}, no date; take the column as another type than date")
        if not left:
            raise UserError(_several(place, name, there))
        forms = left
    if len(forms) > 1 and any(len({moment(cell, form) for form in forms}) > 1 for _, cell in there):
        raise UserError(
            f"{place.of(there[0][0], name)} is {there[0][1]!r}, which may be {' or '.join(forms)}; say which: "
            f"--columns '{name}=date:{forms[0]}'"
        )
    return forms[0]


def _several(place: Place, name: str, there: list[tuple[int, str]]) -> str:
    """That dates of a column are written in several formats, each with an example."""
    left, seen = there, list[str]()
    while left:
        best = max(DATES, key=lambda form: sum(fits(cell, form) for _, cell in left[:1000]))
        i, cell = next((one for one in left if fits(one[1], best)), left[0])
        seen.append(f"{cell[:30]!r} in line {place.table.lines[i]}")
        rest = [one for one in left if not fits(one[1], best)]
        if len(rest) == len(left):
            break
        left = rest
    return f"{place.path}: {name} is written as dates in {len(seen)} formats ({', '.join(seen[:4])}); write all in one"


def _scaled(column: Column, values: np.ndarray) -> Column:
    """With the median and the spread between the quartiles, as the standard deviation of a Gaussian; where half of the
    values are the same, with the standard deviation."""
    there = values[~np.isnan(values)]
    if column.kind == "category" or not len(there):
        return column
    low, centre, high = np.quantile(there, (0.25, 0.5, 0.75))
    scale = (high - low) / NORMAL or there.std()
    if there.min() == there.max():
        centre, scale = there[0], 0.0
    return Column(**{**vars(column), "centre": float(centre), "scale": float(scale)})
