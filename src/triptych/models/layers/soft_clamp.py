"""The end of a decoder of images."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def soft_clamp(y: Tensor) -> Tensor:
    """y within the range of inner images, [−1, 1], and with a slope of a hundredth outside.

    A decoder that need not meet the ends of the range exactly, but only leave it, gives flat paper and ink as one grey
    level: features see what the eye does not. Without any slope there, a decoder all of whose pixels leave the range
    would stay as it is.
    """
    return torch.lerp(y.clamp(-1, 1), y, 0.01)


class SoftClamp(nn.Module):
    """`soft_clamp` as the last layer of a network."""

    def forward(self, y: Tensor) -> Tensor:
        return soft_clamp(y)
