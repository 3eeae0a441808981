"""What a folder, a zip or a tar holds, without unpacking anything."""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from triptych.data.decode import MAX_BYTES
from triptych.errors import UserError

TARS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
PICTURES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
    | {".pbm", ".pnm", ".ico", ".jp2", ".j2k", ".avif", ".pcx", ".sgi"}
    | {".heic", ".heif", ".jxl", ".svg", ".psd", ".tga"}  # not read, but said
)
BOMB, SLACK = 50, 1 << 30  # a compressed tar may grow by this factor, plus so many bytes
CELEBA = ("list_eval_partition.txt", "list_attr_celeba.txt")  # also where they lie beside an archive
TEXTS = frozenset(
    {"images.txt", "image_class_labels.txt", "classes.txt", "train_test_split.txt", *CELEBA}
)  # tables that official layouts keep beside their pictures
TEXT_LIMIT = 64 << 20


@dataclass
class Entry:
    """One candidate file. `where` tells a worker how to read it; None: it comes along with the stream."""

    name: str
    size: int
    where: dict[str, Any] | None
    label: int = -1
    side: int | None = None
    """0 train, 1 test, 2 neither (in `all` only); None: the source has no split"""
    stamp: int = 0

    @property
    def expected(self) -> bool:
        """Whether its name claims to be a picture (or says nothing)."""
        return PurePosixPath(self.name).suffix.lower() in PICTURES or "." not in PurePosixPath(self.name).name


@dataclass
class Listing:
    """Candidates in order, files left aside with the reason, and classes by label."""

    path: Path
    entries: list[Entry]
    skipped: list[tuple[str, str]] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    factors: dict[str, list[int]] = field(default_factory=dict)
    """Known attributes by name, one number per entry."""
    texts: dict[str, str] = field(default_factory=dict)
    """Contents of the `TEXTS` found, by name."""

    def keep(self, wanted: Callable[[Entry], bool], reason: str) -> None:
        """Leave the other entries aside."""
        self.skipped += [(e.name, reason) for e in self.entries if not wanted(e)]
        self.entries = [e for e in self.entries if wanted(e)]


def stamp(path: Path) -> tuple[str, Listing | None]:
    """Text that changes when the archive, a table beside it, or name, size or time of a file in the folder does.

    Looking through a folder for that is most of listing it, so the listing comes along.
    """
    where = text_of(os.path.realpath(path))
    if path.is_file():
        tables = [table for name in CELEBA if (table := path.parent / name).is_file()]
        sizes = ((p.name, p.stat()) for p in tables)
        info = path.stat()
        marks = [f"{where}\0{info.st_size}\0{info.st_mtime_ns}"]
        return "\n".join([*marks, *(f"{name}\0{i.st_size}\0{i.st_mtime_ns}" for name, i in sizes)]), None
    listing = _folder(path)
    return "\n".join([where, *(f"{e.name}\0{e.size}\0{e.stamp}" for e in listing.entries)]), listing


def is_tar(path: Path) -> bool:
    return path.name.lower().endswith(TARS)


def candidates(path: Path, folder: Listing | None = None) -> Listing:
    """Every regular file of a folder, zip or tar, sorted by name as in a folder, without classes."""
    if path.is_dir():
        listing = folder or _folder(path)
        for e in listing.entries:
            last = e.name.rpartition("/")[2]
            if last in TEXTS and e.where is not None and e.size <= TEXT_LIMIT:
                listing.texts[last] = Path(e.where["path"]).read_text("utf-8", "replace")
    elif zipfile.is_zipfile(path):
        listing = _zip(path)
    elif is_tar(path):
        listing = _tar(path)
    else:
        raise UserError(f"{path} is not a folder, a zip or a tar; give one of these, or an array file (.npy .npz .csv)")
    seen: dict[str, Entry] = {}
    for e in listing.entries:
        if e.name in seen:
            listing.skipped.append((e.name, "a second file of the same name in the archive"))
        else:
            seen[e.name] = e
    for e in list(seen.values()):
        if listing.texts and e.name.rpartition("/")[2] in listing.texts:
            listing.skipped.append((e.name, "a table of the set"))
            del seen[e.name]
    listing.entries = list(seen.values()) if _streamed(path) else sorted(seen.values(), key=lambda e: e.name)
    return listing


def text_of(name: str) -> str:
    """A name that is no text would not survive in the index: its odd bytes are written out."""
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode("utf-8")


def _hidden(name: str) -> bool:
    return any(_litter(part) for part in name.split("/"))


def _litter(part: str) -> bool:
    """Names of what systems leave behind."""
    return part.startswith(".") or part in ("__MACOSX", "Thumbs.db", "desktop.ini")


def _outside(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or (bool(path.parts) and ":" in path.parts[0])


def _folder(path: Path) -> Listing:
    listing = Listing(path, [])
    todo, visited = [(str(path), "", False)], set()
    while todo:
        top, prefix, hidden = todo.pop()
        real = os.path.realpath(top)  # a linked folder counts, but only once: links may run in circles
        if real in visited:
            listing.skipped.append((prefix.rstrip("/"), "a link to a folder that is listed already"))
            continue
        visited.add(real)
        try:
            with os.scandir(top) as scan:
                found = sorted(scan, key=lambda item: item.name)
        except OSError as e:
            listing.skipped.append((prefix or top, f"cannot be read: {e.strerror}"))
            continue
        for item in found:
            name = text_of(prefix + item.name)
            litter = hidden or _litter(item.name)
            try:
                info = item.stat()
            except OSError as e:
                listing.skipped.append((name, "hidden file" if litter else f"cannot be read: {e.strerror}"))
                continue
            if stat.S_ISDIR(info.st_mode):
                todo.append((item.path, name + "/", litter))
                continue
            if litter:
                listing.skipped.append((name, "hidden file"))
                continue
            if not stat.S_ISREG(info.st_mode):
                listing.skipped.append((name, "not a regular file"))
                continue
            where = {"path": item.path, "offset": 0, "size": info.st_size}
            listing.entries.append(Entry(name, info.st_size, where, stamp=info.st_mtime_ns))
    listing.entries.sort(key=lambda e: e.name)
    return listing


def _aside(name: str) -> str | None:
    if _outside(name):
        return "its name leads out of the archive"
    return "hidden file" if _hidden(name) else None


def _zip(path: Path) -> Listing:
    listing = Listing(path, [])
    try:
        with zipfile.ZipFile(path) as z:
            infos = z.infolist()
            for info in infos:
                if (last := PurePosixPath(info.filename).name) in TEXTS and info.file_size <= TEXT_LIMIT:
                    listing.texts[last] = z.read(info).decode("utf-8", "replace")
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, ValueError, zlib.error) as e:
        raise UserError(f"{path} is a damaged zip ({e}); fetch or pack it again") from e
    for info in infos:
        if info.is_dir():
            continue
        name = info.filename.removeprefix("./")
        if reason := _aside(name):
            listing.skipped.append((name, reason))
        elif info.flag_bits & 1:
            listing.skipped.append((name, "encrypted"))
        else:
            where = {"path": str(path), "member": info.filename, "size": info.file_size}
            listing.entries.append(Entry(name, info.file_size, where))
    return listing


def _streamed(path: Path) -> bool:
    """Whether the members can only be read one after the other: a compressed tar."""
    return path.is_file() and is_tar(path) and not path.name.lower().endswith(".tar")


def _members(path: Path, mode: Literal["r:", "r|*"]) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Members one by one; UserError for a damaged tar and for one that unpacks to absurd sizes."""
    import lzma

    allowed = BOMB * path.stat().st_size + SLACK
    try:
        with tarfile.open(path, mode) as t:
            for member in t:
                if member.offset_data + member.size > allowed and mode != "r:":
                    raise UserError(f"{path} unpacks to over {allowed >> 20:,} MB; unpack it yourself if that is right")
                yield t, member
    except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, ValueError, OSError) as e:
        if isinstance(e, UserError):
            raise
        raise UserError(f"{path} is a damaged or cut-off tar ({e}); fetch or pack it again") from e


def _member(member: tarfile.TarInfo) -> str:
    return text_of(member.name.removeprefix("./"))


def _tar(path: Path) -> Listing:
    listing = Listing(path, [])
    streamed, total = _streamed(path), path.stat().st_size
    for t, member in _members(path, "r|*" if streamed else "r:"):
        name = _member(member)
        if member.isdir():
            continue
        if not member.isreg() or member.issparse():
            listing.skipped.append((name, "a link or special file in the archive"))
        elif reason := _aside(name):
            listing.skipped.append((name, reason))
        elif not streamed and member.offset_data + member.size > total:
            raise UserError(f"{path} is cut off within {name}; fetch or pack it again")
        else:
            where = {"path": str(path), "offset": member.offset_data, "size": member.size}
            listing.entries.append(Entry(name, member.size, None if streamed else where))
            if (
                (last := PurePosixPath(name).name) in TEXTS
                and member.size <= TEXT_LIMIT
                and (f := t.extractfile(member))
            ):
                listing.texts[last] = f.read().decode("utf-8", "replace")
    return listing


def contents(listing: Listing, wanted: Callable[[int], bool]) -> Iterator[tuple[int, bytes | None]]:
    """(index, bytes) of the entries, in order; bytes are None where a worker reads for itself or it is too large."""
    if not _streamed(listing.path):
        yield from ((i, None) for i in range(len(listing.entries)) if wanted(i))
        return
    number = {e.name: i for i, e in enumerate(listing.entries)}
    for t, member in _members(listing.path, "r|*"):
        i = number.pop(_member(member), None)
        if i is None or not member.isreg() or not wanted(i):
            continue
        f = t.extractfile(member) if member.size <= MAX_BYTES else None
        yield i, f.read() if f is not None else None
