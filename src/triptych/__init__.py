"""triptych: GANs, VAEs and normalizing flows, side by side.

Nothing heavy is imported until it is used, so that the command line answers at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "Data",
    "Recipe",
    "Run",
    "Study",
    "UserError",
    "data",
    "evaluate_run",
    "load",
    "metrics",
    "objectives",
    "recipes",
    "run_study",
    "train",
    "write_report",
]

if TYPE_CHECKING:
    from triptych import data, metrics, objectives, recipes
    from triptych.core import Data, Recipe
    from triptych.errors import UserError
    from triptych.evaluate import evaluate_run
    from triptych.report import write_report
    from triptych.run import Run, load
    from triptych.study import Study, run_study
    from triptych.trainer import train

_HOME = {
    "Data": "triptych.core",
    "Recipe": "triptych.core",
    "Run": "triptych.run",
    "Study": "triptych.study",
    "UserError": "triptych.errors",
    "evaluate_run": "triptych.evaluate",
    "load": "triptych.run",
    "run_study": "triptych.study",
    "train": "triptych.trainer",
    "write_report": "triptych.report",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in __all__ or name in ("trainer", "figures", "core", "models", "study", "report"):
        return importlib.import_module(f"triptych.{name}")
    raise AttributeError(f"module 'triptych' has no attribute {name!r}")
