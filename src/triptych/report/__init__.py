"""Runs side by side: tables, tests, words, a page, the terminal and CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triptych.core.discovery import handed_on

if TYPE_CHECKING:
    from triptych.report.page import write_report as write_report

__all__ = ["write_report"]

__getattr__, __dir__ = handed_on(
    __name__,
    {
        "write_report": "page",
    },
)
