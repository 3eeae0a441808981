"""Figures of samples, planes, curves and flows, on a fixed scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triptych.core.discovery import handed_on

if TYPE_CHECKING:
    from triptych.figures.charts import curves as curves
    from triptych.figures.planes import plane as plane
    from triptych.figures.tiles import grid as grid

__all__ = ["curves", "grid", "plane"]

__getattr__, __dir__ = handed_on(
    __name__,
    {
        "curves": "charts",
        "grid": "tiles",
        "plane": "planes",
    },
)
