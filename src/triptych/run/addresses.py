"""Runs that are not a folder here yet: `hub:OWNER/NAME@REVISION` and `zoo:NAME` are brought into the cache."""

from __future__ import annotations

from pathlib import Path

from triptych.run import hub, zoo


def local(place: str | Path) -> Path:
    """The folder of a run, which may be an address; a path as it is."""
    for kind in (hub, zoo):
        if kind.is_address(place):
            return kind.fetch(str(place))
    return Path(place)
