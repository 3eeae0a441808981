"""The protocol: which samples are compared with which reference, and with which floor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triptych.core.discovery import handed_on

if TYPE_CHECKING:
    from triptych.evaluate.of_run import evaluate_run as evaluate_run
    from triptych.evaluate.of_sets import evaluate_sets as evaluate_sets
    from triptych.evaluate.options import Features as Features
    from triptych.evaluate.options import Reference as Reference
    from triptych.evaluate.options import Samples as Samples

__all__ = ["Features", "Reference", "Samples", "evaluate_run", "evaluate_sets"]

__getattr__, __dir__ = handed_on(
    __name__,
    {
        "Features": "options",
        "Reference": "options",
        "Samples": "options",
        "evaluate_run": "of_run",
        "evaluate_sets": "of_sets",
    },
)
