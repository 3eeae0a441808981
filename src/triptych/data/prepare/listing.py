"""What a folder, a zip, a tar, a Parquet file or a folder of these holds, without unpacking anything."""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from triptych.data.prepare import labels, litter, parquet, zips
from triptych.data.prepare.archives import TARS, is_packed, is_tar, leads_outside, tar_members
from triptych.data.prepare.decode import MAX_BYTES
from triptych.data.prepare.entries import CELEBA, CLASS_FILES, PLACE, TABLES, TEXT_LIMIT, TEXTS, Entry, Listing
from triptych.errors import UserError

KINDS = {
    "idx files": (("-ubyte", ".idx", ".idx1", ".idx3"), "name them as MNIST's are, train-images-idx3-ubyte and so on"),
    "archives": ((".zip", ".7z", ".rar", ".gz", ".tgz", ".xz", ".txz", ".bz2", ".tbz2", ".tar"), "unpack them first"),
    "arrays": ((".npy", ".npz"), "give the path of one of them"),
    "tables": ((".csv", ".tsv", ".parquet", ".arrow"), "give the path of a .csv, or a folder of pictures"),
    "records": (
        (".tfrecord", ".tfrecords", ".h5", ".hdf5", ".mat", ".pkl", ".pickle", ".mdb", ".pt", ".pth"),
        "save their pictures as PNG files or as an .npy array",
    ),
    "films": ((".mp4", ".avi", ".mov", ".mkv", ".webm"), "save their frames as pictures"),
}
"""What people have in place of pictures: how the names end, and what to do."""

CLASS_LIMIT, JSON_LIMIT = 1 << 10, 1 << 16
"""Bytes of a file that holds one picture's class, alone or with other facts."""


# ----------------------------------------------------------------------------------- where it is


def stamp(path: Path) -> tuple[str, Listing | None]:
    """Text that changes when the archive, a table beside it, or name, size or time of a file in the folder does.

    Looking through a folder for that is most of listing it, so the listing comes along.
    """
    refuse_special(path)
    marks = [text_of(os.path.realpath(path))]
    listing = None
    if path.is_file():
        info = path.stat()
        marks[0] += f"\0{info.st_size}\0{info.st_mtime_ns}"
    else:
        listing = _folder(path)
        marks += [f"{e.name}\0{e.size}\0{e.stamp}" for e in listing.entries]
    for table in beside(path):
        info = table.stat()
        marks.append(f"{table.name}\0{info.st_size}\0{info.st_mtime_ns}")
    return "\n".join(marks), listing


def refuse_special(path: Path) -> None:
    """UserError for what can be read without end, or never, or not by this person."""
    if not (path.is_file() or path.is_dir()):
        raise UserError(f"{path} is a device, a pipe or a socket; give a folder, a zip, a tar or an array file")
    if not os.access(path, os.R_OK):
        raise UserError(f"{path} may not be read by you; change its permissions, or give a copy")


def beside(path: Path) -> list[Path]:
    """CelebA's tables that lie not among the pictures but beside their folder or archive.

    They lie next to it, or in the folders Anno and Eval of the authors' own drive.
    """
    path = path.resolve()
    places = [path.parent] if path.is_file() else []
    if path.name.startswith("img_"):  # img_align_celeba, which Kaggle packs into another of the same name
        places += [path.parent, path.parent.parent]
    found: dict[str, Path] = {}
    for place in places:
        for folder in (place, place / "Eval", place / "Anno"):
            for name in CELEBA:
                if name not in found and (folder / name).is_file():
                    found[name] = folder / name
    return list(found.values())


def candidates(path: Path, folder: Listing | None = None) -> Listing:
    """Every regular file of a folder, zip or tar, sorted by name as in a folder, and every row of a Parquet file.

    A folder that holds no pictures but tars or Parquet files is read as their contents together, as WebDataset's and
    the Hub's shards are. Only those of Parquet files have classes yet.
    """
    if path.is_dir():
        listing = folder or _folder(path)
        tars = [e for e in listing.entries if e.name.lower().endswith(TARS)]
        tables = [e for e in listing.entries if e.name.lower().endswith(parquet.ENDING)]
        if (tars or tables) and not any(e.pictured for e in listing.entries):
            listing = _shards(path, listing, tars) if tars else parquet.listed_together(listing, tables)
        else:
            _read_texts(listing)
    elif is_tar(path):  # first, since a tar may end in a zip
        listing = _tar(path)
    elif path.is_file() and zipfile.is_zipfile(path):
        listing = _zip(path)
    elif path.is_file() and path.name.lower().endswith(parquet.ENDING):
        listing = parquet.listed(path)
    else:
        raise UserError(
            f"{path} is not a folder, a zip or a tar, nor a Parquet file; give one of these, "
            "or an array file (.npy .npz .csv)"
        )
    listing.texts |= {table.name: _text(table.read_bytes()) for table in beside(path)}
    seen, source = set[str](), None
    kept = []
    for e in listing.entries:
        if e.source != source:  # names of another file of the folder begin otherwise
            seen, source = set(), e.source
        if e.name.rpartition("/")[2] in TABLES:
            listing.skipped.append((e.name, "a table of the set"))
        elif e.name in listing.texts:
            listing.skipped.append((e.name, "a class beside its picture"))
        elif e.name in seen:
            listing.skipped.append((e.name, "a second file of the same name in the archive"))
        else:
            seen.add(e.name)
            kept.append(e)
    listing.entries = kept
    if not any(e.stream for e in listing.entries):
        listing.entries.sort(key=lambda e: e.name)
    return listing


def refuse_others(listing: Listing) -> None:
    """UserError where a source has no picture but something else that is known by its name."""
    if any(e.pictured for e in listing.entries):
        return
    if listing.entries:
        ends = [next((k for k, (s, _) in KINDS.items() if _ends(e.name, s)), None) for e in listing.entries]
        named = Counter(end for end in ends if end).most_common(1)
        claimed = any(e.expected and not end for e, end in zip(listing.entries, ends, strict=True))
        if named and not claimed and 2 * named[0][1] >= len(listing.entries):
            kind, n = named[0]
            first = next(e.name for e, end in zip(listing.entries, ends, strict=True) if end == kind)
            more = f" and {n - 1:,} more" if n > 1 else ""
            raise UserError(f"{listing.path} holds no pictures but {kind} ({first}{more}); {KINDS[kind][1]}")
        return
    reasons = Counter(why for _, why in listing.skipped)
    if reasons.get("encrypted"):
        raise UserError(f"{listing.path} is encrypted and needs its password; unpack it first, and give the folder")
    said = f" ({', '.join(f'{n:,} {why}' for why, n in reasons.most_common(3))})" if reasons else ""
    raise UserError(f"{listing.path} holds no pictures{said}; give a folder or archive with some")


def _ends(name: str, suffixes: tuple[str, ...]) -> bool:
    return name.lower().removesuffix(".gz").endswith(suffixes) or name.lower().endswith(suffixes)


# ------------------------------------------------------------------------------------ what is there


def text_of(name: str) -> str:
    """A name that is no text would not survive in the index: its odd bytes are written out."""
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode("utf-8")


def _text(data: bytes) -> str:
    return data.decode("utf-8-sig", "replace")


def _wanted(name: str, size: int) -> bool:
    """Whether a file's content says something of the pictures."""
    if name.endswith(CLASS_FILES[0]):
        return size <= CLASS_LIMIT
    return name.rpartition("/")[2] in TEXTS and size <= TEXT_LIMIT


def _read_texts(listing: Listing) -> None:
    for e in listing.entries:
        if e.file is not None and _wanted(e.name, e.size):
            listing.texts[e.name] = _text(Path(e.file).read_bytes())


def _folder(path: Path) -> Listing:
    listing = Listing(path, [])
    todo: list[tuple[str, str, str | None]] = [(str(path), "", None)]
    above = set(map(str, Path(os.path.realpath(path)).parents))
    visited = set()
    while todo:
        top, prefix, left = todo.pop()
        real = os.path.realpath(top)  # a linked folder counts, but only once: links may run in circles
        if real in visited:
            listing.skipped.append((prefix.rstrip("/"), "a link to a folder that is listed already"))
            continue
        visited.add(real)
        if prefix and real in above:  # everything else in there would come along
            listing.skipped.append((prefix.rstrip("/"), "a link to a folder that holds this one"))
            continue
        try:
            with os.scandir(top) as scan:
                found = sorted(scan, key=lambda item: item.name)
        except OSError as e:
            listing.skipped.append((prefix or top, f"cannot be read: {e.strerror}"))
            continue
        for item in found:
            name = text_of(prefix + item.name)
            aside = left or litter.reason(item.name)
            try:
                info = item.stat()
            except OSError as e:
                listing.skipped.append((name, aside or f"cannot be read: {e.strerror}"))
                continue
            if stat.S_ISDIR(info.st_mode):
                todo.append((item.path, name + "/", aside))
                continue
            if aside or not stat.S_ISREG(info.st_mode):
                listing.skipped.append((name, aside or "not a regular file"))
                continue
            listing.entries.append(Entry(name, info.st_size, item.path, stamp=info.st_mtime_ns))
    listing.entries.sort(key=lambda e: e.name)
    return listing


def _aside(name: str) -> str | None:
    return "its name leads out of the archive" if leads_outside(name) else litter.reason_of(name)


def _zip(path: Path) -> Listing:
    listing = Listing(path, [])
    file = str(path)
    with zips.damage(path), path.open("rb", 1 << 20) as directory, path.open("rb") as content:
        for member in zips.members(directory):
            if member.name.endswith("/"):
                continue
            name, size = member.name.removeprefix("./"), member.place.size
            if reason := _aside(name):
                listing.skipped.append((name, reason))
                continue
            if member.encrypted:
                listing.skipped.append((name, "encrypted"))
                continue
            listing.entries.append(Entry(name, size, file, PLACE.pack(*member.place)))
            if _wanted(name, size):
                listing.texts[name] = _text(zips.read(content, member.place, TEXT_LIMIT))
    return listing


def _member(member: tarfile.TarInfo) -> str:
    return text_of(member.name.removeprefix("./"))


def _tar(path: Path) -> Listing:
    listing = Listing(path, [])
    stream = path if is_packed(path) else None
    file = str(path)
    sizes: dict[int, int] = {}  # one object for all files of a size
    for t, member in tar_members(path):
        name = _member(member)
        if member.isdir():
            continue
        if not member.isreg() or member.issparse():
            listing.skipped.append((name, "a link or special file in the archive"))
        elif reason := _aside(name):
            listing.skipped.append((name, reason))
        else:
            place = (stream, name) if stream else (file, member.offset_data)
            size = sizes.setdefault(member.size, member.size)
            listing.entries.append(Entry(name, size, *place))
            facts = name.endswith(CLASS_FILES[1]) and name.rpartition("/")[2] not in TEXTS and member.size <= JSON_LIMIT
            if (facts or _wanted(name, member.size)) and (f := t.extractfile(member)):
                text = _text(f.read())
                # of a million files of facts only the classes are kept
                if (kept := labels.class_in(text) if facts else text) is not None:
                    listing.texts[name] = kept
    return listing


def _shards(path: Path, folder: Listing, tars: list[Entry]) -> Listing:
    """The contents of every tar of a folder, each name behind its tar's."""
    listing = Listing(path, [], folder.skipped, shards=True)
    for tar in tars:
        assert tar.file is not None
        part = _tar(Path(tar.file))
        for e in part.entries:
            e.name = f"{tar.name}/{e.name}"
        listing.entries += part.entries
        listing.skipped += [(f"{tar.name}/{name}", why) for name, why in part.skipped]
        listing.texts |= {f"{tar.name}/{name}": content for name, content in part.texts.items()}
    known = {tar.name for tar in tars}
    listing.skipped += [(e.name, "beside the tars") for e in folder.entries if e.name not in known]
    return listing


def contents(listing: Listing, wanted: Callable[[int], bool]) -> Iterator[tuple[int, bytes | None]]:
    """(index, bytes) of the entries, in order; bytes are None where a worker reads for itself or it is too large."""
    streams: dict[Path, dict[int | bytes | str, int]] = {}
    for i, e in enumerate(listing.entries):
        if e.stream is None:
            if wanted(i):
                yield i, None
        else:
            streams.setdefault(e.stream, {})[e.at] = i
    for path, number in streams.items():
        if path.name.lower().endswith(parquet.ENDING):
            rows = {int(row): i for row, i in number.items() if wanted(i)}
            for row, data in parquet.pictures(path, rows):
                if len(data) > MAX_BYTES:
                    listing.entries[rows[row]].size = len(data)
                yield rows[row], data if len(data) <= MAX_BYTES else None
            continue
        for t, member in tar_members(path):
            if not member.isreg() or member.issparse():
                continue
            i = number.pop(_member(member), None)
            if i is None or not wanted(i):
                continue
            f = t.extractfile(member) if member.size <= MAX_BYTES else None
            yield i, f.read() if f is not None else None
