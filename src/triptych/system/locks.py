"""Locks on files, of which the system lets go when their holder dies."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from triptych.errors import UserError
from triptych.system.refusals import system_errors


def try_lock(file: IO[bytes]) -> bool:
    """Whether this process holds the file now; the system lets go when the file is closed or the process dies."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held, or a file system without locks: nobody knows then
        return False
    return True


def hold(path: str | Path, *, wait: bool = False) -> IO[bytes] | None:
    """Lock the file `path` until what is returned is closed, or this process dies; None where another holds it.

    With `wait` there is no None. A file system that has no locks is no hindrance without.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with system_errors(path, "make the folder writable"):
        lock = os.fdopen(os.open(path, flags, 0o666), "r+b", buffering=0)
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(lock.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as e:
        if wait or e.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            lock.close()
            if wait or e.errno not in (errno.EWOULDBLOCK, errno.EACCES):  # EACCES: Windows
                raise
            return None
    return lock


@contextlib.contextmanager
def exclusive(path: str | Path, taken: str = "") -> Iterator[None]:
    """Hold the lock file `path` exclusively; the system lets go when the holder dies.

    A second process waits, or gets UserError with the text `taken` where there is one. A file system that has no locks
    is no hindrance then.
    """
    if (lock := hold(path, wait=not taken)) is None:
        raise UserError(taken)
    with lock:
        yield
