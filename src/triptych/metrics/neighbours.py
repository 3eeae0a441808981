"""Precision, recall, density and coverage from nearest neighbours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from triptych.core import Comparison, Metric, Quantity, Value
from triptych.core.metric import Number, first, standard_error
from triptych.metrics.arrays import at_least, pair

BLOCK = 1024
"""Rows and columns of the distances that are held at once: 8 MiB, which the C library keeps."""
ROUNDING = 1e-12
"""Bound on the error of |a|² + |b|² − 2ab in float64, relative to |a|² + |b|²."""


def prdc(real: Tensor | ArrayLike, fake: Tensor | ArrayLike, k: int = 5) -> dict[str, float]:
    """Precision, recall, density and coverage of features real (n, d) and fake (m, d).

    An example's ball reaches to its k-th nearest neighbour in its own set, itself left out by index. A point on
    the sphere is inside (≤), so sets that coincide score 1 even where features repeat.

    - `precision`: share of fake inside some real ball; `recall`: share of real inside some fake ball;
    - `density`: mean number of real balls a fake lies in, over k (may exceed 1);
    - `coverage`: share of real balls that hold a fake.

    One far real example can lift precision to 1 by itself: read the four together. Memory is O(n + m) beside a
    few blocks of distances. Sources: Kynkäänniemi et al. 2019, section 2; Naeem et al. 2020, section 3.
    """
    return {name: first(number) for name, number in with_errors(real, fake, k).items()}


def with_errors(real: Tensor | ArrayLike, fake: Tensor | ArrayLike, k: int) -> dict[str, Number]:
    """`prdc`, and density with its standard error.

    It is a mean over fake and over real examples, whose balls all fake share: the error of a statistic of two samples,
    Hoeffding 1948, by its first projections.
    """
    at_least(1, k=k)
    real, fake = pair(real, fake, least=k + 1, keep_floats=True)
    centre = real.mean(0, dtype=torch.float64)  # smaller norms, smaller rounding errors
    real_radius, fake_radius = radii(real, k, centre), radii(fake, k, centre)
    n, m = len(real), len(fake)
    inside_real = torch.zeros(len(fake), dtype=torch.int64)
    inside_fake = torch.zeros(len(real), dtype=torch.bool)
    held = torch.zeros(len(real), dtype=torch.int64)
    for i in range(0, len(real), BLOCK):
        for j in range(0, len(fake), BLOCK):
            a, b = slice(i, i + BLOCK), slice(j, j + BLOCK)
            distance, slack = squared_distances(real[a] - centre, fake[b] - centre)
            distance -= slack
            in_real = distance <= real_radius[a, None]
            inside_real[b] += in_real.sum(0)
            held[a] += in_real.sum(1)
            inside_fake[a] |= (distance <= fake_radius[None, b]).any(1)
    return {
        "precision": share(inside_real > 0),
        "recall": share(inside_fake),
        "density": (
            inside_real.double().mean().item() / k,
            math.hypot(standard_error(inside_real), standard_error(held) * n / m) / k,
        ),
        "coverage": share(held > 0),
    }


def nearest(
    x: Tensor, y: Tensor, k: int = 1, *, exclude_self: bool = False, centre: Tensor | float = 0.0
) -> tuple[Tensor, Tensor]:
    """Distances and indices of the k nearest rows of y to each row of x, (n, k), nearest first.

    With `exclude_self`, x is y, and a row is not its own neighbour. `centre` (d,) is taken off both in float64, a block
    at a time.
    """
    best, index = [], []
    for i in range(0, len(x), BLOCK):
        a = x[i : i + BLOCK].double() - centre
        near = torch.full((len(a), k), torch.inf, dtype=torch.float64)
        who = torch.zeros_like(near, dtype=torch.int64)
        for j in range(0, len(y), BLOCK):
            distance = squared_distances(a, y[j : j + BLOCK].double() - centre)[0]
            if exclude_self and i == j:
                distance.fill_diagonal_(torch.inf)
            part, column = distance.topk(min(k, distance.shape[1]), largest=False)
            near, order = torch.cat([near, part], 1).topk(k, largest=False)
            who = torch.cat([who, column + j], 1).gather(1, order)
        best.append(near.clamp_min(0).sqrt())
        index.append(who)
    return torch.cat(best), torch.cat(index)


def radii(x: Tensor, k: int, centre: Tensor | float = 0.0) -> Tensor:
    """Squared distance of each row to its k-th nearest other row, (n,)."""
    return nearest(x, x, k, exclude_self=True, centre=centre)[0][:, -1].square()


def squared_distances(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Squared Euclidean distances (n, m), never below 0, and a bound on their rounding error."""
    scale = x.square().sum(1)[:, None] + y.square().sum(1)
    return torch.addmm(scale, x, y.T, alpha=-2).clamp_min_(0), scale.mul_(ROUNDING)


def share(hits: Tensor) -> float:
    return hits.double().mean().item()


CAUSE = (
    "samples lie where real ones are densest, as those of a collapsed model, and blurred ones in features that do not "
    "see blur; look at them, and at recall and coverage"
)


@dataclass(frozen=True)
class Neighbours(Metric):
    """`precision`, `recall`, `density` and `coverage` on every extractor's features."""

    quantities: ClassVar[Mapping[str, Quantity]] = {
        "precision": Quantity(
            "Precision",
            "higher",
            axis="fidelity",
            rank=32,
            features=True,
            companion="recall",
            beyond=CAUSE,
            about="Share of samples that lie among real examples.",
        ),
        "recall": Quantity(
            "Recall",
            "higher",
            axis="coverage",
            rank=33,
            features=True,
            about="Share of real examples that lie among samples.",
        ),
        "density": Quantity(
            "Density",
            "higher",
            axis="fidelity",
            rank=34,
            features=True,
            companion="coverage",
            beyond=CAUSE,
            about="How many real examples' neighbourhoods a sample lies in, over their number.",
        ),
        "coverage": Quantity(
            "Coverage",
            "higher",
            axis="coverage",
            rank=31,
            features=True,
            logged="images",
            about="Share of real examples with a sample in their neighbourhood.",
        ),
        "coverage_v1": Quantity("Coverage", "higher", axis="coverage", rank=51, variant="offline-v1", logged="images"),
    }
    k: int = 5
    """neighbours that a ball reaches to"""
    logged: int = 1_000
    """examples a side for the log of a training, on the set's own features"""

    def applies(self, comparison: Comparison) -> str:
        return ""

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for space in comparison.spaces:
            found |= comparison.measure(self.four, space, note=f"k = {self.k}", controlled=True)
        return found

    def four(self, x: Tensor, y: Tensor) -> dict[str, Number]:
        return with_errors(x, y, self.k)

    def along(self, comparison: Comparison) -> dict[str, float]:
        found: dict[str, float] = {}
        own = comparison.extractors
        for e in (own.own, *own.beside):
            if e is not None:
                real, fake = (x[: self.logged] for x in comparison.sides(e))
                name = e.name("coverage")
                found |= comparison.number(name, lambda x, y: prdc(x, y, self.k)["coverage"], real, fake)
        return found
