"""The one error type that is a message to a person."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something the caller can put right.

    The text is one line, ``what is wrong; what to do``. The command line prints it after ``error:`` and
    exits with status 2, without a traceback.
    """


class NoSplit(UserError):
    """A test split was asked for where the source has none: what a caller may fall back from."""


class Diverged(UserError):
    """Training met a non-finite loss or gradient and stopped (exit status 3)."""


class Interrupted(KeyboardInterrupt):
    """An interrupt of something that can go on; the text says how."""


def nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    """The names that a misspelt one may stand for, as a question; `otherwise` where none is like it."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else otherwise


class NotFinite(UserError):
    """Samples with NaN or infinite numbers, where only finite ones can be used."""

    def __init__(self, text: str, count: int) -> None:
        super().__init__(text)
        self.count = count


class TooFew(UserError):
    """There are fewer examples than a metric is defined for."""


class Missing(UserError, AttributeError):
    """A part of a model that was given away without it."""
