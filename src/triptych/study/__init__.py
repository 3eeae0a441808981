"""Recipes times seeds, trained in processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triptych.core.discovery import handed_on

if TYPE_CHECKING:
    from triptych.study.runner import run_study as run_study
    from triptych.study.study import Study as Study

__all__ = ["Study", "run_study"]

__getattr__, __dir__ = handed_on(
    __name__,
    {
        "Study": "study",
        "run_study": "runner",
    },
)
