"""Metrics: plain functions of samples or features, and the final `Metric` dataclasses that evaluation runs.

Drop a file with a final dataclass derived from `Metric` in to add one. The functions below are exported by name
and loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from triptych.core import Metric, discover
from triptych.core.discovery import modules_inside

if TYPE_CHECKING:
    from triptych.core.units import bits_per_dim as bits_per_dim
    from triptych.metrics.coverage import mode_coverage as mode_coverage
    from triptych.metrics.frechet import frechet_distance as frechet_distance
    from triptych.metrics.frechet import frechet_from_features as frechet_from_features
    from triptych.metrics.kernel import kernel_distance as kernel_distance
    from triptych.metrics.neighbours import prdc as prdc
    from triptych.metrics.transport import sliced_wasserstein as sliced_wasserstein
    from triptych.metrics.transport import wasserstein as wasserstein

FUNCTIONS = {
    "bits_per_dim": "triptych.core.units",
    "frechet_distance": "triptych.metrics.frechet",
    "frechet_from_features": "triptych.metrics.frechet",
    "kernel_distance": "triptych.metrics.kernel",
    "mode_coverage": "triptych.metrics.coverage",
    "prdc": "triptych.metrics.neighbours",
    "sliced_wasserstein": "triptych.metrics.transport",
    "wasserstein": "triptych.metrics.transport",
}


def __getattr__(name: str) -> Any:
    if name in FUNCTIONS:
        return getattr(importlib.import_module(FUNCTIONS[name]), name)
    if name.startswith("_"):
        raise AttributeError(name)
    if name in modules_inside(__name__):
        return importlib.import_module(f"{__name__}.{name}")
    found = discover("metrics", Metric)
    if name in found:
        return found[name]
    raise AttributeError(f"triptych.metrics has no {name}; there are {', '.join([*FUNCTIONS, *found])}")


def __dir__() -> list[str]:
    return sorted([*FUNCTIONS, *discover("metrics", Metric)])
