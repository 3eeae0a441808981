"""What the operating system refuses, as messages that say what to do; and asking it beforehand."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from triptych.errors import UserError

_OTHER = (errno.ENOTDIR, errno.EEXIST)  # a file in place of a folder


@contextlib.contextmanager
def system_errors(path: Path, advice: str) -> Iterator[None]:
    """The operating system's refusals as messages that name the file and what to do."""
    try:
        yield
    except UserError:
        raise
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise UserError(f"the disk is full while writing {path} ({e.strerror}); free space, or {advice}") from e
        if e.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, *_OTHER):
            raise UserError(f"{path} cannot be written ({e.strerror}); {advice}") from e
        if e.errno == errno.EISDIR:
            raise UserError(f"{path} cannot be written, since it is a folder; {advice}") from e
        if e.errno == errno.ENOENT and path.parent.is_dir():  # such as /proc, in which nothing can be made
            raise UserError(f"{path} cannot be written: {path.parent} takes no files; {advice}") from e
        if e.errno == errno.ENOENT:
            raise UserError(f"there is no folder {path.parent} to write {path.name} in; make it, or {advice}") from e
        if e.errno == errno.ENXIO:
            raise UserError(f"{path} is no ordinary file; remove it, or {advice}") from e
        if e.errno == errno.ELOOP:
            raise UserError(f"{path} is a link and is not written through; remove it, or {advice}") from e
        raise


def refuse_unwritable(path: str | Path, advice: str = "write to another place", *, folder: bool) -> None:
    """UserError, before any work, where `path` could not be written after it; nothing is made now.

    A file needs the folder that it goes into; a `folder` would be made, and those above it too.
    """
    path = Path(path).absolute()
    with system_errors(path, advice):
        near = next(p for p in (path, *path.parents) if os.path.lexists(p))
        if near != path and not near.is_dir():
            raise _refusal(errno.ENOTDIR)
        if not folder and path.is_dir():
            raise _refusal(errno.EISDIR)
        if not folder and near not in (path, path.parent):
            raise _refusal(errno.ENOENT)
        if not os.access(near if near.is_dir() else near.parent, os.W_OK | os.X_OK):
            raise _refusal(errno.EACCES)


def _refusal(number: int) -> OSError:
    return OSError(number, os.strerror(number))
