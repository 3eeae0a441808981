"""Wasserstein distances: exact by optimal assignment, and sliced."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from triptych.core import Comparison, Data, Metric, Quantity, Space, Value
from triptych.core.assignment import assignment
from triptych.errors import UserError
from triptych.metrics.arrays import at_least, pair
from triptych.metrics.comparison import counted, subset
from triptych.metrics.features.extractor import Identity


def sliced_wasserstein(
    x: Tensor | ArrayLike, y: Tensor | ArrayLike, projections: int = 200, seed: int = 0, slices: int = 64
) -> float:
    """Sliced 2-Wasserstein distance of x (n, d) and y (m, d), in the data's units.

    The root of the mean, over random directions, of the squared one-dimensional distance. Sets of unequal size
    are compared at the quantiles of the larger. Source: Bonneel et al. 2015, section 3.
    """
    x, y = pair(x, y)
    at_least(1, projections=projections, slices=slices)
    g = torch.Generator().manual_seed(seed)
    directions = torch.randn(projections, x.shape[1], generator=g, dtype=torch.float64)
    directions /= directions.norm(dim=1, keepdim=True)
    total = 0.0
    for part in directions.split(slices):
        a, b = (x @ part.T).sort(0).values, (y @ part.T).sort(0).values
        if len(a) != len(b):
            n = max(len(a), len(b))
            a, b = quantiles(a, n), quantiles(b, n)
        total += (a - b).square().mean(0).sum().item()
    return (total / projections) ** 0.5


def quantiles(ordered: Tensor, n: int) -> Tensor:
    """n evenly spread order statistics of sorted columns (m, p)."""
    index = ((torch.arange(n, dtype=torch.float64) + 0.5) / n * len(ordered)).long()
    return ordered[index]


def wasserstein(x: Tensor | ArrayLike, y: Tensor | ArrayLike) -> float:
    """Exact 2-Wasserstein distance of two sets of equal size, x and y (n, d), in the data's units.

    The root of the smallest mean squared distance over all pairings. O(n³) at worst: a second at n = 1,000.
    """
    x, y = pair(x, y)
    if len(x) != len(y):
        raise UserError(f"the exact Wasserstein distance pairs equal numbers; there are {len(x)} and {len(y)}")
    cost = (x[:, None] - y).square().sum(2) if x.shape[1] <= 8 else torch.cdist(x, y).square()
    matched = assignment(cost.numpy())
    return cost[torch.arange(len(x)), torch.from_numpy(matched)].mean().sqrt().item()


@dataclass(frozen=True)
class Transport(Metric):
    """Wasserstein distances in the data's own units: `sliced_wasserstein`, and for vectors the exact `wasserstein`."""

    quantities: ClassVar[Mapping[str, Quantity]] = {
        "sliced_wasserstein": Quantity(
            "Sliced Wasserstein distance",
            "lower",
            axis="distance",
            rank=25,
            logged="vectors",
            about="Wasserstein distance along random lines, averaged.",
        ),
        "wasserstein": Quantity(
            "Wasserstein distance",
            "lower",
            axis="distance",
            rank=25,
            about="How far the samples would have to be moved, on average, to become the real examples.",
        ),
    }
    projections: int = 200
    points: int = 2000
    """pictures a side"""
    matched: int = 1000
    """vectors a side of the exact distance: twice as many take eight times as long"""
    seed: int = 0
    """of the projections"""

    def applies(self, comparison: Comparison) -> str:
        return ""

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        sides = (comparison.real, comparison.fake, *comparison.floor_sides)
        n = min(self.points if comparison.is_images else self.matched, len(comparison.real), len(comparison.fake))
        some = [subset(d, n, self.seed) for d in sides]
        sliced = self.space(comparison, some if comparison.is_images else sides)
        found = comparison.measure(self.sliced, sliced, seed=self.seed, note=f"{self.projections} projections")
        if not comparison.is_images:
            return found | counted(comparison.measure(self.exact, self.space(comparison, some), dtype="float64"), n)
        return counted(found, n)

    def along(self, comparison: Comparison) -> dict[str, float]:
        if comparison.is_images:
            return {}
        if not bool(torch.isfinite(comparison.fake.x).all()):
            return {"sliced_wasserstein": math.nan}
        return {"sliced_wasserstein": self.sliced(comparison.real.x, comparison.fake.x)["sliced_wasserstein"]}

    def space(self, comparison: Comparison, sides: Sequence[Data]) -> Space:
        """The examples as they are, in the data's units (pixels in [0, 1])."""
        scale = 255 if comparison.is_images else 1
        sets = [{"features": d.x.flatten(1).float() / scale} for d in sides]
        return Space(Identity("pixels" if comparison.is_images else "data"), *sets)

    def sliced(self, x: Tensor, y: Tensor) -> dict[str, float]:
        return {"sliced_wasserstein": sliced_wasserstein(x, y, self.projections, self.seed)}

    def exact(self, x: Tensor, y: Tensor) -> dict[str, float]:
        n = min(len(x), len(y))
        return {"wasserstein": wasserstein(x[:n], y[:n])}
