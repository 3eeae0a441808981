"""Arrays in .npy and .npz files: what their headers claim is checked against their sizes before anything is read."""

from __future__ import annotations

import math
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from triptych.data.prepare import prepared
from triptych.data.prepare.listing import stamp
from triptych.data.source import digest
from triptych.errors import UserError
from triptych.system.cache import plain, root
from triptych.system.files import read_object

IN_MEMORY = 1 << 29  # bytes: a packed array that is larger is unpacked into the cache and mapped from there
SWELLING, SWOLLEN = 150, 1 << 30  # a member that grows so many times (dSprites: 113), to more bytes, is no data set
CHUNK = 1 << 24


@dataclass(frozen=True)
class Entry:
    """What the header of one array says."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool
    start: int
    """bytes of the header"""

    @property
    def size(self) -> int:
        """Bytes of the numbers."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.name} {' x '.join(map(str, self.shape)) or 'a single value'} {self.dtype}"


def header(f: IO[bytes], name: str, what: str) -> Entry:
    """The header at the start of a file; UserError, beginning with `what`, where it is none."""
    try:
        version = np.lib.format.read_magic(f)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(f)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(f)
        else:
            raise ValueError(f"version {version[0]}.{version[1]} of the format")
    except (ValueError, TypeError, SyntaxError, RecursionError, OverflowError, EOFError, zlib.error) as e:
        text = " ".join(str(e).split())[:100]
        raise UserError(f"{what} is not an array file that can be read ({text}); save it again with numpy") from e
    if any(isinstance(n, bool) or n < 0 for n in shape) or len(shape) > 32:
        raise UserError(f"{what} is damaged: it claims the shape {str(shape)[:100]}; save it again with numpy")
    return Entry(name, tuple(map(int, shape)), dtype, bool(fortran), f.tell())


def open_npy(path: Path) -> np.ndarray:
    """The array of an .npy file, mapped: pages that are written to are private copies."""
    with path.open("rb") as f:
        entry = header(f, path.name, str(path))
    check_numbers(entry, str(path))
    if path.stat().st_size - entry.start < entry.size:
        raise UserError(
            f"{path} is cut off: it claims {entry.size:,} bytes of numbers and holds "
            f"{path.stat().st_size - entry.start:,}; save or fetch it again"
        )
    order = "F" if entry.fortran else "C"
    if not entry.size:
        return np.empty(entry.shape, entry.dtype)
    if not entry.shape:
        return np.fromfile(path, entry.dtype, 1, offset=entry.start).reshape(())
    return np.memmap(path, entry.dtype, "c", entry.start, entry.shape, order)


def check_numbers(entry: Entry, what: str) -> None:
    """UserError for an array of anything but numbers."""
    if entry.dtype.hasobject:
        raise UserError(f"{what} holds Python objects, which are never opened; save plain numbers")
    if entry.dtype.kind not in "fiub":
        raise UserError(f"{what} holds {entry.dtype}, not numbers; save floats or integers")


class Npz:
    """The arrays of an open .npz file by name, read from their headers; `read` brings one."""

    def __init__(self, path: Path, file: zipfile.ZipFile) -> None:
        self.path, self.file = path, file
        self.whitened = False
        """whether pictures of 0 and 1 were unpacked as 0 and 255"""
        self.entries: dict[str, Entry] = {}
        for info in file.infolist():
            if not info.filename.endswith(".npy"):
                continue
            name = info.filename.removesuffix(".npy")
            with file.open(info) as f:
                entry = header(f, name, f"{name} in {path}")
            if not entry.dtype.hasobject and info.file_size - entry.start < entry.size:
                raise UserError(
                    f"{name} in {path} is damaged: it claims {entry.size:,} bytes of numbers and holds "
                    f"{info.file_size - entry.start:,}; save it again with numpy"
                )
            if info.file_size > max(SWOLLEN, SWELLING * info.compress_size):
                raise UserError(
                    f"{name} in {path} would grow {info.file_size // max(info.compress_size, 1):,}-fold when unpacked, "
                    f"to {info.file_size / 1e9:.1f} GB; check what it is"
                )
            self.entries[name] = entry

    def read(self, name: str) -> np.ndarray:
        """One array in memory. UserError where it holds no numbers or is larger than half of the memory."""
        entry = self.entries[name]
        check_numbers(entry, f"{name} in {self.path}")
        if entry.size > memory() // 2:
            raise UserError(
                f"{name} in {self.path} takes {entry.size / 1e9:.1f} GB of memory, and there are "
                f"{memory() / 1e9:.1f}; save fewer rows"
            )
        with self.file.open(f"{name}.npy") as f:
            f.read(entry.start)
            raw, at = memoryview(bytearray(entry.size)), 0
            while part := f.read(min(entry.size - at, CHUNK)):  # never twice the array at once
                raw[at : at + len(part)] = part
                at += len(part)
        if at != entry.size:
            raise UserError(f"{name} in {self.path} is cut off; save it again with numpy")
        return np.frombuffer(raw, entry.dtype).reshape(entry.shape, order="F" if entry.fortran else "C")

    def stacked(self, names: list[str]) -> np.ndarray:
        """Arrays of one kind one after the other; in a mapped file of the cache where they are large."""
        entries = [self.entries[n] for n in names]
        for e in entries:
            check_numbers(e, f"{e.name} in {self.path}")
            if (e.shape[1:], e.dtype) != (entries[0].shape[1:], entries[0].dtype):
                raise UserError(f"{self.path} has {entries[0]} but {e}; save examples of one shape and type")
        if sum(e.size for e in entries) <= IN_MEMORY or any(e.fortran for e in entries):
            parts = [self.read(n) for n in names]
            return parts[0] if len(parts) == 1 else np.concatenate(parts)
        return self._spooled(entries)

    def _spooled(self, entries: list[Entry]) -> np.ndarray:
        total, shape = sum(e.size for e in entries), (sum(e.shape[0] for e in entries), *entries[0].shape[1:])

        def make(folder: Path) -> None:
            if total > (free := shutil.disk_usage(folder).free):
                raise UserError(
                    f"{self.path} takes {total / 1e9:.1f} GB when unpacked, and {free / 1e9:.1f} are free in "
                    f"{root()}; free space or set TRIPTYCH_CACHE"
                )
            with (folder / "array.npy").open("wb") as to:
                about = {"descr": np.lib.format.dtype_to_descr(entries[0].dtype), "fortran_order": False}
                np.lib.format.write_array_header_1_0(to, {**about, "shape": shape})
                for e in entries:
                    with self.file.open(f"{e.name}.npy") as f:
                        f.read(e.start)
                        left = e.size
                        while left and (part := f.read(min(left, CHUNK))):
                            to.write(part)
                            left -= len(part)
                    if left:
                        raise UserError(f"{e.name} in {self.path} is cut off; save it again with numpy")
            white = len(shape) > 2 and entries[0].dtype.kind in "ub" and whiten(folder / "array.npy")
            prepared.write_json(folder / "about.json", {"source": str(self.path), "shape": shape, "whitened": white})

        key = digest("unpacked", stamp(self.path)[0], *(e.name for e in entries))
        folder = prepared.build(plain(self.path.stem), key, make)
        self.whitened = bool(read_object(folder / "about.json").get("whitened"))
        return open_npy(folder / "array.npy")


def whiten(path: Path) -> bool:
    """Turn uint8 pictures of 0 and 1 in a file into 0 and 255, where they are; whether they were."""
    a = np.lib.format.open_memmap(path, mode="r+")
    parts = [a[i : i + 4096] for i in range(0, len(a), 4096)]
    if a.dtype != np.uint8 or max((part.max(initial=0) for part in parts), default=0) != 1:
        return False
    for part in parts:
        part *= 255
    a.flush()
    return True


@contextmanager
def open_npz(path: Path) -> Iterator[Npz]:
    """The arrays of an .npz file; UserError where the archive is damaged or packed in a way that cannot be read."""
    try:
        with zipfile.ZipFile(path) as z:
            if any(i.flag_bits & 1 for i in z.infolist()):
                raise UserError(f"{path} is encrypted; save it without a password")
            yield Npz(path, z)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError) as e:
        if isinstance(e, UserError):
            raise
        raise UserError(f"{path} is not an array file that can be read ({e}); save or fetch it again") from e


def memory() -> int:
    """Bytes of this machine's memory; many where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return 1 << 36
