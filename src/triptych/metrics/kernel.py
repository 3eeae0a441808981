"""Kernel distance: the unbiased squared MMD with a cubic polynomial kernel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from triptych.core import Metric, Value
from triptych.metrics.arrays import TooFew, pair
from triptych.metrics.case import Case
from triptych.metrics.features import Inception

BLOCK = 2048


def kernel_distance(x: Tensor | ArrayLike, y: Tensor | ArrayLike) -> float:
    """Unbiased squared MMD of features x (n, d) and y (m, d) with k(a, b) = (a·b / d + 1)³.

    The full U-statistic over all pairs; a value below zero is normal where the sets agree. On Inception features
    this is KID (Bińkowski et al. 2018, section 4), without its subsets.
    """
    return kernel_statistics(x, y)[0]


def kernel_statistics(x: Tensor | ArrayLike, y: Tensor | ArrayLike) -> tuple[float, float]:
    """`kernel_distance` and its jackknife standard error.

    Leaving one example of x (then of y) out changes the statistic by amounts whose spread is the error's two
    independent parts; both come from row sums of the kernel matrices, with no second pass.
    """
    x, y = pair(x, y, least=2)
    n, m = len(x), len(y)
    xx, yy = row_sums(x, x), row_sums(y, y)
    xx, yy = xx - cubic(x.square().sum(1), x.shape[1]), yy - cubic(y.square().sum(1), y.shape[1])
    xy, yx = row_sums(x, y), row_sums(y, x)
    a, b, c = xx.sum() / (n * (n - 1)), yy.sum() / (m * (m - 1)), xy.sum() / (n * m)
    variance = torch.zeros((), dtype=torch.float64)
    for own, cross, k, other in ((xx, xy, n, m), (yy, yx, m, n)):
        if k > 2:
            without = (own.sum() - 2 * own) / ((k - 1) * (k - 2)) - 2 * (cross.sum() - cross) / ((k - 1) * other)
            variance += (k - 1) / k * (without - without.mean()).square().sum()
    return (a + b - 2 * c).item(), variance.sqrt().item()


def kernel_distance_subsets(
    x: Tensor | ArrayLike, y: Tensor | ArrayLike, subsets: int = 100, size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Mean and standard deviation of `kernel_distance` over random subsets: the customary KID.

    UserError where a set is smaller than `size`; it is never shrunk.
    """
    x, y = pair(x, y, least=2)
    if min(len(x), len(y)) < size:
        raise TooFew(f"KID on subsets of {size} needs as many examples on each side; there are {len(x)}, {len(y)}")
    g = torch.Generator().manual_seed(seed)
    values = torch.tensor(
        [
            kernel_distance(
                x[torch.randperm(len(x), generator=g)[:size]], y[torch.randperm(len(y), generator=g)[:size]]
            )
            for _ in range(subsets)
        ],
        dtype=torch.float64,
    )
    return values.mean().item(), values.std().item()


def cubic(dots: Tensor, d: int) -> Tensor:
    k = dots / d + 1
    return k * k * k  # many times faster than a power


def row_sums(x: Tensor, y: Tensor) -> Tensor:
    """Σⱼ k(xᵢ, yⱼ), (n,), a block at a time."""
    total = torch.zeros(len(x), dtype=x.dtype)
    for i in range(0, len(x), BLOCK):
        for part in y.split(BLOCK):
            total[i : i + BLOCK] += cubic(x[i : i + BLOCK] @ part.T, x.shape[1]).sum(1)
    return total


@dataclass(frozen=True)
class Kernel(Metric):
    """The kernel distance on every extractor's features: `kid` on Inception's. Negative is normal near zero.

    `kernel` is the full U-statistic with its jackknife error; `kernel_subsets` (`kid_subsets`) the customary mean
    over random subsets, where there are enough examples for them.
    """

    subsets: int = 100
    size: int = 1000
    """examples in a subset"""
    seed: int = 0
    """of the subsets"""

    def applies(self, case: Case) -> str:
        return ""

    def __call__(self, case: Case) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for space in case.spaces:
            found |= case.measure(lambda x, y: {"kernel": kernel_statistics(x, y)}, space)
            if isinstance(space.extractor, Inception) and min(len(case.real), len(case.fake)) >= self.size:
                found |= case.measure(self.over_subsets, space, seed=self.seed, note="se: spread of subsets")
        return found

    def over_subsets(self, x: Tensor, y: Tensor) -> dict[str, tuple[float, float]]:
        return {"kernel_subsets": kernel_distance_subsets(x, y, self.subsets, self.size, self.seed)}
