"""Notices to a person."""

from __future__ import annotations

import sys
from functools import cache


@cache
def say(text: str) -> None:
    """What was guessed, skipped or left out, told on standard error once."""
    sys.stderr.write(
        text.encode(sys.stderr.encoding or "utf-8", "replace").decode(sys.stderr.encoding or "utf-8") + "\n"
    )
