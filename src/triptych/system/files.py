"""Files that are whole at every moment, whoever else writes, and that are never reached through a stranger's link.

Everything that triptych writes goes through `writing`: a part file of a random name beside the target, created new
(an existing file or link of that name is never opened), flushed to the disk, then renamed over the target. Readers
meet the old file or the new one. Of two writers the one that ends last wins. What a kill leaves behind is swept when
a process first writes into that folder, once no process holds it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from triptych.errors import UserError
from triptych.system.locks import try_lock
from triptych.system.refusals import system_errors

JSON_LIMIT = 256 << 20
"""Bytes of the largest JSON or text file that is read."""
PART = re.compile(r"\..+\.[0-9a-f]{16}\.part")
LEGACY = re.compile(r"\.tmp\w{6}|\.\d+\..+")
LOCK = ".lock"
"""The lock file of a folder."""
_swept: set[str] = set()
"""Folders that this process has written into, and so swept before."""


# ------------------------------------------------------------------------------------------- writing


@contextlib.contextmanager
def writing(path: str | Path, advice: str = "write to another place") -> Iterator[IO[bytes]]:
    """A binary file that takes the place of `path` when the block ends well; else nothing of it is left.

    UserError, with `advice` for what to do, where the system refuses: a full or read-only disk, no permission.
    """
    path = Path(path)
    with system_errors(path, advice):
        part, file = _new_part(path)
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if os.name == "nt":  # an open file cannot be renamed there
                    file.close()
                part.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def _new_part(path: Path) -> tuple[Path, IO[bytes]]:
    """A fresh part file beside `path`, locked for as long as it is open, so that `sweep` leaves it alone."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    _sweep_first(path.parent)
    while True:
        part = _part_name(path)
        file = os.fdopen(os.open(part, flags, 0o666), "w+b")
        try_lock(file)
        with contextlib.suppress(OSError):
            if os.path.samestat(part.lstat(), os.fstat(file.fileno())):
                return part, file
        file.close()  # swept between the two calls


def _part_name(path: Path) -> Path:
    # a name has at most 255 bytes: what a long one loses is only the readable middle
    stem = os.fsdecode(os.fsencode(path.name)[:200])
    return path.with_name(f".{stem}.{secrets.token_hex(8)}.part")


def write_bytes(path: str | Path, content: bytes, advice: str = "write to another place") -> None:
    """`content` as the whole of the file."""
    with writing(path, advice) as f:
        f.write(content)


def write_text(path: str | Path, text: str, advice: str = "write to another place") -> None:
    """`text` as UTF-8; a name that is no UTF-8 keeps its bytes."""
    write_bytes(path, text.encode("utf-8", "surrogateescape"), advice)


def write_json(path: str | Path, value: Any, advice: str = "write to another place") -> None:
    """`value` as JSON, which knows no NaN and no infinity: they become null."""
    write_text(path, json_text(value, indent=2) + "\n", advice)


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON in UTF-8's characters; where a name is no UTF-8, in ASCII, from which it is read back unchanged."""
    text = json.dumps(plain(value), indent=indent, allow_nan=False, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(plain(value), indent=indent, allow_nan=False)
    return text


def plain(value: Any) -> Any:
    """As JSON knows it: NaN and infinities become null, tuples lists."""
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextlib.contextmanager
def appending(path: str | Path, advice: str = "make the folder writable") -> Iterator[IO[bytes]]:
    """A file that grows at its end, made where there is none; UserError for a link, a pipe or a device."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
        flags |= getattr(os, name, 0)
    with system_errors(Path(path), advice), os.fdopen(os.open(path, flags, 0o666), "ab") as f:
        if not stat.S_ISREG(os.fstat(f.fileno()).st_mode):
            raise UserError(f"{path} is no ordinary file; remove it")
        yield f


def append_line(path: str | Path, value: Any) -> None:
    """One more line of JSON at the end of a file, which must not be a link."""
    with appending(path) as f:
        f.write((json_text(value) + "\n").encode())


def sync(path: str | Path) -> None:
    """What was appended to a file reaches the disk before anything that counts on it."""
    with contextlib.suppress(FileNotFoundError), Path(path).open("rb+") as f:
        os.fsync(f.fileno())


def sync_folder(path: str | Path) -> None:
    """A rename in a folder reaches the disk, on systems where folders can be synced."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):  # some file systems refuse it
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def making_folder(path: str | Path, advice: str = "write to another place") -> Iterator[Path]:
    """An unfinished folder that becomes `path` when the block ends well; else nothing of it is left.

    `path` must not exist, or be an empty folder. While it is unfinished it is locked by a file `.lock` in it, so that
    `sweep` leaves it alone.
    """
    path = Path(path)
    with system_errors(path, advice):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep_first(path.parent)
        part, lock = _new_part_folder(path)
        try:
            with lock:
                yield part
                if os.name == "nt":  # an open file cannot be moved there
                    lock.close()
                sync_folder(part)
                if path.exists():
                    path.rmdir()
                part.rename(path)
                (path / LOCK).unlink()  # not before: `sweep` knows by it what a kill left
        except BaseException:
            _remove(part)
            raise
        sync_folder(path.parent)


def _new_part_folder(path: Path) -> tuple[Path, IO[bytes]]:
    while True:
        part = _part_name(path)
        part.mkdir()
        try:
            lock = (part / LOCK).open("xb")
        except FileNotFoundError:  # swept between the two calls
            continue
        try_lock(lock)
        with contextlib.suppress(OSError):
            if os.path.samestat((part / LOCK).lstat(), os.fstat(lock.fileno())):
                return part, lock
        lock.close()


def sweep(folder: str | Path) -> int:
    """Remove the part files and folders that kills left in `folder`, and that no process holds; how many there were."""
    count = 0
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            if not PART.fullmatch(entry.name):
                continue
            with contextlib.suppress(OSError):
                if entry.is_file(follow_symlinks=False):
                    count += _sweep_file(Path(entry.path))
                elif entry.is_dir(follow_symlinks=False):
                    count += _sweep_folder(Path(entry.path))
    return count


def _sweep_first(folder: Path) -> None:
    """`sweep`, at the first time that this process writes there."""
    if (where := str(folder.absolute())) not in _swept:
        _swept.add(where)
        sweep(folder)


def sweep_legacy(folder: str | Path) -> int:
    """`sweep` for what version 0.1 left in the cache, which had no lock: only what is an hour old; how many there were.

    Its own part files were `.PID.NAME`, those of the library that wrote its tensors `.tmpXXXXXX`.
    """
    count = 0
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            if not LEGACY.fullmatch(entry.name) or not entry.is_file(follow_symlinks=False):
                continue
            with contextlib.suppress(OSError):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > 3600:
                    Path(entry.path).unlink()
                    count += 1
    return count


def _sweep_file(path: Path) -> bool:
    with path.open("rb+") as f:
        if not try_lock(f):
            return False
        if os.name != "nt":
            path.unlink()
    if os.name == "nt":  # an open file cannot be removed there
        path.unlink()
    return True


def _sweep_folder(path: Path) -> bool:
    if not (path / LOCK).exists():
        path.rmdir()  # killed, or at work, before it had a lock: its maker begins again
        return True
    with (path / LOCK).open("rb+") as f:
        if not try_lock(f):
            return False
        if os.name != "nt":
            _remove(path)
    if os.name == "nt":  # an open file cannot be removed there
        _remove(path)
    return True


def _remove(part: Path) -> None:
    """An unfinished folder goes, its lock last: a kill on the way leaves what `sweep` knows."""
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(part)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != LOCK:
                Path(entry.path).unlink()
        (part / LOCK).unlink(missing_ok=True)
        part.rmdir()


# ------------------------------------------------------------------------------------------- reading


def read_bytes(path: str | Path, limit: int = JSON_LIMIT, first: int | None = None) -> bytes:
    """A regular file of at most `limit` bytes, whole or its `first` bytes; UserError for a device, a pipe or a larger
    one."""
    path = Path(path)
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    info = os.fstat(handle)
    if not stat.S_ISREG(info.st_mode):
        os.close(handle)
        raise UserError(f"{path} is no ordinary file; remove it")
    with os.fdopen(handle, "rb") as f:
        if info.st_size > limit:
            raise UserError(f"{path} has {info.st_size:,} bytes, and at most {limit:,} are read; check what it is")
        return f.read(limit if first is None else first)


def read_text(path: str | Path, limit: int = JSON_LIMIT) -> str:
    """A text file in UTF-8, with or without a byte-order mark; UserError for other bytes."""
    try:
        return read_bytes(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise UserError(f"{path} is not text in UTF-8 ({e.reason} at byte {e.start}); save it as UTF-8") from e


def read_json(path: str | Path, limit: int = JSON_LIMIT) -> Any:
    """The value of a JSON file; UserError where it is none."""
    try:
        return json.loads(read_text(path, limit))
    except (ValueError, RecursionError) as e:
        if isinstance(e, UserError):
            raise
        raise UserError(f"{path} is not valid JSON ({e}); restore it from a copy") from e


def read_object(path: str | Path, limit: int = JSON_LIMIT) -> dict[str, Any]:
    """The object `{...}` of a JSON file; UserError where it holds anything else."""
    value = read_json(path, limit)
    if not isinstance(value, dict):
        raise UserError(f"{path} holds no JSON object; restore it from a copy")
    return value


def read_lines(path: str | Path, limit: int = 1 << 30) -> tuple[list[dict[str, Any]], int]:
    """The JSON objects of a file, a line each, and how many whole lines were none.

    A last line without its end is one that a kill cut: it is left out and not counted.
    """
    if not Path(path).exists():
        return [], 0
    whole, _, _ = read_bytes(path, limit).rpartition(b"\n")
    values, bad = [], 0
    for line in whole.split(b"\n") if whole else []:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            values.append(value)
        else:
            bad += 1
    return values, bad
