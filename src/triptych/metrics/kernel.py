"""Kernel distance: the unbiased squared MMD with a cubic polynomial kernel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from triptych.core import Comparison, Metric, Quantity, Value
from triptych.errors import TooFew
from triptych.metrics.arrays import at_least, pair
from triptych.metrics.features.extractor import Inception

BLOCK = 1024


def kernel_distance(x: Tensor | ArrayLike, y: Tensor | ArrayLike) -> float:
    """Unbiased squared MMD of features x (n, d) and y (m, d) with k(a, b) = (a·b / d + 1)³.

    The full U-statistic over all pairs; a value below zero is normal where the sets agree. On Inception features
    this is KID (Bińkowski et al. 2018, section 4), without its subsets.
    """
    return kernel_statistics(x, y)[0]


def kernel_statistics(x: Tensor | ArrayLike, y: Tensor | ArrayLike) -> tuple[float, float]:
    """`kernel_distance` and its jackknife standard error, NaN below three examples a side.

    Leaving one example of x (then of y) out changes the statistic by amounts whose spread is the error's two
    independent parts; both come from row sums of the kernel matrices, with no second pass.
    """
    x, y = pair(x, y, least=2)
    n, m = len(x), len(y)
    xx, yy = own_sums(x), own_sums(y)
    xy, yx = cross_sums(x, y)
    a, b, c = xx.sum() / (n * (n - 1)), yy.sum() / (m * (m - 1)), xy.sum() / (n * m)
    value = (a + b - 2 * c).item()
    if min(n, m) < 3:
        return value, math.nan
    variance = torch.zeros((), dtype=torch.float64)
    for own, cross, k, other in ((xx, xy, n, m), (yy, yx, m, n)):
        without = (own.sum() - 2 * own) / ((k - 1) * (k - 2)) - 2 * (cross.sum() - cross) / ((k - 1) * other)
        variance += (k - 1) / k * (without - without.mean()).square().sum()
    return value, variance.sqrt().item()


def kernel_distance_subsets(
    x: Tensor | ArrayLike, y: Tensor | ArrayLike, subsets: int = 100, size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Mean and standard deviation of `kernel_distance` over random subsets: the customary KID.

    UserError where a set is smaller than `size`; it is never shrunk.
    """
    x, y = pair(x, y, least=2)
    at_least(1, subsets=subsets)
    at_least(2, size=size)
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
    """(dots / d + 1)³, in the memory of `dots`; many times faster than a power."""
    k = dots.div_(d).add_(1)
    return k.square().mul_(k)


def cross_sums(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Σⱼ k(xᵢ, yⱼ), (n,), and Σᵢ k(xᵢ, yⱼ), (m,), a block at a time."""
    by_x, by_y = x.new_zeros(len(x)), x.new_zeros(len(y))
    for i in range(0, len(x), BLOCK):
        for j in range(0, len(y), BLOCK):
            k = cubic(x[i : i + BLOCK] @ y[j : j + BLOCK].T, x.shape[1])
            by_x[i : i + BLOCK] += k.sum(1)
            by_y[j : j + BLOCK] += k.sum(0)
    return by_x, by_y


def own_sums(x: Tensor) -> Tensor:
    """Σⱼ k(xᵢ, xⱼ) over j ≠ i, (n,); blocks below the diagonal are those above it."""
    total = x.new_zeros(len(x))
    for i in range(0, len(x), BLOCK):
        a = x[i : i + BLOCK]
        total[i : i + BLOCK] += cubic(a @ a.T, x.shape[1]).fill_diagonal_(0).sum(1)
        above, below = cross_sums(a, x[i + BLOCK :])
        total[i : i + BLOCK] += above
        total[i + BLOCK :] += below
    return total


@dataclass(frozen=True)
class Kernel(Metric):
    """The kernel distance on every extractor's features: `kid` on Inception's. Negative is normal near zero.

    `kernel` is the full U-statistic with its jackknife error; `kernel_subsets` (`kid_subsets`) the customary mean
    over random subsets, where there are enough examples for them.
    """

    quantities: ClassVar[Mapping[str, Quantity]] = {
        "kernel": Quantity(
            "Kernel distance",
            "lower",
            axis="distance",
            rank=29,
            features=True,
            logged="images",
            about="Squared maximum mean discrepancy under a cubic kernel, unbiased: near 0 it may be negative.",
        ),
        "kid": Quantity(
            "KID",
            "lower",
            axis="distance",
            rank=28,
            logged="images",
            about="The kernel distance of Inception's features.",
        ),
        "kernel_v1": Quantity(
            "Kernel distance", "lower", axis="distance", rank=49, variant="offline-v1", logged="images"
        ),
        "kernel_subsets": Quantity("Kernel distance over subsets", "lower"),
        "kid_subsets": Quantity("KID over subsets", "lower"),
    }
    subsets: int = 100
    size: int = 1000
    """examples in a subset"""
    seed: int = 0
    """of the subsets"""

    def applies(self, comparison: Comparison) -> str:
        return ""

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for space in comparison.spaces:
            found |= comparison.measure(self.statistics, space, controlled=True)
            if isinstance(space.extractor, Inception) and min(len(comparison.real), len(comparison.fake)) >= self.size:
                note = f"{self.subsets} subsets of {self.size:,}; se: their spread"
                found |= comparison.measure(self.over_subsets, space, seed=self.seed, note=note)
        return found

    def along(self, comparison: Comparison) -> dict[str, float]:
        found: dict[str, float] = {}
        for e in comparison.extractors.of_features:
            found |= comparison.number(e.name("kernel"), kernel_distance, *comparison.sides(e))
        return found

    def statistics(self, x: Tensor, y: Tensor) -> dict[str, tuple[float, float]]:
        return {"kernel": kernel_statistics(x, y)}

    def over_subsets(self, x: Tensor, y: Tensor) -> dict[str, tuple[float, float]]:
        return {"kernel_subsets": kernel_distance_subsets(x, y, self.subsets, self.size, self.seed)}
