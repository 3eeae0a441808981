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
    from triptych import cli as cli
    from triptych import core as core
    from triptych import data, metrics, objectives, recipes
    from triptych import errors as errors
    from triptych import evaluate as evaluate
    from triptych import explore as explore
    from triptych import export as export
    from triptych import figures as figures
    from triptych import models as models
    from triptych import report as report
    from triptych import run as run
    from triptych import study as study
    from triptych import system as system
    from triptych import trainer as trainer
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
    if name in _rooms():
        return importlib.import_module(f"triptych.{name}")
    raise AttributeError(f"module 'triptych' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_rooms(), "__version__"})


def _rooms() -> list[str]:
    from triptych.core.discovery import modules_inside  # here, since --help has no need of it

    return modules_inside(__name__)
