"""How many of something: within what is possible, and in words that a line can hold."""

from __future__ import annotations

import math

from triptych.core.kinds import is_whole
from triptych.core.seeds import check_seed
from triptych.errors import UserError

MOST = 10_000_000
"""Samples, examples or pictures that are made at a time."""


def check_draw(n: int, seed: int, temperature: float = 1.0) -> int:
    """The seed as a plain int; UserError for samples that cannot be drawn: fewer than one, from what is no seed, or at
    a temperature that is none.

    There is no upper end: who draws them from Python knows what the memory holds.
    """
    check_count(n, "samples", 2**63 - 1)
    check_seed(seed)
    if not 0 <= temperature < math.inf:
        raise UserError(f"the temperature is {temperature}; give a finite number that is not below 0")
    return int(seed)


def check_count(n: int, what: str, most: int = MOST) -> None:
    """UserError for fewer than one of `what`, and for more than fit into memory or a file."""
    if not is_whole(n):
        raise UserError(f"{n!r} {what} were asked for; give a whole number")
    if n < 1:
        raise UserError(f"{counted(n)} {what} were asked for; give at least 1")
    if n > most:
        raise UserError(f"{counted(n)} {what} were asked for; give at most {most:,}")


def plural(n: int, what: str) -> str:
    """`1 row`, `2 rows`: a number of things that are plural by an s."""
    return f"{counted(n)} {what}{'' if n == 1 else 's'}"


def counted(n: int) -> str:
    """A number for a message, however long it is."""
    return f"{n:,}" if abs(n) < 10**18 else "more than 10^18"
