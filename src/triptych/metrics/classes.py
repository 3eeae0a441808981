"""What a classifier of the data set makes of the samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from triptych.core import Comparison, Metric, Quantity, Value
from triptych.errors import UserError
from triptych.metrics.arrays import rows
from triptych.metrics.coverage import kl_to_uniform
from triptych.metrics.features.extractor import Inception

TRUSTED = 0.9
"""A classifier of less accuracy says little about samples."""
EVEN = 0.5
"""Largest relative deviation of a class's share, of data whose classes count as even."""


def class_shares(logits: Tensor) -> Tensor:
    """Share of each class among the most probable ones of logits (n, k), (k,) float64."""
    return torch.bincount(logits.argmax(1), minlength=logits.shape[1]).double() / len(logits)


@dataclass(frozen=True)
class Classes(Metric):
    """What the set's own classifier says. The floor is what it says of real examples.

    - `confident`: share of samples whose most probable class has more than `confidence`. Its floor is the real
      reference's share;
    - `class_histogram`: total variation distance between the histograms of most probable classes, in [0, 1];
    - `class_deviation`: largest relative deviation of a class's share from uniform (0.4: some class 40 % off), where
      the data's own classes are even.
    """

    quantities: ClassVar[Mapping[str, Quantity]] = {
        "confident": Quantity(
            "Samples of a clear class",
            "higher",
            axis="fidelity",
            rank=35,
            about="Share of samples of which the set's own classifier is sure.",
        ),
        "class_histogram": Quantity(
            "Distance of the classes' shares from the data's",
            "lower",
            axis="coverage",
            rank=36,
            about="Half the summed difference between the shares of classes among samples and among real examples.",
        ),
        "class_deviation": Quantity(
            "Largest deviation of a class's share",
            "lower",
            axis="coverage",
            rank=37,
            about="The largest relative difference of a class's share from an even one.",
        ),
    }
    confidence: float = 0.9

    def applies(self, comparison: Comparison) -> str:
        classifier = comparison.classifier
        if classifier is None:
            return (
                "there is no classifier: the set has no labels" if comparison.is_images else "the examples are vectors"
            )
        if (classifier.accuracy or 0) < TRUSTED:
            return f"the classifier is right on {classifier.accuracy:.1%} of held-out examples only"
        return ""

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        found: dict[str, Value] = {}
        e = comparison.classifier
        for space in comparison.spaces:
            if space.extractor is e and e is not None:
                note = f"the classifier is right on {e.accuracy or 0:.2%} of {e.accuracy_n:,} held-out examples"
                # the floor is the reference itself: the other real set may be what the classifier was trained on
                swapped = dataclasses.replace(space, floor_a=space.floor_b, floor_b=space.floor_a)
                found |= comparison.measure(self.compare, swapped, of="logits", note=note)
        y = comparison.real.labels
        if y is not None and deviation(y.bincount() / len(y)) > EVEN:
            found = {name: value for name, value in found.items() if value.quantity != "class_deviation"}
        return found

    def compare(self, real: Tensor, fake: Tensor) -> dict[str, float]:
        p, q = class_shares(real), class_shares(fake)
        return {
            "confident": (fake.softmax(1).amax(1) > self.confidence).double().mean().item(),
            "class_histogram": (p - q).abs().sum().item() / 2,
            "class_deviation": deviation(q),
        }


def deviation(shares: Tensor) -> float:
    """The largest relative difference of a class's share from an even one."""
    return (shares * len(shares) - 1).abs().max().item()


@dataclass(frozen=True)
class InceptionScore(Metric):
    """exp E KL(p(y|x) ‖ p(y)) with Inception's 1008 classes; for pictures like ImageNet's, and never alone.

    Mean and standard deviation over `splits` consecutive parts, in order. The floor is the real examples' own score,
    from above. Source: Salimans et al. 2016, section 4; logits without the head's bias, as is customary.
    """

    quantities: ClassVar[Mapping[str, Quantity]] = {
        "inception_score": Quantity(
            "Inception score",
            "higher",
            comparable="kind of pictures (such as ImageNet's)",
            about="How sure Inception is of each sample, and how varied its answers are.",
        )
    }
    splits: int = 10

    def applies(self, comparison: Comparison) -> str:
        return (
            ""
            if comparison.is_images and comparison.extractors.inception is not None
            else "there are no Inception weights"
        )

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for space in comparison.spaces:
            if isinstance(space.extractor, Inception) and "logits_unbiased" in space.fake:
                found |= comparison.measure(
                    self.score, space, of="logits_unbiased", note=f"{self.splits} splits in order, 1008 classes"
                )
        return found

    def score(self, real: Tensor, fake: Tensor) -> dict[str, tuple[float, float]]:
        return {"inception_score": inception_score(fake, self.splits)}


def inception_score(logits: Tensor, splits: int = 10) -> tuple[float, float]:
    """Mean and standard deviation over consecutive splits of exp E KL(p(y|x) ‖ p(y)), from logits (n, k)."""
    logits = rows(logits, "generated examples", least=splits)
    scores = []
    for i in range(splits):
        part = logits[i * len(logits) // splits : (i + 1) * len(logits) // splits]
        log_p = part.log_softmax(1)
        p = log_p.exp()
        scores.append((p * (log_p - p.mean(0).log())).sum(1).mean().exp())
    values = torch.stack(scores)
    return values.mean().item(), values.std(correction=0).item()


@dataclass(frozen=True)
class StackedDigits(Metric):
    """The thousand modes of stacked MNIST: three digits as red, green and blue, each classified by a digit classifier.

    `stacked_modes` counts the triples that occur among the samples; `stacked_kl` is the KL in nats from their
    histogram to the uniform one. Customary with 26,000 samples (Metz et al. 2017; Lin et al. 2018).
    """

    quantities: ClassVar[Mapping[str, Quantity]] = {
        "stacked_modes": Quantity(
            "Modes found",
            "higher",
            unit="of 1,000",
            axis="coverage",
            rank=10,
            about="How many of the thousand digit triples are among the samples.",
        ),
        "stacked_kl": Quantity(
            "Reverse KL over modes",
            "lower",
            unit="nats",
            axis="coverage",
            rank=12,
            about="How unevenly samples fall on the digit triples: 0 is even.",
        ),
    }

    def applies(self, comparison: Comparison) -> str:
        return "" if comparison.extractors.digits is not None else "the set is not stacked MNIST"

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        digits = comparison.extractors.digits
        if digits is None:
            raise UserError("there is no digit classifier; stacked MNIST needs the MNIST files beside it")
        got, ideal = (stacked_modes(digits, d.x) for d in (comparison.fake, comparison.floor_sides[1]))
        note = f"digits classified by a classifier right on {digits.accuracy or 0:.2%} of held-out MNIST; of 1000"
        return {
            k: comparison.value(
                v, extractor=digits.id, floor=ideal[k], floor_n=len(comparison.floor_sides[1]), note=note
            )
            for k, v in got.items()
        }


def stacked_modes(digits: Callable[[Tensor], Mapping[str, Tensor]], x: Tensor) -> dict[str, float]:
    """Modes hit and KL to uniform of uint8 images (n, 3, h, w), each channel a digit."""
    told = [
        torch.cat([digits(part[:, c : c + 1])["logits"].argmax(1) for part in x.split(512)]) for c in range(x.shape[1])
    ]
    counts = torch.bincount(sum((t * 10**i for i, t in enumerate(reversed(told))), torch.tensor(0)), minlength=1000)
    return {"stacked_modes": int((counts > 0).sum()), "stacked_kl": kl_to_uniform(counts)}
