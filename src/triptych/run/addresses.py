"""Runs that are not a folder here yet: `hub:OWNER/NAME@REVISION` and `zoo:NAME` are brought into the cache."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path

from triptych.run import hub, zoo

Place = str | PathLike[str]
"""The path of a run folder, an address, or a `Run` itself."""


def local(place: Place) -> Path:
    """The folder of a run, which may be an address; a path as it is."""
    text = fspath(place)
    for kind in (hub, zoo):
        if kind.is_address(text):
            return kind.fetch(text)
    return Path(text)
