"""Units of what models and data are measured in."""

from __future__ import annotations

import math
from typing import TypeVar

from torch import Tensor

from triptych.errors import UserError

Number = TypeVar("Number", float, Tensor)


def bits_per_dim(log_prob: Number, shape: tuple[int, ...], levels: int = 256) -> Number:
    """−log p / (D ln 2) + log₂ levels.

    `log_prob` is in nats per example of a density over [0, 1]^D (values k/levels dequantised by noise in
    [0, 1/levels)); `shape` is one example's. A uniform density on the cube gives exactly log₂ levels. UserError for a
    shape without dimensions.
    """
    if not shape or min(shape) < 1 or levels < 1:
        raise UserError(f"the shape {tuple(shape)} at {levels} levels has no dimensions; give one example's shape")
    return -log_prob / (math.prod(shape) * math.log(2)) + math.log2(levels)
