"""The folder of a run: its recipe, log, checkpoints and trained model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triptych.core.discovery import handed_on

if TYPE_CHECKING:
    from triptych.run.folder import Run as Run
    from triptych.run.folder import load as load

__all__ = ["Run", "load"]

__getattr__, __dir__ = handed_on(
    __name__,
    {
        "Run": "folder",
        "load": "folder",
    },
)
