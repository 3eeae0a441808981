"""What can be wrong with a picture, by degrees: features are taught to tell it, and negative controls are made of it.

Every function takes public images (n, c, h, w), float32 in [0, 1], and returns as many of the same kind. A degree is
one number for all pictures or one each, (n,).
"""

from __future__ import annotations

import io

import torch
import torch.nn.functional as F
from torch import Tensor

Degree = float | Tensor


def each(degree: Degree, x: Tensor) -> Tensor:
    """One number for each picture, (n,)."""
    return torch.as_tensor(degree, dtype=x.dtype, device=x.device).expand(len(x))


def blurred(x: Tensor, sigma: Degree) -> Tensor:
    """Gaussian blur of standard deviation `sigma` in pixels; at the edges only pixels inside count."""
    s = each(sigma, x).clamp_min(1e-3)
    for dim in (2, 3):
        at = torch.arange(x.shape[dim], dtype=x.dtype)
        weights = (-(at[:, None] - at).square() / (2 * s[:, None, None] ** 2)).exp()
        weights = (weights / weights.sum(2, keepdim=True))[:, None]
        x = weights @ x if dim == 2 else x @ weights.transpose(2, 3)
    return x.clamp(0, 1)


def noisy(x: Tensor, sigma: Degree, g: torch.Generator) -> Tensor:
    """Independent Gaussian noise of standard deviation `sigma` in every value, clipped to [0, 1]."""
    return (x + each(sigma, x)[:, None, None, None] * torch.randn(x.shape, generator=g)).clamp(0, 1)


def shuffled(x: Tensor, share: Degree, g: torch.Generator, grid: int = 4) -> Tensor:
    """A `share` of the patches of a grid × grid division changes places among themselves."""
    n, _, h, w = x.shape
    grid = min(grid, h, w)
    ph, pw = h // grid, w // grid
    inner = x[..., : ph * grid, : pw * grid].unflatten(3, (grid, pw)).unflatten(2, (grid, ph))  # n c gy ph gx pw
    patches = inner.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)  # n, grid², c, ph, pw
    order = torch.rand(n, grid**2, generator=g)
    moved = (each(share, x)[:, None] * grid**2).round()
    rank = order.argsort(1).argsort(1)  # the first `moved` of a random order go round by one place
    go = rank < moved
    target = torch.where(go, (rank + 1) % moved.clamp_min(1), rank).long()
    place = order.argsort(1)
    patches = patches.gather(1, place.gather(1, target)[:, :, None, None, None].expand_as(patches))
    y = x.clone()
    y[..., : ph * grid, : pw * grid] = (
        patches.unflatten(1, (grid, grid)).permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
    )
    return y


def scrambled(x: Tensor, share: Degree, g: torch.Generator) -> Tensor:
    """Fourier phases moved by `share` of a random phase: the spectrum stays, the shapes go. Clipped to [0, 1]."""
    noise = torch.fft.rfft2(torch.randn(len(x), 1, *x.shape[2:], generator=g))
    spectrum = torch.fft.rfft2(x) * torch.polar(
        torch.ones_like(noise.real), each(share, x)[:, None, None, None] * noise.angle()
    )
    spectrum[..., 0, 0] = torch.fft.rfft2(x)[..., 0, 0]
    return torch.fft.irfft2(spectrum, s=x.shape[2:]).clamp(0, 1)


def blended(x: Tensor, share: Degree, g: torch.Generator) -> Tensor:
    """Each picture with a `share` of another one laid over it."""
    other = x.roll(1 + int(torch.randint(max(len(x) - 1, 1), (1,), generator=g)), 0)
    return torch.lerp(x, other, each(share, x)[:, None, None, None])


def recompressed(x: Tensor, quality: int) -> Tensor:
    """Through JPEG of that quality, and back."""
    from PIL import Image

    parts = []
    for picture in (x * 255).round().to(torch.uint8):
        mode = picture[0] if len(picture) == 1 else picture.permute(1, 2, 0)
        file = io.BytesIO()
        Image.fromarray(mode.numpy()).save(file, "JPEG", quality=quality)
        with Image.open(file) as back:
            y = torch.frombuffer(bytearray(back.tobytes()), dtype=torch.uint8)
        parts.append(y.view(*picture.shape[1:], -1).permute(2, 0, 1))
    return torch.stack(parts).float() / 255


def coarse(x: Tensor, factor: Degree, g: torch.Generator) -> Tensor:
    """Averaged down by `factor`, at least to 2 pixels, and up again: half of them by repetition, half bilinearly."""
    h, w = x.shape[2:]
    y = x.clone()
    wanted = each(factor, x)
    sides = (h / wanted).round().clamp_min(2).long()
    smooth = torch.rand(len(x), generator=g) < 0.5
    for side in sides.unique().tolist():
        for mode, kind in (("nearest", ~smooth), ("bilinear", smooth)):
            rows = (sides == side) & kind
            if side < h and bool(rows.any()):
                small = F.interpolate(x[rows], (side, max(2, round(side * w / h))), mode="area")
                y[rows] = F.interpolate(small, (h, w), mode=mode)
    return y


def pale(x: Tensor, share: Degree) -> Tensor:
    """Every value moved by `share` of the way to the picture's mean."""
    return torch.lerp(x, x.mean((1, 2, 3), keepdim=True).expand_as(x), each(share, x)[:, None, None, None])


def bent(x: Tensor, extent: Degree, g: torch.Generator) -> Tensor:
    """Moved by a smooth random field of standard deviation `extent` in halves of a side; bicubic, clipped to [0, 1]."""
    n, _, h, w = x.shape
    field = F.interpolate(torch.randn(n, 2, 4, 4, generator=g), (h, w), mode="bicubic", align_corners=True)
    here = F.affine_grid(torch.eye(2, 3).expand(n, 2, 3), [n, 1, h, w], align_corners=False)
    there = here + each(extent, x)[:, None, None, None] * field.permute(0, 2, 3, 1)
    return F.grid_sample(x, there, mode="bicubic", padding_mode="border", align_corners=False).clamp(0, 1)
