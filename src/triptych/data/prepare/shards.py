"""A collection prepared in shards, by several processes or machines with one cache, and put together.

A shard is a stretch of the listing: its rows, and a journal of what became of its files. Put together they are what one
process would have left before its last step, which is then made: the same array, index and fingerprint.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from triptych.data.prepare import prepared as cache
from triptych.errors import UserError
from triptych.system.files import read_object

DONE = "shard.json"
"""Written last: the shape of a row, and how many files the shard has."""


@dataclass(frozen=True)
class Shard:
    """The `number`-th of `of` shards, counted from 1."""

    number: int
    of: int

    @classmethod
    def read(cls, text: str) -> Shard:
        """Of `2/4`; UserError for anything else."""
        number, slash, of = text.partition("/")
        if not (slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of) <= 10_000):
            raise UserError(f"--shard is {text!r}; give its number and how many there are, such as 2/4")
        return cls(int(number), int(of))

    def stretch(self, n: int) -> slice:
        """Its part of n files."""
        return slice(n * (self.number - 1) // self.of, n * self.number // self.of)

    def folder(self, home: Path, mark: str) -> Path:
        return home / "shards" / f"{mark}-{self.of}" / str(self.number)


class Finished(Exception):
    """A shard is prepared, so that there is no data set yet; the text says what it holds."""


_only: tuple[Shard, int | None] | None = None
_merging = False


@contextmanager
def only(shard: Shard, workers: int | None = None) -> Iterator[None]:
    """Inside it preparing makes this shard, with so many decoding processes if said, and ends by `Finished`."""
    global _only
    _only = shard, workers
    try:
        yield
    finally:
        _only = None


@contextmanager
def merging() -> Iterator[None]:
    """Inside it a set is put together from its shards; UserError where one is missing."""
    global _merging
    _merging = True
    try:
        yield
    finally:
        _merging = False


def asked() -> tuple[Shard, int | None] | None:
    return _only


def gather(home: Path, mark: str, partial: Path, name: str) -> None:
    """Where a set is to be put together: fill `partial` with rows and journal of all its shards."""
    if not _merging:
        return
    sets = sorted((home / "shards").glob(f"{mark}-*"))
    if not sets:
        raise UserError(f"{name} has no shards in {home}; make them by `data prepare --shard 1/4` and so on")
    found = {folder: int(folder.name.rpartition("-")[2]) for folder in sets}
    lacking = {f: [i for i in range(1, n + 1) if not (f / str(i) / DONE).is_file()] for f, n in found.items()}
    folder = min(lacking, key=lambda f: len(lacking[f]))
    if lacking[folder]:
        missing, n = lacking[folder][0], found[folder]
        raise UserError(
            f"shard {missing} of {n} of {name} is not prepared; "
            f"run `triptych data prepare` as for the others, with --shard {missing}/{n}"
        )
    parts = [folder / str(i) for i in range(1, found[folder] + 1)]
    told = [read_object(part / DONE) for part in parts]
    row, total = told[0]["row"], sum(t["files"] for t in told)
    size, start = row[0] * row[1] * row[2], 0
    with (partial / "rows.npy").open("wb") as rows, (partial / "journal.jsonl").open("w", encoding="utf-8") as journal:
        rows.write(cache.header(total, row))
        for part, its in zip(parts, told, strict=True):
            rows.seek(cache.HEADER + start * size)  # rows at a shard's end that were skipped were never written
            with (part / "rows.npy").open("rb") as f:
                f.seek(cache.HEADER)
                shutil.copyfileobj(f, rows, 8 << 20)
            copy_journal(part / "journal.jsonl", journal, start)
            start += its["files"]


def copy_journal(file: Path, to: IO[str], start: int) -> None:
    """The lines of a shard's journal, with the numbers that its files have among all."""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            part: list[tuple[int, Any]] = json.loads(line)
            to.write(json.dumps([(start + i, result) for i, result in part]) + "\n")


def clear(home: Path, mark: str) -> None:
    """Remove the shards of a set that is put together."""
    if _merging:
        for folder in (home / "shards").glob(f"{mark}-*"):
            shutil.rmtree(folder, ignore_errors=True)
