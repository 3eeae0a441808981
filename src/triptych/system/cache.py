"""Where prepared sets, downloads and features are kept, and where data sets may lie under their names."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from triptych.errors import UserError

ADVICE = "set TRIPTYCH_CACHE to a folder that can"
"""What to do where the cache cannot be written."""


def root() -> Path:
    """$TRIPTYCH_CACHE, else $XDG_CACHE_HOME/triptych, else ~/.cache/triptych."""
    if own := os.environ.get("TRIPTYCH_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "triptych"


_only: ContextVar[Path | None] = ContextVar("collection", default=None)


@contextlib.contextmanager
def reading_from(collection: Path | None) -> Iterator[None]:
    """Within, named sets are read from that folder of data sets alone; None changes nothing."""
    token = _only.set(collection or _only.get())
    try:
        yield
    finally:
        _only.reset(token)


def collections() -> list[Path]:
    """Folders that may hold data sets under their names: $TRIPTYCH_DATA, ../shared/data, the downloads."""
    if (only := _only.get()) is not None:
        return [only]
    own = os.environ.get("TRIPTYCH_DATA")
    if own and not Path(own).is_dir():
        raise UserError(f"TRIPTYCH_DATA is {own!r}, which is not a folder; point it at one or unset it")
    places = [Path(own)] if own else []
    return [p for p in (*places, Path.cwd().parent / "shared" / "data", root() / "downloads") if p.is_dir()]


def plain(name: str) -> str:
    """A set's name, which may be a path, as the name of one file: in ASCII, which every system can hold."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in Path(name).name)
    return kept.strip("._")[:60] or "pictures"
