"""Likelihoods: their unit, and the card that says what a number is."""

from __future__ import annotations

import math
from typing import TypeVar

from torch import Tensor

Number = TypeVar("Number", float, Tensor)


def bits_per_dim(log_prob: Number, shape: tuple[int, ...], levels: int = 256) -> Number:
    """−log p / (D ln 2) + log₂ levels.

    `log_prob` is in nats per example of a density over [0, 1]^D (values k/levels dequantised by noise in
    [0, 1/levels)); `shape` is one example's. A uniform density on the cube gives exactly log₂ levels.
    """
    return -log_prob / (math.prod(shape) * math.log(2)) + math.log2(levels)
