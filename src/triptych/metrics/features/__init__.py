"""Extractors of features, and what they keep on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triptych.core.discovery import handed_on

if TYPE_CHECKING:
    from triptych.metrics.features.inception import InceptionV3 as InceptionV3

__all__ = ["InceptionV3"]

__getattr__, __dir__ = handed_on(
    __name__,
    {
        "InceptionV3": "inception",
    },
)
