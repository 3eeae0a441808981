"""Array files: .npy and .npz pictures, and tables (.npy, .npz, .csv, .tsv, .txt), whose rows are vectors."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from triptych.core import Data, Split
from triptych.core.preparation import Preparation
from triptych.data.prepare import parquet
from triptych.data.prepare.arrays import recast
from triptych.data.source import Source, digest
from triptych.data.sources import delimited, digit_tables, foreign, npz, typed_tables
from triptych.data.sources.npz import Found
from triptych.data.sources.numpy_files import open_npy, open_npz
from triptych.data.sources.vectors import name_of, refuse_unlearnable, to_vectors
from triptych.errors import NoSplit, UserError
from triptych.system.notices import say

TEXTS = (".csv", ".tsv", ".txt")
SUFFIXES = (".npy", ".npz", parquet.ENDING, *TEXTS)
PART = 4096  # pictures looked at or changed at a time


@dataclass(frozen=True)
class Table(Source):
    """The array at `path`: uint8 (n, h, w), (n, h, w, c) or (n, c, h, w) are pictures, and floats in [0, 1], which
    `triptych sample` writes; (n, d) are vectors."""

    sets_aside: ClassVar[bool] = True
    tabular: ClassVar[bool] = True
    path: Path
    member: str = ""
    """the array of an .npz, or `pictures` for a text table whose rows are pictures; empty: chosen by the names in it"""
    learnable: bool = True
    """whether vectors that have no density are refused: not finite, or constant in a column"""

    @property
    def summary(self) -> str:
        return f"the array {self.path}"

    def part(self, name: str) -> Source:
        """The array `name` of the file."""
        return replace(self, member=name)

    def load(self, name: str, split: Split, how: Preparation) -> Data:
        shown = self.path.stem
        if how.columns:
            return typed_tables.load(self.path, split, how)
        try:
            found = _read(self.path, self.member)
        except delimited.NotNumbers:
            if self.member:
                raise
            return typed_tables.load(self.path, split, how)
        a = found.x
        pictures = (a.dtype in (np.uint8, np.bool_) or a.dtype.kind == "f") and a.ndim in (3, 4)
        if not pictures and a.ndim != 2:
            raise UserError(
                f"{self.path} has the shape {a.shape} of {a.dtype}; give vectors (n, d), or pictures (n, h, w), "
                "(n, h, w, c) or (n, c, h, w), uint8 or floats in [0, 1]"
            )
        if not pictures and how != Preparation(holdout=how.holdout):
            raise UserError(f"{self.path} is a table, not pictures; drop the preparation options but --holdout")
        origin: tuple[float, ...] = ()
        if pictures:
            x = _pictures(self.path, a, found.taken)
        else:
            if self.learnable:
                refuse_unlearnable(self.path, a, found.columns)
            x, origin = to_vectors(self.path, a, found.columns, found.taken)
            constant = torch.nonzero(x.amax(0) == x.amin(0)).flatten().tolist()
            if self.learnable and constant and len(x) > 1:
                where = name_of(found.columns, constant[0])
                raise UserError(f"{self.path}: {where} varies by less than float32 can hold; give it in another unit")
        rows = _side(self.path, x, split, how.holdout, found.sides)
        for text in found.taken:
            say(f"{self.path}: {text}")
        original = digest(x, *([str(origin)] if origin else []))
        if pictures:
            x = recast(x, how, shown, original)
        file = _file(a, x, rows) if pictures else None
        x, y = x[rows], None if found.labels is None else torch.from_numpy(found.labels)[rows]
        mark = digest(original, "" if y is None else digest(y), how.identity(), f"{split} {how.holdout}")
        about = {"name": shown, "source": str(self.path), "count": len(x), "preparation": how.plain()}
        about |= {"taken": found.taken} if found.taken else {}
        return Data(
            shown,
            x,
            split,
            y,
            {k: torch.from_numpy(v)[rows] for k, v in found.factors.items()},
            mark,
            classes=() if found.labels is None else tuple(map(str, range(int(found.labels.max(initial=0)) + 1))),
            columns=found.columns,
            origin=origin,
            file=file,
            about=about,
        )

    @classmethod
    def at(cls, path: Path) -> Source | None:
        """The table at a path, chosen by its suffix; a Parquet file with a column of pictures is none."""
        if not path.is_file() or path.suffix.lower() not in SUFFIXES:
            return None
        return None if path.suffix.lower() == parquet.ENDING and parquet.has_pictures(path) else Table(path)


def numbers(path: Path) -> np.ndarray:
    """The one array of an .npy, .npz or text table, as it is; UserError where there is none."""
    return _read(path, "").x


def _read(path: Path, member: str) -> Found:
    """What the file holds, opened by its content, whatever its name says."""
    try:
        kind, text = foreign.kind(path), path.suffix.lower() in TEXTS
        if kind == "parquet":
            raise delimited.NotNumbers(f"{path} is a Parquet file; its columns are typed")
        if kind in foreign.ADVICE:
            raise UserError(f"{path} {foreign.ADVICE[kind]}")
        if kind == "npy":
            if member:
                raise UserError(f"{path} holds one array without a name; leave :{member} out")
            return Found(open_npy(path), taken=["it is an .npy file, whatever its name"] if text else [])
        if kind == "zip":
            with open_npz(path) as z:
                return npz.find(z, member)
        if not text:
            raise UserError(
                f"{path} is not an array file that can be read (it does not begin as one); save it with numpy, or name "
                "a table of text .csv"
            )
        table = delimited.read_table(path)
    except OSError as e:
        raise UserError(f"{path} cannot be read ({e.strerror or e}); check the path") from e
    if member not in ("", digit_tables.PICTURES):
        raise UserError(
            f"{path} is one table; leave :{member} out, or say :{digit_tables.PICTURES} if rows are pictures"
        )
    if member or digit_tables.named(table.columns):
        return digit_tables.pictures(path, table)
    return Found(table.x, columns=table.columns, taken=table.taken)


def _pictures(path: Path, a: np.ndarray, taken: list[str]) -> torch.Tensor:
    """uint8 (n, c, h, w); pictures of 0 and 1 become black and white, floats between them the nearest grey."""
    if a.ndim == 3:
        a = a[:, None]
    elif a.shape[1] not in (1, 3) and a.shape[3] in (1, 3):
        a = a.transpose(0, 3, 1, 2)
    if a.shape[1] not in (1, 3) or 0 in a.shape:
        raise UserError(f"{path} has the shape {a.shape}; pictures have 1 or 3 channels and at least a pixel")
    if a.dtype.kind == "f":
        return _rounded(path, a, taken)
    binary = a.dtype == np.bool_ or all(part.max() <= 1 for part in _parts(a))
    if binary and any(part.max() for part in _parts(a)):
        taken.append(npz.WHITENED)
        out = np.empty(a.shape, np.uint8)
        for part, to in zip(_parts(a), _parts(out), strict=True):
            np.multiply(part, 255, out=to, dtype=np.uint8, casting="unsafe")
        a = out
    return torch.from_numpy(np.ascontiguousarray(a, np.uint8))


def _rounded(path: Path, a: np.ndarray, taken: list[str]) -> torch.Tensor:
    """Floats in [0, 1] to the nearest of 256 greys, (n, c, h, w); UserError for others."""
    out = np.empty(a.shape, np.uint8)
    for part, to in zip(_parts(a), _parts(out), strict=True):
        low, high = float(part.min()), float(part.max())
        if not (low >= 0 and high <= 1):  # NaN is neither
            raise UserError(
                f"{path} holds pictures of {a.dtype} from {low:g} to {high:g}; floats must lie in [0, 1]: scale them, "
                "or give uint8"
            )
        to[:] = np.rint(part.astype(np.float32) * 255)
    taken.append("pictures of floats in [0, 1] are rounded to 256 greys")
    return torch.from_numpy(out)


def _file(a: np.ndarray, x: torch.Tensor, rows: torch.Tensor | slice) -> tuple[Path, int] | None:
    """Where the rows of x lie side by side on disk, if they are those of the mapped array."""
    if not isinstance(a, np.memmap) or not isinstance(rows, slice) or a.filename is None:
        return None
    if x.data_ptr() != a.ctypes.data:  # turned round, or made black and white
        return None
    return Path(os.fspath(a.filename)), a.offset + (rows.start or 0) * x[0].numel()


def _parts(a: np.ndarray) -> list[np.ndarray]:
    return [a[i : i + PART] for i in range(0, len(a), PART)]


def _side(path: Path, x: torch.Tensor, split: Split, holdout: float, sides: np.ndarray | None) -> torch.Tensor | slice:
    """Rows of a split: of the file's own, or by a hash of each example's bytes, so that equal ones are on one side."""
    if sides is not None and holdout and (sides == 1).any():
        raise UserError(f"{path} has a test split of its own, which --split train keeps aside; drop --holdout")
    if split == "all":
        return slice(None)
    if sides is not None:
        rows = torch.nonzero(torch.from_numpy(sides) == (split == "test")).flatten()
    elif holdout:
        marks = [int(digest(row.numpy().tobytes())[:16], 16) / 2.0**64 < holdout for row in x]
        rows = torch.nonzero(torch.tensor(marks) == (split == "test")).flatten()
    elif split == "test":
        raise NoSplit(f"{path} has no test split; use split all, or train with --holdout 0.1")
    else:
        return slice(None)
    if not len(rows):
        raise UserError(f"{path} has no {split} example of {len(x)}; choose another --holdout, or 0 to set none aside")
    first, last = int(rows[0]), int(rows[-1])
    return slice(first, last + 1) if last - first + 1 == len(rows) else rows
