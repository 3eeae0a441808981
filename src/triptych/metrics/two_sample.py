"""Classifier two-sample tests: can a classifier tell real from generated?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor, nn

from triptych.core import Comparison, Metric, Quantity, Value
from triptych.metrics.arrays import pair
from triptych.metrics.comparison import counted
from triptych.metrics.neighbours import nearest


def two_sample(
    x: Tensor | ArrayLike, y: Tensor | ArrayLike, seed: int = 0, most: int = 2000
) -> dict[str, tuple[float, float]]:
    """Held-out accuracy of two classifiers that tell x (n, d) from y (m, d), each with its standard error.

    `c2st` is a perceptron's, `c2st_knn` that of a 5-nearest-neighbour classifier. 0.5 is what equal distributions give;
    at most `most` examples a side, half for training, half held out. Source: Lopez-Paz and Oquab 2017, section 3.
    """
    x, y = pair(x, y, least=8)
    g = torch.Generator().manual_seed(seed)
    n = min(len(x), len(y), most) // 2 * 2
    x, y = x[torch.randperm(len(x), generator=g)[:n]], y[torch.randperm(len(y), generator=g)[:n]]
    train, test = torch.cat([x[: n // 2], y[: n // 2]]), torch.cat([x[n // 2 :], y[n // 2 :]])
    mean, std = train.mean(0), train.std(0).clamp_min(1e-12)
    train, test = (train - mean) / std, (test - mean) / std
    label = torch.arange(n) >= n // 2
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(x.shape[1], 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
        optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=0.1)
        inputs, targets = train.float(), label.float()
        for _ in range(150):
            loss = F.binary_cross_entropy_with_logits(net(inputs)[:, 0], targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        right = (net(test.float())[:, 0] > 0) == label
    _, index = nearest(test, train, min(5, n))
    votes = label[index].double().mean(1)
    return {"c2st": accuracy(right), "c2st_knn": accuracy((votes > 0.5) == label)}


def accuracy(right: Tensor) -> tuple[float, float]:
    """Share of right answers and its standard error (with a half answer added to each side, never 0)."""
    n, k = len(right), int(right.sum())
    p = (k + 0.5) / (n + 1)
    return k / n, (p * (1 - p) / n) ** 0.5


@dataclass(frozen=True)
class TwoSample(Metric):
    """`two_sample` on every extractor's features: 0.5: indistinguishable from real, 1: always told apart."""

    quantities: ClassVar[Mapping[str, Quantity]] = {
        "c2st": Quantity(
            "Two-sample test accuracy, perceptron",
            "lower",
            about="How often a trained perceptron tells samples from real examples: 0.5 is chance.",
        ),
        "c2st_knn": Quantity(
            "Two-sample test accuracy, nearest neighbours",
            "lower",
            about="How often a nearest neighbour is of the same set: 0.5 is chance.",
        ),
    }
    seed: int = 0
    """of the split and the perceptron"""
    most: int = 2000
    """examples a side"""

    def applies(self, comparison: Comparison) -> str:
        return ""

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for space in comparison.spaces:
            found |= comparison.measure(
                self.told_apart, space, seed=self.seed, note="held-out accuracy, on half of the examples"
            )
        return counted(found, min(len(comparison.real), len(comparison.fake), self.most) // 2 * 2)

    def told_apart(self, x: Tensor, y: Tensor) -> dict[str, tuple[float, float]]:
        return two_sample(x, y, self.seed, self.most)
