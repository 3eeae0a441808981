"""Array files: .npy and .npz pictures, and tables (.npy, .npz, .csv), whose rows are vectors."""

from __future__ import annotations

import csv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from triptych.core import Data, Split
from triptych.data.arrays import recast
from triptych.data.source import Source, digest
from triptych.errors import NoSplit, UserError
from triptych.preparation import Preparation

SUFFIXES = (".npy", ".npz", ".csv")
CLASSES = 1_000_000  # more are no classes


@dataclass(frozen=True)
class Table(Source):
    """The array at `path`: uint8 (n, h, w), (n, h, w, c) or (n, c, h, w) are pictures, (n, d) are vectors."""

    path: Path
    learnable: bool = True
    """whether vectors that have no density are refused: not finite, or constant in a column"""

    @property
    def summary(self) -> str:
        return f"the array {self.path}"

    def load(self, name: str, split: Split, how: Preparation) -> Data:
        shown = self.path.stem
        a, labels, columns = _read(self.path)
        pictures = a.dtype == np.uint8 and a.ndim in (3, 4)
        if not pictures and a.ndim != 2:
            raise UserError(
                f"{self.path} has the shape {a.shape} of {a.dtype}; give vectors (n, d), or uint8 pictures "
                "(n, h, w), (n, h, w, c) or (n, c, h, w)"
            )
        x = _pictures(self.path, a) if pictures else _vectors(self.path, a)
        if self.learnable and not pictures:
            _refuse_unlearnable(self.path, x, columns)
        if labels is not None and len(labels) != len(x):
            raise UserError(f"{self.path} has {len(x)} examples but {len(labels)} labels; make them match")
        if not pictures and how != Preparation(holdout=how.holdout):
            raise UserError(f"{self.path} is a table, not pictures; drop the preparation options but --holdout")
        rows = _side(self.path, x, split, how.holdout)
        original = digest(x)
        if pictures:
            x = recast(x, how, shown, original)
        x, y = x[rows], None if labels is None else torch.from_numpy(labels)[rows]
        mark = digest(original, "" if y is None else digest(y), how.identity(), f"{split} {how.holdout}")
        about = {"name": shown, "source": str(self.path), "count": len(x), "preparation": how.plain()}
        classes = () if y is None or not len(y) else tuple(map(str, range(int(y.max()) + 1)))
        return Data(shown, x, split, y, fingerprint=mark, classes=classes, columns=columns, about=about)


def _read(path: Path) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """The array, its labels or None, and names of columns."""
    try:
        if path.suffix.lower() == ".csv":
            a, columns = _csv(path)
            return a, None, columns
        if path.suffix.lower() == ".npy":
            return np.load(path, allow_pickle=False, mmap_mode="c"), None, ()
        with path.open("rb") as f, np.load(f, allow_pickle=False) as z:
            names = [n for n in ("x", "images", "data", "arr_0") if n in z.files] or z.files[:1]
            if not names:
                raise UserError(f"{path} holds no array; save one as x")
            labels = next((_labels(path, z[n]) for n in ("labels", "y") if n in z.files), None)
            return z[names[0]], labels, ()
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as e:
        if isinstance(e, UserError):
            raise
        text = "it holds Python objects" if "pickle" in str(e).lower() else str(e)
        raise UserError(f"{path} is not an array file that can be read ({text}); save plain numbers with numpy") from e


def _labels(path: Path, y: np.ndarray) -> np.ndarray:
    """int64 (n,); UserError for what numbers no classes."""
    fault = ""
    if y.dtype.kind not in "iub":
        fault = f"of {y.dtype}"
    elif y.ndim != 1:
        fault = f"of the shape {y.shape}"
    elif len(y) and y.min() < 0:
        fault = "with negative numbers"
    elif len(y) and y.max() >= CLASSES:
        fault = f"up to {y.max()}"
    if fault:
        raise UserError(f"{path} has labels {fault}; save one whole number from 0 up for each example, or none")
    return y.astype(np.int64)


def _csv(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Numbers of a comma-separated table; the first row gives the names unless it is numbers too."""
    with path.open(newline="", encoding="utf-8-sig") as f:
        rows = [(n, row) for n, row in enumerate(csv.reader(f), 1) if any(cell.strip() for cell in row)]
    if not rows:
        raise UserError(f"{path} is empty; give a table with a row per example")
    columns: tuple[str, ...] = ()
    if not all(_number(cell) for cell in rows[0][1]):
        columns, rows = tuple(cell.strip() for cell in rows[0][1]), rows[1:]
    width = len(columns) or len(rows[0][1])
    out = np.empty((len(rows), width))
    for i, (line, row) in enumerate(rows):
        if len(row) != width:
            raise UserError(f"{path}, line {line} has {len(row)} cells, not {width}; repair the table")
        for j, cell in enumerate(row):
            if not _number(cell):
                where = columns[j] if columns else f"column {j + 1}"
                raise UserError(f"{path}, line {line}: {where} is {cell!r}, not a number; fill or drop the row")
            out[i, j] = float(cell)
    return out, columns


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _vectors(path: Path, a: np.ndarray) -> torch.Tensor:
    """float32 (n, d), finite or not."""
    if a.dtype.kind not in "fiub":
        raise UserError(f"{path} holds {a.dtype}, not numbers; save floats or integers")
    if len(a) < 2 or a.shape[1] < 1:
        raise UserError(f"{path} has {a.shape[0]} row(s) of {a.shape[1]} column(s); give at least two examples")
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and treated as such
        return torch.from_numpy(np.array(a, np.float32))


def _refuse_unlearnable(path: Path, x: torch.Tensor, columns: tuple[str, ...]) -> None:
    """UserError for vectors that no density can be fitted to."""
    bad = ~x.isfinite()
    if bad.any():
        row, column = (int(v) for v in torch.nonzero(bad)[0])
        where = columns[column] if columns else f"column {column + 1}"
        count = int(bad.any(1).sum())
        raise UserError(
            f"{path} has {count:,} row(s) with NaN or infinite values, the first is row {row + 1} in {where}; "
            "drop or fill them"
        )
    constant = torch.nonzero(x.amax(0) == x.amin(0)).flatten().tolist()
    if constant:
        where = columns[constant[0]] if columns else f"column {constant[0] + 1}"
        raise UserError(
            f"{path}: {where} is constant ({x[0, constant[0]].item():g}), so it has no density; drop the column"
        )


def _pictures(path: Path, a: np.ndarray) -> torch.Tensor:
    """uint8 (n, c, h, w)."""
    if a.ndim == 3:
        a = a[:, None]
    elif a.shape[1] not in (1, 3) and a.shape[3] in (1, 3):
        a = np.ascontiguousarray(a.transpose(0, 3, 1, 2))
    if a.shape[1] not in (1, 3) or 0 in a.shape:
        raise UserError(f"{path} has the shape {a.shape}; pictures have 1 or 3 channels and at least a pixel")
    return torch.from_numpy(np.ascontiguousarray(a))


def _side(path: Path, x: torch.Tensor, split: Split, holdout: float) -> torch.Tensor | slice:
    """Rows of a split: by a hash of each example's bytes, so that equal examples are on one side."""
    if not holdout:
        if split == "test":
            raise NoSplit(f"{path} has no test split; set one aside with --holdout 0.1 or use split all")
        return slice(None)
    if split == "all":
        return slice(None)
    marks = [int(digest(row.numpy().tobytes())[:16], 16) / 2.0**64 < holdout for row in x]
    rows = torch.nonzero(torch.tensor(marks) == (split == "test")).flatten()
    if not len(rows):
        raise UserError(f"{path} has no {split} example of {len(x)}; choose another --holdout")
    return rows


def at(path: Path) -> Source | None:
    """The table at a path, told by its suffix."""
    return Table(path) if path.is_file() and path.suffix.lower() in SUFFIXES else None
