"""Which HTML files are pages of ours: only they are written over, and only they are linked to."""

from __future__ import annotations

from pathlib import Path

REPORT = '<meta name="generator" content="triptych">'
EXPLORER = '<meta name="generator" content="triptych explore">'
EXPLORE_NAME = "explore.html"
"""What an explorer is named, unless asked otherwise."""


def is_page(path: Path, mark: str) -> bool:
    """Whether the file is a page with this mark."""
    with path.open("rb") as f:
        return mark.encode() in f.read(4_000)
