"""Kill a command just before its k-th change of a file.

Counted are opening to write, renaming, removing, linking, making and removing folders (as Python's audit events tell),
and fsync, which has none. What happens between two of these changes nothing that lasts but the content of a file that
is open, and that is met at its fsync: half written or whole.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate")


def install(kill: int, under: list[str], operations: str) -> None:
    """Count changes below the folders `under`, and die before change number `kill` (0: never).

    Each is a line in the file `operations`: what a trial was killed at can be looked up.
    """
    log = os.open(operations, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    places = tuple(os.path.realpath(p) for p in under)
    me, count, busy = os.getpid(), 0, False

    def change(what: str, path: Any) -> None:
        nonlocal count
        if os.getpid() != me:
            return
        full = os.path.realpath(os.fsdecode(path))
        if not full.startswith(places):
            return
        count += 1
        os.write(log, f"{what} {os.path.basename(full)}\n".encode())
        if count == kill:
            os.kill(me, signal.SIGKILL)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal busy
        if busy:
            return
        busy = True
        try:
            if event in CHANGES:
                change(event, args[0])
            elif event == "open" and isinstance(args[0], str | bytes | os.PathLike):
                path, mode, flags = args
                if (isinstance(flags, int) and flags & WRITES) or (isinstance(mode, str) and set(mode) & set("wax+")):
                    change("open", path)
        finally:
            busy = False

    synced = os.fsync

    def fsync(fd: Any) -> None:
        number = fd if isinstance(fd, int) else fd.fileno()
        nonlocal busy
        busy = True
        try:
            change("fsync", os.readlink(f"/proc/self/fd/{number}"))
        finally:
            busy = False
        synced(fd)

    os.fsync = fsync
    sys.addaudithook(hook)
