"""A conditional density as a classifier, by Bayes' rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from triptych.core import Comparison, Conditional, Density, Metric, Quantity, Value
from triptych.core.model import affordable, class_count
from triptych.metrics.comparison import counted, subset

PASSES, FEW = 2_000_000, 100
"""Passes that the classification of an evaluation may take on a processor, and the least examples it is of."""
BINS = 15


def calibration_error(p: Tensor, right: Tensor, bins: int = BINS) -> float:
    """Σ_b n_b / n |mean right − mean p| over bins b of equal width: confidences p (n,) in [0, 1], right (n,) bool.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", eq. 3.
    """
    which = (p.double() * bins).long().clamp(0, bins - 1)
    gap = torch.zeros(bins, dtype=torch.float64).index_add_(0, which, right.double() - p.double())
    return gap.abs().sum().item() / len(p)


@torch.no_grad()
def log_joint(model: Conditional, x: Tensor, batch: int = 256) -> Tensor:
    """log p(x, c) of public vectors or uint8 images for every class, (n, K) float64; grey levels with uniform noise.

    The noise of an example is the same for all classes.
    """
    found = []
    for part in x.split(batch):
        if part.dtype == torch.uint8:
            part = (part + torch.rand(part.shape).clamp_max(1 - 2**-16)) / 256
        found.append(model.log_joint(part.to(model.device)).double().cpu())
    return torch.cat(found)


@dataclass(frozen=True)
class Bayes(Metric):
    """What p(c | x) ∝ p(x | c) p(c) makes of held-out examples with labels; p(c) is the class's share in training.

    - `bayes_accuracy`: how often the most probable class is the label. Its floor is the share of the commonest class;
    - `bayes_calibration`: expected calibration error of the probability of that class, 0 where 80 % sure is right in
      80 %.
    """

    needs = Density
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "bayes_accuracy": Quantity(
            "Accuracy of the classifier by Bayes' rule",
            "higher",
            rank=54,
            about="How often the class under which a held-out example is most probable is its label.",
        ),
        "bayes_calibration": Quantity(
            "Calibration error of the classifier by Bayes' rule",
            "lower",
            rank=55,
            about="How far the classifier's confidence lies from how often it is right.",
        ),
    }
    points: int = 2_000
    """held-out examples; fewer where a likelihood takes many passes"""
    seed: int = 0

    def applies(self, comparison: Comparison) -> str:
        if comparison.model is None or not class_count(comparison.model):
            return "the model has no classes"
        return "" if comparison.real.labels is not None else "the held-out examples have no labels"

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        model = comparison.model
        assert isinstance(model, Conditional)
        more = 100 if model.device.type != "cpu" else 1
        passes = more * PASSES / (1 if len(model.shape) == 1 else 50)
        real = subset(comparison.real, affordable(self.points, model.cost.likelihood, passes, FEW), self.seed)
        assert real.labels is not None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            p, told = log_joint(model, real.x).softmax(1).max(1)
        right = told == real.labels
        commonest = model.frequencies.max().item()
        note = f"{len(real):,} of {len(comparison.real):,} held-out examples, {model.classes} classes, p(c) of training"
        share = right.double()
        accuracy = (share.mean().item(), (share.std() / len(share) ** 0.5).item())
        found = {
            "bayes_accuracy": comparison.value(
                accuracy, seed=self.seed, floor=commonest, note=f"{note}; floor: always the commonest class"
            ),
            "bayes_calibration": comparison.value(
                calibration_error(p, right), seed=self.seed, note=f"{note}; {BINS} bins of equal width"
            ),
        }
        return counted(found, len(real))
