"""The protocol: which samples are compared with which reference, and with which floor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triptych.core.discovery import handed_on

if TYPE_CHECKING:
    from triptych.evaluate.of_run import evaluate_run as evaluate_run

__all__ = ["evaluate_run"]

__getattr__, __dir__ = handed_on(
    __name__,
    {
        "evaluate_run": "of_run",
    },
)
