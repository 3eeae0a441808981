"""Pictures in the rows of Parquet files, as the Hub keeps its data sets: read by pyarrow, a few rows at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triptych.data.prepare.entries import Entry, Listing
from triptych.data.prepare.labels import CLASSES, numbered, plain
from triptych.errors import UserError

ENDING = ".parquet"
ROWS = 32  # pictures held at a time


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are what."""

    picture: str
    """of the encoded bytes, with the names of what it lies in: `image.bytes`"""
    label: str | None
    names: tuple[str, ...]
    """classes by number, where the table says them"""


def listed(path: Path) -> Listing:
    """Every row of a file as an entry that is named by its number."""
    return _numbered(Listing(path, []), [(path, "")])


def listed_together(folder: Listing, tables: list[Entry]) -> Listing:
    """The rows of every Parquet file of a folder, each name behind its file's."""
    known = {table.name for table in tables}
    skipped = [*folder.skipped, *((e.name, "beside the Parquet files") for e in folder.entries if e.name not in known)]
    files = [(Path(str(table.source)), f"{table.name}/") for table in tables]
    return _numbered(Listing(folder.path, [], skipped, shards=True), files)


def _numbered(listing: Listing, files: list[tuple[Path, str]]) -> Listing:
    """The listing with all rows of all files; UserError where these are not parts of one table."""
    found: Columns | None = None
    labels: list[Any] = []
    for path, prefix in files:
        with opened(path) as file:
            mine = columns(path, file)
            if found is not None and mine != found:
                raise UserError(f"{path} has other columns or classes than {files[0][0].name}; prepare them apart")
            found, rows = mine, file.metadata.num_rows
            if not 0 <= rows <= max(1000, path.stat().st_size):
                raise UserError(f"{path} says that it has {rows:,} rows, more than its bytes; fetch it anew")
            listing.entries += [Entry(f"{prefix}{i:09d}", 0, path, i) for i in range(rows)]
            if mine.label is not None:
                for batch in file.iter_batches(1 << 16, columns=[mine.label]):
                    labels += map(plain, batch.column(0).to_pylist())
    assert found is not None
    if found.label is None:
        return listing
    if found.names:
        classes, number = found.names, {i: i for i in range(len(found.names))}
    else:
        number = numbered({value for value in labels if value is not None})
        classes = tuple(map(str, number))
    if not number or not any(value in number for value in labels):
        listing.notes[f"column {found.label!r} not used for classes, since it is empty"] += len(labels)
        return listing
    listing.classes = classes
    for e, value in zip(listing.entries, labels, strict=True):
        e.label = number.get(value, -1)
    listing.notes[f"given a class by the column {found.label!r}"] += len(labels)
    return listing


def has_pictures(path: Path) -> bool:
    """Whether a file has a column that may hold encoded pictures; False where it is damaged, which others say."""
    _imported(path)
    try:
        with opened(path) as file:
            return bool(picture_columns(file.schema_arrow))
    except UserError:
        return False


def picture_columns(schema: Any) -> list[str]:
    """Columns of bytes, named with what these lie in, unless the Hub's words say that they are something else."""
    from pyarrow import types

    def binary(kind: Any) -> bool:
        return types.is_binary(kind) or types.is_large_binary(kind)

    told, found = _told(schema.metadata), list[str]()
    for field in schema:
        if _kind(told, field.name) not in (None, "Image"):
            continue
        if types.is_struct(field.type) and any(part.name == "bytes" and binary(part.type) for part in field.type):
            found.append(f"{field.name}.bytes")
        elif binary(field.type):
            found.append(field.name)
    return found


def label_columns(schema: Any) -> list[str]:
    """Columns that may be classes, by the Hub's words or by type and name, the likeliest first."""
    from pyarrow import types

    def word(kind: Any) -> bool:
        kind = kind.value_type if types.is_dictionary(kind) else kind
        return types.is_string(kind) or types.is_large_string(kind)

    told = _told(schema.metadata)
    names = [field.name for field in schema if types.is_integer(field.type) or word(field.type)]
    by_hub = [name for name in names if _kind(told, name) == "ClassLabel"]
    return by_hub + [name for name in names if name not in by_hub and name.strip().casefold() in CLASSES]


def columns(path: Path, file: Any) -> Columns:
    """What is what in a table; UserError unless one column has pictures."""
    schema = file.schema_arrow
    pictures, labels = picture_columns(schema), label_columns(schema)
    if len(pictures) != 1:
        said = ", ".join(f"{field.name} ({field.type})" for field in schema)
        raise UserError(f"{path} has {len(pictures)} columns of encoded pictures among {said[:500]}; one is needed")
    label = labels[0] if labels else None
    told = _told(schema.metadata).get(label) if label is not None else None
    names = told.get("names") if isinstance(told, dict) else None
    return Columns(pictures[0], label, tuple(map(str, names)) if isinstance(names, list) else ())


def _kind(told: Mapping[str, Any], name: str) -> str | None:
    """The type that the Hub's library wrote of a column."""
    of_column = told.get(name)
    return of_column.get("_type") if isinstance(of_column, dict) else None


def _told(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    """What the Hub's library wrote of the columns, by name; empty where it wrote nothing."""
    try:
        told = json.loads((metadata or {}).get(b"huggingface", b"{}"))
        features = told["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def pictures(path: Path, rows: Mapping[int, Any]) -> Iterator[tuple[int, bytes]]:
    """(row, encoded bytes) of these rows, in order; row groups that have none of them are not read."""
    with opened(path) as file:
        column, start = columns(path, file).picture, 0
        for group in range(file.num_row_groups):
            n = file.metadata.row_group(group).num_rows
            if any(row in rows for row in range(start, start + n)):
                at = start
                for batch in file.iter_batches(ROWS, row_groups=[group], columns=[column]):
                    values = batch.column(0)
                    for value in values if "." not in column else values.field("bytes"):
                        if at in rows:
                            yield at, value.as_py() or b""
                        at += 1
            start += n


def _imported(path: Path) -> tuple[Any, Any]:
    """pyarrow and its module for these files; UserError where it is not installed."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as e:
        raise UserError(f"{path} is a Parquet file, which pyarrow reads; pip install 'triptych[parquet]'") from e
    return pa, parquet


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A Parquet file; UserError where pyarrow is not installed, or makes nothing of it."""
    pa, parquet = _imported(path)
    try:
        with parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            yield file
    except (pa.ArrowException, OSError) as e:
        raise UserError(
            f"{path} is damaged, or no Parquet file ({' '.join(str(e).split())[:200]}); fetch it anew"
        ) from e
