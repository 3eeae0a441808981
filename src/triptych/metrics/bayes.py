"""Models as classifiers: a conditional density by Bayes' rule, and a VAE that was trained with some labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from triptych.core import Comparison, Conditional, Data, Density, Metric, Quantity, Value, to_inner, to_public
from triptych.core.metric import standard_error
from triptych.core.model import Classifier, affordable, class_count
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
            average=True,
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
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            p = log_joint(model, real.x).softmax(1)
        return judged("bayes", p, real, comparison, "p(c) of training", self.seed)


def judged(name: str, p: Tensor, real: Data, comparison: Comparison, words: str, seed: int) -> dict[str, Value]:
    """Accuracy and calibration error of probabilities p (n, K) of the classes of real examples."""
    assert isinstance(comparison.model, Conditional)
    assert real.labels is not None
    sure, told = p.max(1)
    right = told == real.labels
    share, commonest = right.double(), comparison.model.frequencies.max().item()
    accuracy = (share.mean().item(), standard_error(share))
    note = f"{len(real):,} of {len(comparison.real):,} held-out examples, {p.shape[1]} classes, {words}"
    found = {
        f"{name}_accuracy": comparison.value(
            accuracy, seed=seed, floor=commonest, note=f"{note}; floor: always the commonest class"
        ),
        f"{name}_calibration": comparison.value(
            calibration_error(sure, right), seed=seed, note=f"{note}; {BINS} bins of equal width"
        ),
    }
    return counted(found, len(real))


@dataclass(frozen=True)
class OwnClassifier(Metric):
    """What a model's own classifier q(y|x) makes of held-out examples, trained with the labels of a part of the data.

    - `classifier_accuracy`: how often the most probable class is the label. Its floor is the share of the commonest
      class;
    - `classifier_calibration`: expected calibration error of the probability of that class.
    """

    needs = Classifier
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "classifier_accuracy": Quantity(
            "Accuracy of the model's classifier",
            "higher",
            rank=54,
            about="How often the class that the model's own classifier finds most probable is the example's label.",
        ),
        "classifier_calibration": Quantity(
            "Calibration error of the model's classifier",
            "lower",
            rank=55,
            about="How far the classifier's confidence lies from how often it is right.",
        ),
    }
    points: int = 10_000
    """held-out examples, at most"""
    seed: int = 0

    def applies(self, comparison: Comparison) -> str:
        if not isinstance(comparison.model, Classifier):
            return "the model has no classifier"
        return "" if comparison.real.labels is not None else "the held-out examples have no labels"

    @torch.no_grad()
    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        model = comparison.model
        assert isinstance(model, Classifier)
        real = subset(comparison.real, self.points, self.seed)
        parts = [model.log_classes(to_public(to_inner(x)).to(model.device)) for x in real.x.split(500)]
        return judged("classifier", torch.cat(parts).double().exp().cpu(), real, comparison, "q(y|x)", self.seed)
