"""Layers with data-dependent initialisation, set before training."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn


class Fitted(nn.Module):
    """Abstract base of what takes statistics of the training data before the first step: a head start, by name."""

    statistics: ClassVar[str]
    """what it takes, for people: `mean of each pixel`"""


def head_start(model: nn.Module) -> tuple[str, ...]:
    """The statistics of the data that a model takes before its first step; empty where it takes none."""
    return tuple(sorted({part.statistics for part in model.modules() if isinstance(part, Fitted)}))


class SubtractMean(Fitted):
    """x − E x of flattened images (n, d), the mean over the training data; x itself until `fit`.

    The mean image is most of a digit's energy on [-1, 1], and dominates the gradient of the first layer: not
    subtracted, binary digits came out a nat worse after two million images, with a quarter fewer active units.
    """

    statistics = "mean of each pixel"
    mean: Tensor

    def __init__(self, d: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(d))

    @torch.no_grad()
    def fit(self, mean: Tensor) -> None:
        """Set it to the mean (d,) of the training data."""
        self.mean.copy_(mean)

    def forward(self, x: Tensor) -> Tensor:
        return x - self.mean
