"""Where prepared sets and downloads live, and how several processes share them.

A prepared set is a folder: `images.npy` (uint8 NCHW, memory-mappable), `about.json` (options, counts, terms,
fingerprint), `index.jsonl` (a line for every source file: kept, or skipped and why) and, where there are any,
`labels.npy`, `sides.npy` (0 train, 1 test, 2 neither), `hashes.npy` (first 8 bytes of each source's SHA-256) and
`factors.npz`.
It appears under its final name complete, or not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from triptych.core import Data, Split
from triptych.errors import NoSplit, UserError
from triptych.system.cache import ADVICE, plain, root
from triptych.system.files import json_text, read_object, sweep, sync_folder, write_json, writing
from triptych.system.locks import exclusive, try_lock
from triptych.system.refusals import system_errors

HEADER = 128  # bytes before the rows of an array file
ALWAYS = 1 << 29  # bytes of an array that is checked whenever it is loaded
SUMS = "sha256"  # where about.json has the checksums
INDEX = "index.jsonl"
OLD_INDEX, INDEX_SUM = "index.json", b', "sha256": "'  # of sets that were prepared before 0.3
CHECKED = "checked.json"  # size, times and place on the disk of the large arrays when they were last read
KEPT = 7 * 24 * 3600
IN_MEMORY = 1 << 29  # bytes: scattered rows that are more are gathered in a file


def build(name: str, key: str, make: Callable[[Path], None]) -> Path:
    """The folder of a prepared set; `make` fills it first where it is missing.

    `make` gets the same unfinished folder again after a kill, so it can go on where it stopped.
    """
    home = root() / "prepared"
    final = home / f"{plain(name)}-{key[:20]}"
    if (final / "about.json").is_file():
        return final
    with system_errors(home, ADVICE):
        home.mkdir(parents=True, exist_ok=True)
        sweep_unfinished(home, but=f".{final.name}.partial")
        with exclusive(home / f".{final.name}.lock"):
            if not (final / "about.json").is_file():
                partial = home / f".{final.name}.partial"
                partial.mkdir(exist_ok=True)
                sweep(partial)
                try:
                    make(partial)
                    seal(partial)
                except (UserError, OSError):  # nothing to go on with: bad input, or a full disk
                    shutil.rmtree(partial, ignore_errors=True)
                    raise
                shutil.rmtree(final, ignore_errors=True)
                partial.rename(final)
                sync_folder(home)
    return final


def sweep_unfinished(home: Path, but: str) -> None:
    """Remove what kills left in the cache and no process holds, except the folder named `but`, which is gone on with.

    A preparation that could be gone on with is kept for `KEPT` seconds.
    """
    for folder in (home, *(p for p in home.iterdir() if p.is_dir() and not p.name.startswith("."))):
        sweep(folder)
    for partial in home.glob(".*.partial"):
        name = partial.name.removeprefix(".").removesuffix(".partial")
        lock = home / "locks" / name if (home / "locks" / name).exists() else home / f".{name}.lock"
        journal = partial / "journal.jsonl"
        with contextlib.suppress(OSError, UserError):
            young = journal.exists() and time.time() - journal.stat().st_mtime < KEPT
            if partial.name != but and not young:
                lock.parent.mkdir(exist_ok=True)
                with lock.open("ab") as f:
                    if try_lock(f):
                        shutil.rmtree(partial, ignore_errors=True)


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


def seal(folder: Path) -> None:
    """Add the checksums of the arrays to about.json, and its own."""
    about = read_object(folder / "about.json")
    files = sorted(p for p in folder.iterdir() if p.suffix in (".npy", ".npz") and not p.stem.startswith("rows"))
    sums = {p.name: checksum(p) for p in files}
    about = {**about, "sealed": True}
    write_json(folder / "about.json", {**about, SUMS: {**sums, "about.json": _sum_of(about)}}, ADVICE)


def read_index(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What became of every source file of a prepared set: those that were kept, by row, and those left aside."""
    if not (folder / INDEX).exists():
        told = read_object(folder / OLD_INDEX)
        return told["sources"], told["skipped"]
    with (folder / INDEX).open(encoding="utf-8") as f:
        lines = [json.loads(line) for line in f]
    return [told for told in lines if "row" in told], [told for told in lines if "reason" in told]


def _ends_in_its_sum(path: Path) -> bool:
    """Whether the last line of a file holds the checksum of the lines before."""
    total, last = hashlib.sha256(), b""
    with path.open("rb") as f:
        for line in f:
            total.update(last)
            last = line
    return last == json_text({SUMS: total.hexdigest()}).encode() + b"\n"


def checksum(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _sum_of(about: Mapping[str, Any]) -> str:
    text = json_text({k: v for k, v in about.items() if k != SUMS})
    return hashlib.sha256(text.encode()).hexdigest()


def _mark(path: Path) -> list[int]:
    """What changes when a file does. The time of its inode cannot be set back, unlike that of its content."""
    info = path.stat()
    return [info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino]


_read: set[tuple[Any, ...]] = set()
"""Files that this process has checked, by path, checksum and mark."""


@dataclass(frozen=True)
class Prepared:
    """A prepared set on disk."""

    folder: Path

    @property
    def about(self) -> dict[str, Any]:
        """What is written beside the arrays; UserError where it is not as it was written."""
        try:
            about = read_object(self.folder / "about.json")
        except (OSError, UserError) as e:
            raise UserError(f"{self.folder} is not a prepared set ({e}); delete it and prepare again") from e
        sealed = SUMS in about or "sealed" in about  # one alone is damage
        if sealed and self._sums(about, "about.json")["about.json"] != _sum_of(about):
            raise self._altered("about.json")
        return about

    def _sums(self, note: Mapping[str, Any], name: str) -> dict[str, str]:
        """The checksums that a note holds, that of `name` among them."""
        sums = note.get(SUMS)
        if not isinstance(sums, dict) or name not in sums or not all(Path(n).name == n for n in sums):
            raise self._altered(name)
        return sums

    def _altered(self, name: str) -> UserError:
        return UserError(f"{self.folder / name} is not what was prepared; delete {self.folder} and prepare again")

    def check(self, about: Mapping[str, Any], *, whole: bool = False) -> None:
        """UserError where the arrays or the index are not what was prepared. Older sets have no checksums and pass.

        Up to `ALWAYS` bytes are read every time (once in a process); larger files when they changed on the disk since
        they were last read, or when the `whole` is asked for.
        """
        self._check_arrays({n: s for n, s in about.get(SUMS, {}).items() if n != "about.json"}, whole=whole)
        self._check_index(about)

    def _check_arrays(self, sums: Mapping[str, str], *, whole: bool = False) -> None:
        known: dict[str, Any] = {}
        with contextlib.suppress(OSError, UserError):
            known = read_object(self.folder / CHECKED)
        fresh = dict(known)
        for name, wanted in sums.items():
            path = self.folder / name
            try:
                mark = _mark(path)
                seen = (str(path), wanted, *mark) in _read or (path.stat().st_size > ALWAYS and known.get(name) == mark)
                if whole or not seen:
                    if checksum(path) != wanted:
                        raise self._altered(name)
                    _read.add((str(path), wanted, *mark))
                    if path.stat().st_size > ALWAYS:
                        fresh[name] = mark
            except OSError as e:
                raise UserError(f"{path} cannot be read ({e.strerror}); delete {self.folder} and prepare again") from e
        if fresh != known:
            with contextlib.suppress(OSError, UserError):  # another's cache, which is only read
                write_json(self.folder / CHECKED, fresh)

    def _check_index(self, about: Mapping[str, Any]) -> None:
        """The index ends with its own checksum: it changes, alone, when other files were left aside."""
        path = next((p for p in (self.folder / INDEX, self.folder / OLD_INDEX) if p.exists()), None)
        if "sealed" not in about or path is None or (str(path), *(mark := _mark(path))) in _read:
            return
        if path.name == INDEX:
            sound = _ends_in_its_sum(path)
        else:
            body, _, end = path.read_bytes().rpartition(INDEX_SUM)
            sound = end == hashlib.sha256(body).hexdigest().encode() + b'"}\n'
        if not sound:
            raise self._altered(path.name)
        _read.add((str(path), *mark))

    def _array(self, name: str) -> Tensor | None:
        path = self.folder / f"{name}.npy"
        if not path.exists():
            return None
        try:
            # "c" (private copies of written pages) keeps the file safe and the tensor writable, as torch wants it
            return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))
        except (OSError, ValueError, EOFError) as e:
            raise UserError(f"{path} is damaged ({e}); delete {self.folder} and prepare again") from e

    def load(self, name: str, split: Split, holdout: float = 0.0) -> Data:
        """The rows of a split, in file order; memory-mapped where they lie side by side."""
        about = self.about
        self.check(about)
        if "count" not in about or "fingerprint" not in about:
            raise UserError(f"{self.folder} is not a prepared set; delete it and prepare again")
        x, labels, sides = self._array("images"), self._array("labels"), self._array("sides")
        if x is None or len(x) != about["count"]:
            raise UserError(f"{self.folder} is incomplete; delete it and prepare again")
        factors: dict[str, Tensor] = {}
        if (self.folder / "factors.npz").exists():
            try:
                with np.load(self.folder / "factors.npz", allow_pickle=False) as z:
                    factors = {k: torch.from_numpy(z[k]) for k in z.files}
            except (OSError, ValueError, EOFError, zipfile.BadZipFile) as e:
                raise UserError(f"{self.folder / 'factors.npz'} is damaged ({e}); delete {self.folder}") from e
        if holdout:
            if sides is not None and (sides == 1).any():
                raise UserError(f"{name} has a test split of its own, which --split train keeps aside; drop --holdout")
            hashes = self._array("hashes")
            if hashes is None:
                raise UserError(f"{name} has no content hashes to set a test share aside by; drop --holdout")
            aside = torch.from_numpy(hashes.numpy().view(np.uint64) / 2.0**64 < holdout).to(torch.uint8)
            sides = aside if sides is None else torch.where(sides == 0, aside, sides)
            if not (sides == 1).any():
                raise UserError(
                    f"a holdout of {holdout:g} sets no example of {name} aside; choose another --holdout, or 0"
                )
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
        note = path.with_suffix(".json")
        if not (path.exists() and note.exists()):
            with system_errors(path, ADVICE), exclusive(self.folder / f".rows-{tag}.lock"):
                if not (path.exists() and note.exists()):
                    with writing(path, ADVICE) as f:
                        f.write(header(len(rows), list(x.shape[1:])))
                        for part in rows.split(max(1, (64 << 20) // size)):
                            f.write(x[part].numpy().tobytes())
                    write_json(note, {SUMS: {path.name: checksum(path)}}, ADVICE)
        self._check_arrays(self._sums(read_object(note), path.name))
        return torch.from_numpy(np.load(path, mmap_mode="c")), (path, HEADER)


def _rows(name: str, sides: Tensor | None, split: Split, n: int) -> slice | Tensor | None:
    """Which of n rows make a split: None for all, a slice where they lie side by side (no copy)."""
    if split == "all" or (sides is None and split == "train"):
        return None
    if sides is None or (split == "test" and not (sides == 1).any()):
        raise NoSplit(f"{name} has no test split; use split all, or train with --holdout 0.1")
    rows = torch.nonzero(sides == (1 if split == "test" else 0)).flatten()
    if not len(rows):
        raise UserError(f"{name} has no {split} example of {n}; choose another --holdout, or 0 to set none aside")
    first, last = int(rows[0]), int(rows[-1])
    return slice(first, last + 1) if last - first + 1 == len(rows) else rows
