"""The one training loop, and what watches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triptych.core.discovery import handed_on

if TYPE_CHECKING:
    from triptych.trainer.loop import fit as fit
    from triptych.trainer.loop import resume as resume
    from triptych.trainer.named import train as train

__all__ = ["fit", "resume", "train"]

__getattr__, __dir__ = handed_on(
    __name__,
    {
        "fit": "loop",
        "resume": "loop",
        "train": "named",
    },
)
