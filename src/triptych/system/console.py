"""The one door of all text that reaches a terminal: nothing in it is read as markup, nothing in it acts.

Names and texts may come from a stranger's file. What would move the cursor, hide text or turn its direction is shown
as an escape, and what the stream's encoding does not have is replaced.
"""

from __future__ import annotations

import codecs
import importlib.util
import io
import logging
import sys
import unicodedata
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from rich.console import Console
from rich.text import Text

PLAINER = {"−": "-", "–": "-", "×": "x", "→": "->", "≥": ">=", "≤": "<=", "±": "+-", "…": "...", "‖": "||", "·": "."}
"""What stands in for a sign of ours where the stream's encoding has none."""
TURNING = {chr(c) for c in (0x061C, 0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
"""Characters that turn the direction of writing, and Unicode's own line ends."""

open_displays: list[Callable[[], None]] = []
"""What takes each display that is shown off the terminal, the outermost first."""


def close_displays() -> None:
    """Take all bars off the terminal, which has its cursor back: what they counted was cut."""
    while open_displays:
        open_displays.pop()()


def printable(text: str) -> str:
    """`text` with everything that acts on a terminal as an escape: `\\x1b`, `\\x9b`, `\\u202e`; lines and tabs stay.

    A byte of a name that is no UTF-8 (a lone surrogate in Python) becomes `\\xNN`.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else escaped(c) for c in text)


def escaped(c: str) -> str:
    """One character that cannot be shown, as an escape; spaces of other kinds stay."""
    number = ord(c)
    if unicodedata.category(c) in ("Zs", "Cn", "Co") or (unicodedata.category(c) == "Cf" and c not in TURNING):
        return c
    if 0xDC80 <= number <= 0xDCFF:
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def replaced(error: UnicodeError) -> tuple[str, int]:
    """The codec error handler of the streams: the nearest plain sign, else an escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = []
    for c in error.object[error.start : error.end]:
        shown = printable(c)
        found.append(PLAINER.get(c) or (shown if shown.isascii() else "?"))
    return "".join(found), error.end


codecs.register_error("triptych.plainer", replaced)


def prepare_streams() -> None:
    """Standard output and error never fail for want of a character: what they cannot hold is replaced."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="triptych.plainer")


class PlainConsole(Console):
    """A console that takes every text, those in the cells of a table too, as it is: no markup, no emoji."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(str(o) if isinstance(o, PurePath) else o for o in objects), **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)


def console(*, stderr: bool = False) -> Console:
    """As wide as the terminal; on a pipe no line is wrapped, so that programs find one row in each."""
    stream = sys.stderr if stderr else sys.stdout
    if stream.isatty() or "ipykernel" in sys.modules:
        return PlainConsole(stderr=stderr)
    return PlainConsole(stderr=stderr, width=200, soft_wrap=True)


def say(*texts: object, stderr: bool = False) -> None:
    """A line for each text, through the door, whether or not the stream was prepared."""
    stream = sys.stderr if stderr else sys.stdout
    encoding = stream.encoding or "utf-8"
    for text in texts:
        stream.write(printable(str(text)).encode(encoding, "triptych.plainer").decode(encoding) + "\n")
    stream.flush()


class _Shown(logging.Handler):
    """What the library has to say goes to standard error, through the door."""

    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage(), stderr=True)


LOG = logging.getLogger("triptych")
"""Whoever uses the library sets its level, or takes its handler away and lets it propagate."""
LOG.addHandler(_Shown())
LOG.propagate = False


def note(*texts: object) -> None:
    """Something that a person should know and that stops nothing: a warning of the logger `triptych` for each."""
    for text in texts:
        LOG.warning("%s", printable(str(text)))


def in_notebook() -> bool:
    """Whether pictures of progress can be shown in a notebook: it needs ipywidgets beside."""
    return console(stderr=True).is_jupyter and importlib.util.find_spec("ipywidgets") is not None
