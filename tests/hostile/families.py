"""Every family of hostile input, by the kind its trials count as."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from hostile import archives, parquet, pictures, runs, tables, zoos
from hostile.place import Hostile

MAKERS: tuple[Callable[[], list[Hostile]], ...] = (
    runs.wrong_json,
    runs.links,
    runs.odd_files,
    runs.tensors,
    runs.damaged,
    zoos.wrong_index,
    zoos.swapped,
    tables.study_folders,
    archives.tars,
    archives.zips,
    archives.folders,
    parquet.tables,
    pictures.in_data,
    pictures.in_run,
    tables.arrays,
    tables.csv,
    tables.generators,
    tables.studies,
)


@cache
def by_kind() -> dict[str, list[Hostile]]:
    found: dict[str, list[Hostile]] = {}
    for make in MAKERS:
        for hostile in make():
            found.setdefault(hostile.kind, []).append(hostile)
    return found


def a_few(kind: str, n: int) -> list[Hostile]:
    """`n` trials of a kind at even distances, the first among them."""
    of_kind = by_kind()[kind]
    return [of_kind[i * len(of_kind) // n] for i in range(min(n, len(of_kind)))] if len(of_kind) > n else list(of_kind)
