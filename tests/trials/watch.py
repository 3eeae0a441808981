"""What a command does that a stranger's file could have asked for: an audit hook that writes it down.

Each act is a line of JSON in a file that is opened before the command starts.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
STARTS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system")
CONNECTS = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib.Request")
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.truncate")
HARMLESS = ("collections", "numpy", "torch", "builtins.set", "builtins.frozenset", "_codecs")
"""Modules whose names a pickle that this project reads itself (a data set's official file) may ask for."""


def install(watched: dict[str, Any], acts: str) -> None:
    """From now on; `watched` has `here`, the stranger's folder, and `may_write`, folders for the command's files."""
    log = os.open(acts, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    here = os.path.realpath(watched["here"])
    may_write = tuple(os.path.realpath(p) + os.sep for p in watched["may_write"])
    busy = False

    told: set[str] = set()

    def tell(kind: str, what: Any) -> None:
        line = json.dumps([kind, str(what)[:300]]) + "\n"
        if line not in told:
            told.add(line)
            os.write(log, line.encode())

    def inside(path: Any) -> bool:
        full = os.path.realpath(os.fsdecode(path))
        return (full + os.sep).startswith(may_write) or full.startswith(("/dev/", "/proc/self/"))

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal busy
        if busy:
            return
        busy = True
        try:
            look(event, args)
        except Exception as e:  # a hook that raises would stop the command that it watches
            tell("watch", f"{event}: {e!r}")
        finally:
            busy = False

    def look(event: str, args: tuple[Any, ...]) -> None:
        if event in STARTS:
            command = args[1] if len(args) > 1 else args
            first = os.fsdecode(args[0] or "") if isinstance(args[0], str | bytes | os.PathLike) else str(args[0])
            if first != sys.executable or "-P" not in list(command or []):
                tell("process", command)
        elif event in CONNECTS:
            tell("network", args[:2])
        elif event == "pickle.find_class" and not str(args[0]).startswith(HARMLESS):
            tell("pickle", args)
        elif event == "exec":
            file = getattr(args[0], "co_filename", "")
            if file.startswith("/") and os.path.realpath(file).startswith(here + os.sep):
                tell("code", file)
        elif event == "open":
            path, mode, flags = args
            writes = (isinstance(flags, int) and flags & WRITES) or (isinstance(mode, str) and set(mode) & set("wax+"))
            if writes and isinstance(path, str | bytes | os.PathLike) and not inside(path):
                tell("write", os.fsdecode(path))
        elif event in CHANGES:
            for path in args[:2]:
                if not isinstance(path, str | bytes | os.PathLike) or (event == "os.mkdir" and os.path.isdir(path)):
                    continue
                # the folder, not the name: a link that is itself renamed or removed leads nowhere
                if not inside(os.path.dirname(os.fsdecode(path)) or "."):
                    tell("write", f"{event} {os.fsdecode(path)}")

    sys.addaudithook(hook)
