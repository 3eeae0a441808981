"""Resizing to the extractor's input, by name: the filter is part of the number.

Bilinear and bicubic differ by about 10 of 255 on noise, so two FIDs with different resizes do not compare.
"""

from __future__ import annotations

import functools
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
    return bicubic(x, side).clamp(0, 255)


def bicubic(x: Tensor, side: int) -> Tensor:
    """`clean` before it clips."""
    return F.interpolate(x, (side, side), mode="bicubic", antialias=True, align_corners=False)


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

SMALL = 128
"""Up to this side two matrix products are quicker than the filter itself."""


def resized(name: str, x: Tensor, side: int) -> Tensor:
    """x (n, c, h, w) float32 through the named resize; small pictures by matrices, the same to rounding.

    Each resize is linear and acts on rows and columns apart; `clean` clips afterwards.
    """
    h, w = x.shape[-2:]
    if max(h, w) > SMALL or (h, w) == (side, side):
        return RESIZES[name](x, side)
    y = weights(name, h, side).to(x.device) @ x @ weights(name, w, side).to(x.device).T
    return y.clamp_(0, 255) if name == "clean" else y


@functools.cache
def weights(name: str, size: int, side: int) -> Tensor:
    """(side, size): what each output row takes from each input row, read off unit pictures."""
    linear = bicubic if name == "clean" else RESIZES[name]
    units = torch.eye(size).view(size, 1, size, 1).expand(-1, 1, -1, size)
    return linear(units, side)[:, 0, :, 0].T.contiguous()
