"""Standard output, for tables and sentences."""

from __future__ import annotations

import sys

from rich.console import Console


def console() -> Console:
    """As wide as the terminal; on a pipe no line is wrapped, so that programs find one row in each."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(width=200, highlight=False, soft_wrap=True)
