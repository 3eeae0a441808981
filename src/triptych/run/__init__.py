"""The folder of a run: its recipe, log, checkpoints and trained model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triptych.core.discovery import handed_on

if TYPE_CHECKING:
    from triptych.run.folder import Run as Run
    from triptych.run.folder import load as load
    from triptych.run.sinks import Sink as Sink

__all__ = ["Run", "Sink", "load"]

__getattr__, __dir__ = handed_on(
    __name__,
    {
        "Run": "folder",
        "Sink": "sinks",
        "load": "folder",
    },
)
