"""Where prepared sets and downloads live, and how several processes share them.

A prepared set is a folder: `images.npy` (uint8 NCHW, memory-mappable), `about.json` (options, counts, terms,
fingerprint), `index.json` (every source file: kept, or skipped and why) and, where there are any, `labels.npy`,
`sides.npy` (0 train, 1 test, 2 neither), `hashes.npy` (first 8 bytes of each source's SHA-256) and `factors.npz`.
It appears under its final name complete, or not at all.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from triptych.core import Data, Split
from triptych.errors import NoSplit, UserError
from triptych.system.files import exclusive

HEADER = 128  # bytes before the rows of an array file
IN_MEMORY = 1 << 29  # bytes: scattered rows that are more are gathered in a file


def root() -> Path:
    """$TRIPTYCH_CACHE, else $XDG_CACHE_HOME/triptych, else ~/.cache/triptych."""
    if own := os.environ.get("TRIPTYCH_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "triptych"


_only: ContextVar[Path | None] = ContextVar("collection", default=None)


@contextlib.contextmanager
def reading_from(collection: Path | None) -> Iterator[None]:
    """Within, named sets are read from that folder of data sets alone; None changes nothing."""
    token = _only.set(collection or _only.get())
    try:
        yield
    finally:
        _only.reset(token)


def collections() -> list[Path]:
    """Folders that may hold data sets under their names: $TRIPTYCH_DATA, ../shared/data, the downloads."""
    if (only := _only.get()) is not None:
        return [only]
    own = os.environ.get("TRIPTYCH_DATA")
    if own and not Path(own).is_dir():
        raise UserError(f"TRIPTYCH_DATA is {own!r}, which is not a folder; point it at one or unset it")
    places = [Path(own)] if own else []
    return [p for p in (*places, Path.cwd().parent / "shared" / "data", root() / "downloads") if p.is_dir()]


def plain(name: str) -> str:
    """A set's name, which may be a path, as the name of one file."""
    kept = "".join(c if c.isalnum() or c in "-_." else "_" for c in Path(name).name)
    return kept.strip("._")[:60] or "pictures"


@contextlib.contextmanager
def writing(what: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into messages."""
    try:
        yield
    except UserError:
        raise
    except OSError as e:
        if e.errno == 28:
            raise UserError(f"the disk is full while writing {what}; free space or set TRIPTYCH_CACHE") from e
        if isinstance(e, PermissionError) or e.errno == 30:
            raise UserError(f"{what} cannot be written ({e.strerror}); set TRIPTYCH_CACHE to a folder that can") from e
        raise


def build(name: str, key: str, make: Callable[[Path], None]) -> Path:
    """The folder of a prepared set; `make` fills it first where it is missing.

    `make` gets the same unfinished folder again after a kill, so it can go on where it stopped.
    """
    home = root() / "prepared"
    final = home / f"{name}-{key[:20]}"
    if (final / "about.json").is_file():
        return final
    with writing(home):
        home.mkdir(parents=True, exist_ok=True)
        with exclusive(home / f".{final.name}.lock"):
            if not (final / "about.json").is_file():
                partial = home / f".{final.name}.partial"
                partial.mkdir(exist_ok=True)
                try:
                    make(partial)
                except (UserError, OSError):  # nothing to go on with: bad input, or a full disk
                    shutil.rmtree(partial, ignore_errors=True)
                    raise
                shutil.rmtree(final, ignore_errors=True)
                partial.rename(final)
    return final


def write_json(path: Path, value: object) -> None:
    """Whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_images(
    folder: Path,
    x: Tensor,
    *,
    labels: Tensor | None = None,
    sides: Tensor | None = None,
    factors: Mapping[str, Tensor] | None = None,
) -> None:
    """The arrays of a prepared set that was made in memory."""
    with (folder / "images.npy").open("wb") as f:  # a plain write reports a full disk; a mapped one dies of it
        f.write(header(len(x), list(x.shape[1:])))
        for part in x.split(4096):
            f.write(part.contiguous().numpy().tobytes())
    if labels is not None:
        np.save(folder / "labels.npy", labels.numpy())
    if sides is not None:
        np.save(folder / "sides.npy", sides.to(torch.uint8).numpy())
    if factors:
        columns: dict[str, Any] = {k: v.numpy() for k, v in factors.items()}
        np.savez(folder / "factors.npz", **columns)


def header(n: int, row: list[int]) -> bytes:
    """Start of an .npy file of n uint8 rows, always `HEADER` bytes."""
    shape = ", ".join(map(str, (n, *row)))
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}"
    return b"\x93NUMPY\x01\x00" + (HEADER - 10).to_bytes(2, "little") + text.ljust(HEADER - 11).encode() + b"\n"


@dataclass(frozen=True)
class Prepared:
    """A prepared set on disk."""

    folder: Path

    @property
    def about(self) -> dict[str, Any]:
        try:
            return json.loads((self.folder / "about.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as e:
            raise UserError(f"{self.folder} is not a prepared set ({e}); delete it and prepare again") from e

    def _array(self, name: str) -> Tensor | None:
        path = self.folder / f"{name}.npy"
        if not path.exists():
            return None
        try:
            # "c" (private copies of written pages) keeps the file safe and the tensor writable, as torch wants it
            return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))
        except (OSError, ValueError) as e:
            raise UserError(f"{path} is damaged ({e}); delete {self.folder} and prepare again") from e

    def load(self, name: str, split: Split, holdout: float = 0.0) -> Data:
        """The rows of a split, in file order; memory-mapped where they lie side by side."""
        about = self.about
        x, labels, sides = self._array("images"), self._array("labels"), self._array("sides")
        if x is None or len(x) != about["count"]:
            raise UserError(f"{self.folder} is incomplete; delete it and prepare again")
        factors: dict[str, Tensor] = {}
        if (self.folder / "factors.npz").exists():
            with np.load(self.folder / "factors.npz", allow_pickle=False) as z:
                factors = {k: torch.from_numpy(z[k]) for k in z.files}
        if holdout:
            if sides is not None and (sides == 1).any():
                raise UserError(f"{name} has a test split of its own, which --split train keeps aside; drop --holdout")
            hashes = self._array("hashes")
            if hashes is None:
                raise UserError(f"{name} has no content hashes to set a test share aside by; drop --holdout")
            aside = torch.from_numpy(hashes.numpy().view(np.uint64) / 2.0**64 < holdout).to(torch.uint8)
            sides = aside if sides is None else torch.where(sides == 0, aside, sides)
            if not (sides == 1).any():
                raise UserError(f"a holdout of {holdout:g} sets no example of {name} aside; choose another --holdout")
        rows = _rows(name, sides, split, len(x))
        file: tuple[Path, int] | None = (self.folder / "images.npy", HEADER)
        if isinstance(rows, Tensor):
            x, file = self._subset(x, rows, f"{split}-{holdout}")
        elif rows is not None:
            x, file = x[rows], (self.folder / "images.npy", HEADER + rows.start * x[0].numel())
        if rows is not None:
            labels = None if labels is None else labels[rows]
            factors = {k: v[rows] for k, v in factors.items()}
        mark = f"{about['fingerprint']}:{split}" + (f":{holdout}" if holdout else "")
        about = {**about, "folder": str(self.folder)}
        return Data(
            name, x, split, labels, factors, mark, file=file, classes=tuple(about.get("classes", ())), about=about
        )

    def _subset(self, x: Tensor, rows: Tensor, tag: str) -> tuple[Tensor, tuple[Path, int] | None]:
        """Scattered rows: in memory, or in a file of their own where they are many."""
        size = x[0].numel()
        if len(rows) * size <= IN_MEMORY:
            return x[rows], None
        path = self.folder / f"rows-{tag}.npy"
        if not path.exists():
            with writing(path), exclusive(self.folder / f".rows-{tag}.lock"):
                beside = path.with_suffix(".partial")
                try:
                    with beside.open("wb") as f:
                        f.write(header(len(rows), list(x.shape[1:])))
                        for part in rows.split(max(1, (64 << 20) // size)):
                            f.write(x[part].numpy().tobytes())
                    beside.replace(path)
                finally:
                    beside.unlink(missing_ok=True)
        return torch.from_numpy(np.load(path, mmap_mode="c")), (path, HEADER)


def _rows(name: str, sides: Tensor | None, split: Split, n: int) -> slice | Tensor | None:
    """Which of n rows make a split: None for all, a slice where they lie side by side (no copy)."""
    if split == "all" or (sides is None and split == "train"):
        return None
    if sides is None or (split == "test" and not (sides == 1).any()):
        raise NoSplit(f"{name} has no test split; set one aside with --holdout 0.1 or use split all")
    rows = torch.nonzero(sides == (1 if split == "test" else 0)).flatten()
    if not len(rows):
        raise UserError(f"{name} has no {split} example of {n}; choose another --holdout")
    first, last = int(rows[0]), int(rows[-1])
    return slice(first, last + 1) if last - first + 1 == len(rows) else rows
