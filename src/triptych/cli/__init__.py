"""The command line: one file per group of commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triptych.core.discovery import handed_on

if TYPE_CHECKING:
    from triptych.cli.dispatch import main as main

__all__ = ["main"]

__getattr__, __dir__ = handed_on(
    __name__,
    {
        "main": "dispatch",
    },
)
