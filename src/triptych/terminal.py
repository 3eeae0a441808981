"""Standard output, for tables and sentences."""

from __future__ import annotations

import sys

from rich.console import Console


def console() -> Console:
    """As wide as the terminal; on a pipe no line is wrapped, so that programs find one row in each."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(width=200, highlight=False, soft_wrap=True)


def printable(text: str) -> str:
    """`text` without what acts on a terminal: control characters as \\x1b, bytes that are no UTF-8 as \\xe9."""
    return "".join(c if c.isprintable() else _escaped(ord(c)) for c in text)


def _escaped(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # a byte that os.fsdecode could not read
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
