"""What there is to know about a set before anything is trained on it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 32  # pixels a side when two pictures are compared
BITS = 8  # the hash keeps 8 x 8 low frequencies
COMPARED = 60_000  # of a larger set, that many examples drawn at random are compared


def moments(x: Tensor, rows: int = 4096) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel in [0, 1] (pictures), or of each column in its own units."""
    total = square = torch.zeros(x.shape[1], dtype=torch.float64)
    for part in x.split(rows):
        values = part.double() / 255 if x.dtype == torch.uint8 else part.double()
        values = values.flatten(2).movedim(1, 0).flatten(1) if x.dim() == 4 else values.T
        total, square = total + values.sum(1), square + values.square().sum(1)
    n = x.numel() / x.shape[1]
    mean = total / n
    return mean.tolist(), (square / n - mean**2).clamp(min=0).sqrt().tolist()


def thumbnails(x: Tensor, rows: int = 1024) -> Tensor:
    """Grey thumbnails of uint8 NCHW pictures, uint8 (n, 32, 32)."""
    weights = torch.tensor([0.299, 0.587, 0.114]) if x.shape[1] == 3 else torch.ones(1)
    out = torch.empty(len(x), SIDE, SIDE, dtype=torch.uint8)
    for part, to in zip(x.split(rows), out.split(rows), strict=True):
        grey = torch.einsum("nchw,c->nhw", part.float(), weights)[:, None]
        small = F.interpolate(grey, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)[:, 0]
        to.copy_(small.round().clamp(0, 255))
    return out


def perceptual_hash(small: Tensor, rows: int = 1024) -> Tensor:
    """63 signs ±1 for each thumbnail (n, 32, 32): its low cosine frequencies against their median.

    Invariant to brightness and contrast; two pictures' hashes differ in (63 − a·b) / 2 places.
    Source: the DCT hash of Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions".
    """
    t = (torch.arange(SIDE) + 0.5) * math.pi / SIDE
    basis = (torch.arange(BITS)[:, None] * t).cos()
    out = []
    for part in small.split(rows):
        low = (basis @ part.float() @ basis.T).flatten(1)[:, 1:]
        # a flat picture has no frequencies, only what rounding leaves of them: all of these have one hash
        out.append(torch.where((low > low.median(1, keepdim=True).values) & ~flat(part)[:, None], 1.0, -1.0))
    return torch.cat(out)


@dataclass(frozen=True)
class NearDuplicates:
    """Pairs (i, j), i < j, of near-duplicates with their distance, nearest first."""

    pairs: list[tuple[int, int, float]]
    compared: int
    within: int
    across: int
    """pairs with one side in train and the other in test"""


def near_duplicates(x: Tensor, test: Tensor | None = None, bits: int = 6, unlike: float = 0.01) -> NearDuplicates:
    """Pictures whose hashes differ in at most `bits` of 63 places and whose thumbnails correlate by 1 − `unlike`.

    The hash proposes, the correlation of the grey thumbnails decides: simple pictures, such as digits, share hashes
    without being the same. `test` (n,) says which rows are test.
    """
    n = len(x)
    chosen = torch.arange(n)
    if n > COMPARED:
        chosen = torch.randperm(n, generator=torch.Generator().manual_seed(0))[:COMPARED].sort().values
    small = thumbnails(x[chosen] if n > COMPARED else x)
    codes = perceptual_hash(small)
    pairs: list[tuple[int, int, float]] = []
    for start in range(0, len(codes), 512):
        block = codes[start : start + 512]
        near = torch.nonzero(block @ codes[start:].T >= codes.shape[1] - 2 * bits)
        near = near[near[:, 1] > near[:, 0]] + start
        for part in near.split(8192):
            i, j = part[:, 0], part[:, 1]
            distance = _distance(small[i], small[j])
            for k in torch.nonzero(distance <= unlike).flatten().tolist():
                pairs.append((int(chosen[i[k]]), int(chosen[j[k]]), float(distance[k])))
    pairs.sort(key=lambda p: p[2])
    across = 0 if test is None else sum(bool(test[i] != test[j]) for i, j, _ in pairs)
    return NearDuplicates(pairs, len(chosen), len(pairs) - across, across)


def flat(small: Tensor) -> Tensor:
    """Whether each thumbnail (n, 32, 32) is of one grey level, (n,)."""
    return small.flatten(1).amax(1) == small.flatten(1).amin(1)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """1 − the correlation of thumbnails (n, 32, 32), (n,). Two flat ones have none: theirs is that of the levels."""
    levels = (a[:, 0, 0].float() - b[:, 0, 0].float()).abs() / 255
    return torch.where(flat(a) & flat(b), levels, 1 - (_standard(a) * _standard(b)).sum(1))


def _standard(small: Tensor) -> Tensor:
    """Thumbnails of mean 0 and norm 1, (n, 1024)."""
    flat = small.flatten(1).float()
    return F.normalize(flat - flat.mean(1, keepdim=True))
