"""The two spaces that examples live in, and the way from one to the other.

*Public*: images are float32 NCHW in [0, 1], vectors are float32 in the data's own units. *Inner*: what networks see;
images in [-1, 1], vectors unchanged. Stored images are uint8.
"""

from __future__ import annotations

import torch
from torch import Tensor

_GREY = 0.007843137  # 2/255 rounded down in float32: white is 1 - 2⁻²³, never above 1


def to_inner(x: Tensor) -> Tensor:
    """Public or uint8 images to [-1, 1]; vectors unchanged. A tensor of four dimensions is images."""
    if x.dim() != 4:
        return x
    if x.dtype == torch.uint8:
        y = x.to(torch.float32)
        black = torch.full((), -1.0, device=y.device)
        return torch.add(black, y, alpha=_GREY, out=y)  # one pass over what was just written, where ÷ and − are two
    return x * 2 - 1


def to_public(x: Tensor) -> Tensor:
    """Inner images to float32 [0, 1], clamped; vectors unchanged."""
    if x.dim() != 4:
        return x.float()
    return (x.float() + 1).mul(0.5).clamp(0, 1)


def to_bytes(x: Tensor) -> Tensor:
    """Public images (float in [0, 1]) to uint8, rounded to nearest."""
    return x.mul(255).round().clamp(0, 255).to(torch.uint8)
