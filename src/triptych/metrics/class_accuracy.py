"""Whether samples are of the class that was asked for, and what a classifier learns from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from triptych.core import Comparison, Quantity, Value
from triptych.errors import TooFew
from triptych.metrics.arrays import rows
from triptych.metrics.linear_models import logistic
from triptych.metrics.within_classes import LEAST, Found, OfClassFeatures, PerClass, WithinClasses, counts


def accuracies(told: Tensor, labels: Tensor) -> PerClass:
    """Share of class numbers `told` (n,) that are the `labels` (n,), of all and of each class with enough examples."""
    own = labels >= 0
    told, labels = told[own], labels[own]
    if not len(labels):
        raise TooFew("no example has a class")
    n, right = counts(labels, int(labels.max()) + 1), labels[told == labels]
    shares = counts(right, len(n)).double() / n
    return PerClass(shares.where(n >= LEAST, torch.nan), len(right) / len(labels))


def train_on_generated(
    real: Tensor, real_labels: Tensor, fake: Tensor, fake_labels: Tensor, points: int = 10_000
) -> PerClass:
    """Accuracy on real features (n, d) of a linear classifier that was fitted to generated ones (m, d).

    Multinomial logistic regression, at most `points` examples, evenly spread, on each side. Source: Ravuri and Vinyals
    2019, there with a deep network on pixels.
    """
    y, fake = fake_labels[fake_labels >= 0], fake[fake_labels >= 0]
    if len(y.unique()) < 2:
        raise TooFew("the generated examples are all of one class; a classifier needs two")
    few, known = spread(len(y), points), spread(len(real), points)
    predict = logistic(rows(fake[few], "generated examples", least=2), y[few])
    told = predict(rows(real[known], "real examples")).argmax(1)
    return accuracies(told, real_labels[known])


def spread(n: int, most: int) -> Tensor:
    """At most so many of the numbers below n, evenly spread."""
    return torch.arange(n) if n <= most else torch.linspace(0, n - 1, most).long()


@dataclass(frozen=True)
class ClassAccuracy(WithinClasses):
    """`class_accuracy`: share of samples of which the set's classifier tells the class that was asked for.

    Its floor is the classifier's accuracy on the real reference, which samples that are typical of their class exceed.
    """

    quantities: ClassVar[Mapping[str, Quantity]] = {
        "class_accuracy": Quantity(
            "Class asked is class told",
            "higher",
            rank=38,
            about="Share of samples of which the set's own classifier tells the class that they were made for.",
        )
    }

    def applies(self, comparison: Comparison) -> str:
        return super().applies(comparison) or ("" if comparison.classifier is not None else "there is no classifier")

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        e, real, fake = comparison.classifier, comparison.real.labels, comparison.fake.labels
        space = next(s for s in comparison.spaces if s.extractor is e)
        assert e is not None
        assert real is not None
        assert fake is not None
        note = f"the classifier is right on {e.accuracy or 0:.2%} of {e.accuracy_n:,} held-out examples"
        value, floor = (accuracies(x["logits"].argmax(1), y) for x, y in ((space.fake, fake), (space.real, real)))
        told = self.told(comparison, space.extractor, "class_accuracy", value, floor, len(real), note)
        return {"class_accuracy": told}


@dataclass(frozen=True)
class TrainOnGenerated(OfClassFeatures):
    """`train_on_generated`: accuracy on real examples of a linear classifier of features, fitted to samples alone.

    Its floor is the accuracy of the same classifier fitted to as many other real examples.
    """

    quantities: ClassVar[Mapping[str, Quantity]] = {
        "train_on_generated": Quantity(
            "Accuracy on real examples after training on samples",
            "higher",
            rank=39,
            features=True,
            about="How often a linear classifier of features, fitted to samples alone, is right on real examples.",
        )
    }
    points: int = 10_000
    """examples a side, at most"""

    def of(self, real: Tensor, real_labels: Tensor, fake: Tensor, fake_labels: Tensor) -> Found:
        return {"train_on_generated": train_on_generated(real, real_labels, fake, fake_labels, self.points)}
