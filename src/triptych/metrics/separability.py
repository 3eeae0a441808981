"""Whether planes divide the classes in a latent space."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from triptych.core import Comparison, Encoder, Latent, Metric, Quantity, Value
from triptych.errors import TooFew
from triptych.metrics.arrays import rows
from triptych.metrics.comparison import counted
from triptych.metrics.disentanglement import discrete, entropy
from triptych.metrics.linear_models import linear_accuracy, logistic, random_order


def separability(codes: Tensor, labels: Tensor) -> dict[str, float]:
    """How well planes divide the codes (n, d) by class, labels (n,).

    `separability` is exp Σ H(Y|X) / K: X the side of the plane that one-against-rest logistic regression puts a code
    on, Y whether it is of the class, averaged over the K classes; 1 is perfect. `linear_accuracy` is the held-out
    accuracy of one linear classifier of all classes. Source: Karras et al. 2019, section 4.2 (a sum, there, over 40
    binary attributes).
    """
    z = rows(codes, "codes", least=8)
    y, order = discrete(labels, len(labels)), random_order(len(z))
    z, y = z[order], y[order]
    half, entropies = len(z) // 2, []
    for k in range(int(y.max()) + 1):
        own = (y == k).long()
        if not 0 < int(own[:half].sum()) < half:
            continue
        side = logistic(z[:half], own[:half])(z[half:]).argmax(1)
        table = torch.bincount(2 * side + own[half:], minlength=4).double().view(2, 2) / (len(z) - half)
        entropies.append((entropy(table.flatten()) - entropy(table.sum(1))).item())
    if not entropies:
        raise TooFew("separability: half of the examples are of one class; it needs more of another")
    return {"separability": math.exp(sum(entropies) / len(entropies)), "linear_accuracy": linear_accuracy(z, y)}


@dataclass(frozen=True)
class Separability(Metric):
    """Whether planes divide the classes: in an encoder's codes, or in the noise behind a generator's samples.

    A generator's samples are labelled by the set's classifier, the more confident half of them kept.
    """

    needs = Latent
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "separability": Quantity(
            "Separability of classes",
            "lower",
            comparable="source of codes (an encoder, or a generator's noise)",
            axis="codes",
            rank=53,
            about="How well planes divide the classes.",
        ),
        "linear_accuracy": Quantity(
            "Accuracy of a linear classifier of codes",
            "higher",
            comparable="source of codes (an encoder, or a generator's noise)",
            axis="codes",
            rank=53,
            about="How often a linear classifier of codes names the class.",
        ),
    }
    points: int = 4000
    widest: int = 512
    seed: int = 0

    def applies(self, comparison: Comparison) -> str:
        if not isinstance(comparison.model, Latent) or comparison.model.latent > self.widest:
            return f"planes are fitted in at most {self.widest} dimensions"
        if comparison.real.distribution is not None:
            return "the classes of a 2-D set are its modes, and mode coverage counts these"
        if isinstance(comparison.model, Encoder):
            labels = comparison.real.labels
            return "" if labels is not None and len(labels.unique()) > 1 else "there are no labels"
        return "" if comparison.classifier is not None else "there is no classifier of the samples"

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        model = comparison.model
        if isinstance(model, Encoder):
            data, codes = comparison.codes(self.points, self.seed)
            assert data.labels is not None
            labels = data.labels
            note = "codes of real examples"
        else:
            assert isinstance(model, Latent)
            assert comparison.classifier is not None
            codes, labels = self.told(model, comparison.classifier)
            note = "noise of samples, labelled by the classifier"
        if len(labels.unique()) < 2:
            comparison.warn("separability: all samples are of one class")
            return {}
        found = {k: comparison.value(v, seed=self.seed, note=note) for k, v in separability(codes, labels).items()}
        return counted(found, len(codes))

    @torch.no_grad()
    def told(self, model: Latent, classifier: Callable[[Tensor], Mapping[str, Tensor]]) -> tuple[Tensor, Tensor]:
        z = model.prior(2 * self.points, torch.Generator().manual_seed(self.seed))
        parts = [classifier(model.decode(part))["logits"].softmax(1).cpu() for part in z.split(256)]
        sure, label = torch.cat(parts).max(1)
        kept = sure.argsort(descending=True, stable=True)[: self.points]
        kept = kept[torch.randperm(len(kept), generator=torch.Generator().manual_seed(self.seed))]
        return z.cpu()[kept], label[kept]
