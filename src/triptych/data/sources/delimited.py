"""Text tables: rows of cells between commas, semicolons, tabs or spaces, with or without a row of names.

What was taken for the separator, the decimal sign and the header is said; a first row that may be either is asked.
`read_table` takes cells that are all numbers, `read_cells` any.
"""

from __future__ import annotations

import csv
import itertools
import math
import re
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from triptych.errors import UserError

NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}
LINE = 1 << 26  # characters of a row that the separator is told by
LOOK = 20  # rows that the separator is told by
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
COMMA = re.compile(r"[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
BEYOND = 2.0**53
"""From here on float64 skips whole numbers."""
MISSING = {"", "na", "n/a", "null", "none", "?", "-", "#n/a"}


@dataclass(frozen=True)
class Text:
    """The numbers float64 (n, d), the names of the columns where there are any, and what was taken for what."""

    x: np.ndarray
    columns: tuple[str, ...]
    taken: list[str]


class NotNumbers(UserError):
    """A cell below the header is no number: the table may be one of typed columns."""


@dataclass(frozen=True)
class Cells:
    """The cells of a table column by column, numbers with decimal points, and the line that each row stands in."""

    columns: tuple[str, ...]
    cells: list[list[str]]
    lines: list[int]
    taken: list[str]
    form: Form


@dataclass(frozen=True)
class Form:
    """How the rows of a table are written."""

    separator: str
    comma: bool
    """whether the decimal sign is a comma"""

    def is_number(self, cell: str) -> bool:
        """Whether a cell is a number in this notation."""
        return bool((COMMA if self.comma else NUMBER).fullmatch(cell.strip()))

    def number(self, cell: str) -> float:
        """The value of such a cell."""
        return float(cell.replace(",", ".") if self.comma else cell)

    def __str__(self) -> str:
        return f"cells between {NAMES[self.separator]}" + (", decimal commas" if self.comma else "")


def read_table(path: Path) -> Text:
    """The numbers of a text table; `NotNumbers` that names the row and the column of what is none."""
    with _opened(path) as f:
        return _read(path, f)


def read_cells(path: Path) -> Cells:
    """The cells of a text table, whatever they hold; UserError where rows are not equally long."""
    with _opened(path) as f:
        start = _begin(path, f)
        cells: list[list[str]] = [[] for _ in range(start.width)]
        lines = []
        for line, row in start.rows:
            _check_width(path, line, row, start)
            lines.append(line)
            for column, cell in zip(cells, row, strict=True):
                text = cell.strip()
                column.append(text.replace(",", ".") if start.form.comma and start.form.is_number(text) else text)
        columns = start.columns or tuple(f"column {j + 1}" for j in range(start.width))
        first = [start.form.number(cell) if start.form.is_number(cell) else math.nan for cell in cells[0]]
        if start.nameless and _counts(np.array(first)[:, None].repeat(start.width, 1)):
            raise UserError(f"{path}: {COUNTS}")
        return Cells(columns, cells, lines, start.told(), start.form)


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as f:
            yield f
    except UnicodeDecodeError as e:
        raise UserError(f"{path} is not text in UTF-8 ({e.reason} at byte {e.start}); save it as UTF-8") from e
    except csv.Error as e:
        text = f"a cell of more than {csv.field_size_limit():,} characters" if "field limit" in str(e) else str(e)
        raise UserError(f"{path} is not a table of numbers ({text}); check its quotes and separators") from e


def head(path: Path, rows: int = 1) -> list[list[str]]:
    """The first rows, as cells; none where the file is no text table."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as f:
            first = list(itertools.islice(_lines(f), LOOK))
        return [cells for _, cells in itertools.islice(_rows(first, form_of(first)), rows)]
    except (UnicodeDecodeError, csv.Error, OSError):
        return []


def form_of(lines: list[str]) -> Form:
    """The separator that cuts the first rows into equally many cells, most of them numbers; a comma where none does.

    Where no cell is a number the first one that cuts them so.
    """
    best, score = Form(",", False), -1.0
    for separator in NAMES:
        for comma in (False, True):
            form = Form(separator, comma)
            if separator == "," and comma:
                continue
            try:
                rows = [cells for _, cells in _rows(lines, form)]
            except csv.Error:  # a whole row in one cell, which is too long
                continue
            widths = {len(cells) for cells in rows}
            width = max(widths, default=0)
            if width < 2 or len(widths) > 1:
                continue
            body = rows[1:] or rows
            cells = [c for row in body for c in row]
            good = sum(form.is_number(c) for c in cells) / len(cells)
            if good > score:
                best, score = form, good
    return best


def _lines(f: IO[str]) -> Iterator[str]:
    """Lines that hold anything, each of a bearable length."""
    while line := f.readline(LINE):
        if line.strip():
            yield line


def _rows(lines: Iterable[str], form: Form, blank: list[int] | None = None) -> Iterator[tuple[int, list[str]]]:
    """Number of the line and cells of every row that has any cell which is not blank.

    Of a whole file `blank` takes the lines of the others, and a quote that is not closed is an error.
    """
    if form.separator == " ":
        yield from ((n, line.split()) for n, line in enumerate(lines, 1) if line.strip())
        return
    reader, began = csv.reader(lines, delimiter=form.separator, strict=blank is not None), 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as e:
            if "unexpected end" in str(e):
                raise csv.Error(f"a cell from line {began} on begins with a quote that is closed nowhere") from e
            raise
        if cells is None:
            return
        began = reader.line_num + 1
        if any(cell.strip() for cell in cells):
            yield reader.line_num, cells
        elif cells and blank is not None:
            blank.append(reader.line_num)


@dataclass(frozen=True)
class _Start:
    """A table whose header is read."""

    form: Form
    columns: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]
    width: int
    taken: list[str]
    blank: list[int]
    """lines of rows whose cells are all empty, once the rows are read"""
    nameless: bool
    """whether the first column has no name"""

    def told(self) -> list[str]:
        """What was taken for what, and what was left out."""
        n = len(self.blank)
        return self.taken + ([f"rows of empty cells left out: {n:,}, the first in line {self.blank[0]}"] if n else [])


def _begin(path: Path, f: IO[str]) -> _Start:
    first = list(itertools.islice(_lines(f), LOOK))
    if not first:
        raise UserError(f"{path} is empty; give a table with a row per example")
    form = form_of(first)
    f.seek(0)
    blank: list[int] = []
    rows = _rows(f, form, blank)
    line, cells = next(rows)
    cells = [cells[0].lstrip("\ufeff# "), *cells[1:]]
    numbers = [form.is_number(c) for c in cells]
    columns: tuple[str, ...] = ()
    if any(numbers) and not all(numbers):
        a, b = cells[numbers.index(True)], cells[numbers.index(False)]
        other = f"{b[:40]!r} is none" if b.strip() else "another cell is empty"
        raise UserError(
            f"{path}, line {line} may be names or data: {a[:40]!r} is a number and {other}; {_advice(b, form)}, "
            "or give every column a name that is no number"
        )
    if all(c.strip().lower() in MISSING for c in cells):
        raise UserError(f"{path}, line {line} holds neither names nor numbers; fill or drop the row")
    nameless = not cells[0].strip()
    taken = [str(form)] if form != Form(",", False) and len(cells) > 1 else []
    if all(numbers):
        taken.append(f"no header: the first row ({', '.join(cells[:4])}{', ...' if len(cells) > 4 else ''}) is data")
        rows = itertools.chain([(line, cells)], rows)
    else:
        columns = tuple(c.strip() or f"column {j}" for j, c in enumerate(cells, 1))
        if again := next((name for j, name in enumerate(columns) if name in columns[:j]), None):
            raise UserError(f"{path}, line {line} names two columns {again!r}; give every column a name of its own")
        taken.append(f"first row taken as header: {', '.join(columns[:8])}{', ...' if len(columns) > 8 else ''}")
    return _Start(form, columns, rows, len(cells), taken, blank, nameless)


def _check_width(path: Path, line: int, row: list[str], start: _Start) -> None:
    if len(row) != start.width:
        advice = _separator(row, start.form)
        raise UserError(f"{path}, line {line} has {len(row)} cells, not {start.width}; {advice}")


def _read(path: Path, f: IO[str]) -> Text:
    start = _begin(path, f)
    form, columns, width, read = start.form, start.columns, start.width, array("d")
    for line, cells in start.rows:
        _check_width(path, line, cells, start)
        for j, cell in enumerate(cells):
            if not form.is_number(cell):
                raise NotNumbers(no_number(path, line, named(columns, j), cell, form))
            read.append(value := form.number(cell))
            if abs(value) >= BEYOND and lost(cell, value):
                raise UserError(
                    f"{path}, line {line}: {named(columns, j)} is {cell.strip()[:40]}, a whole number of more digits "
                    f"than are kept; drop the column, or take it with --columns '{named(columns, j)}=category'"
                )
    x = np.frombuffer(read, np.float64).reshape(-1, width) if read else np.empty((0, width))
    if start.nameless and _counts(x):
        raise UserError(f"{path}: {COUNTS}")
    return Text(x, columns, start.told())


def named(columns: tuple[str, ...], j: int) -> str:
    return columns[j] if columns else f"column {j + 1}"


def lost(cell: str, value: float) -> bool:
    """Whether a whole number is another one as float64."""
    text = cell.strip()
    return text.lstrip("+-").isdecimal() and int(text) != int(value)


COUNTS = "the first column has no name and counts the rows; drop it (pandas: index=False), or name it"


def no_number(path: Path, line: int, column: str, cell: str, form: Form) -> str:
    """What to say of a cell that is no number, where one should be."""
    what = "empty" if not cell.strip() else f"{cell[:40]!r}, not a number"
    return f"{path}, line {line}: {column} is {what}; {_advice(cell, form)}"


def _counts(x: np.ndarray) -> bool:
    return len(x) > 1 and x.shape[1] > 1 and bool((x[:, 0] == x[0, 0] + np.arange(len(x))).all())


def _advice(cell: str, form: Form) -> str:
    """What to do about a cell that is no number."""
    text = cell.strip()
    if text.lower() in MISSING:
        return "fill or drop the row"
    if re.fullmatch(r"[+-]?\d{1,3}([,.' ]\d{3})+([.,]\d+)?", text):
        return "write numbers without separators of thousands"
    if not form.comma and COMMA.fullmatch(text):
        return "use one decimal sign throughout, and semicolons between the cells if it is a comma"
    return "fill or drop the row" if not re.search(r"[;\t|]", text) else _separator([cell], form)


def _separator(cells: list[str], form: Form) -> str:
    others = [NAMES[s] for s in NAMES if s not in (form.separator, " ") and any(s in c for c in cells)]
    if others:
        return f"the cells are taken to lie between {NAMES[form.separator]}, and there are {others[0]} in them; use one"
    return "repair the table"
