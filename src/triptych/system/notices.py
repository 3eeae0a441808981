"""Notices to a person."""

from __future__ import annotations

from functools import cache

from triptych.system import console


@cache
def say(text: str) -> None:
    """What was guessed, skipped or left out, told on standard error once."""
    console.note(text)
