"""Resizing to the extractor's input, by name: the filter is part of the number.

Bilinear and bicubic differ by about 10 of 255 on noise, so two FIDs with different resizes do not compare.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def clean(x: Tensor, side: int) -> Tensor:
    """Bicubic with antialiasing on floats, clipped, not rounded: Pillow's float resize within 3e-3 of 255.

    x (n, c, h, w) on the 0–255 scale. What clean-fid does (Parmar et al. 2022, section 3).
    """
    if x.shape[-2:] == (side, side):
        return x
    return F.interpolate(x, (side, side), mode="bicubic", antialias=True, align_corners=False).clamp(0, 255)


def tf1_bilinear(x: Tensor, side: int) -> Tensor:
    """TensorFlow 1's bilinear: output pixel i reads position i · in / out, with no half-pixel shift, no antialiasing.

    x (n, c, h, w). What the original FID code and torch-fidelity do.
    """
    if x.shape[-2:] == (side, side):
        return x
    for dim in (2, 3):
        size = x.shape[dim]
        at = torch.arange(side, device=x.device, dtype=torch.float32) * (size / side)
        low = at.floor().long()
        weight = (at - low).to(x.dtype).view(-1, *[1] * (3 - dim))
        x = torch.lerp(x.index_select(dim, low), x.index_select(dim, (low + 1).clamp_max(size - 1)), weight)
    return x


def torch_bilinear(x: Tensor, side: int) -> Tensor:
    """Bilinear with half-pixel centres and no antialiasing. x (n, c, h, w). What pytorch-fid does."""
    return F.interpolate(x, (side, side), mode="bilinear", align_corners=False)


RESIZES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "clean": clean,
    "tf1-bilinear": tf1_bilinear,
    "torch-bilinear": torch_bilinear,
}
