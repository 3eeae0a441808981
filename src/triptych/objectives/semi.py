"""A variational autoencoder of data of which only a part has labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from triptych.core import Clock, Data, Move, Quantity
from triptych.core.labels import given
from triptych.core.objective import examples
from triptych.core.share import normal_like, uniform_like
from triptych.errors import UserError
from triptych.models.semi import SemiVAEModel
from triptych.objectives.autoencoder import Variational, centre
from triptych.objectives.collapse import collapse_panel
from triptych.objectives.likelihoods import TRAINED_ON, sse
from triptych.objectives.posterior import kl_to_prior

PLAYERS = ("encoder", "decoder", "classifier")
UNKNOWN = -1
"""In place of the label of an example that has none."""


def with_labels_of(data: Data, share: float, seed: int) -> Data:
    """The same examples, finitely many also of a toy set, with the labels of a share of each class alone.

    At least one of each class keeps its label; the others have `UNKNOWN`. The seed decides which, and nothing else.
    """
    assert data.labels is not None
    order = torch.randperm(len(data.labels), generator=torch.Generator().manual_seed(seed ^ 0x5E31))
    labels = torch.full_like(data.labels, UNKNOWN)
    for c in data.labels.unique():
        own = order[data.labels[order] == c]
        labels[own[: kept(len(own), share)]] = c
    return dataclasses.replace(data, labels=labels, distribution=None)


def kept(n: int, share: float) -> int:
    """How many of n examples of a class keep their label."""
    return max(1, round(share * n))


@dataclass(frozen=True)
class Semi(Variational):
    """A VAE with labels for a part of the data: the model M2, with its class summed over where it is not known.

    - with a label, −L(x, y) = E_q(z|x,y) [log p(x|y, z) + log p(y)] − KL(q(z|x, y) ‖ p(z)) ≤ log p(x, y), eq. 6;
    - without, −U(x) = Σ_y q(y|x) (−L(x, y)) + H(q(y|x)) ≤ log p(x), eq. 7.

    Minimised is their mean over all examples, plus α times the mean of −log q(y|x) over those with a label: eq. 8 and
    9, divided by the number N of examples. There α is 0.1 N, here `alpha` is 0.1. p(y) has the frequencies of classes
    in the data. Source: Kingma, Mohamed, Rezende & Welling 2014, "Semi-Supervised Learning with Deep Generative
    Models".
    """

    quantities: ClassVar[Mapping[str, Quantity]] = {
        **Variational.quantities,
        "classifier_loss": Quantity("Cross entropy of the classifier while training", neither=TRAINED_ON, unit="nats"),
        "entropy": Quantity(
            "Entropy of the classifier while training", neither="it is what the classifier leaves open", unit="nats"
        ),
        "val_accuracy": Quantity("Accuracy of the classifier", "higher", rank=20, live=True),
    }
    labelled: float = 0.01
    """share of the training examples of each class whose labels are used, at least one of each"""
    alpha: float = 0.1
    """weight of the classifier's own loss on labelled examples"""
    _: KW_ONLY
    summed: int = 0
    """classes tried for an example without a label: the most probable but for one drawn from the rest; 0: all"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.labelled <= 1:
            raise UserError(f"objective.labelled is {self.labelled}; give a share above 0, at most 1")
        if not self.alpha >= 0:
            raise UserError(f"objective.alpha is {self.alpha}; it must be 0 or more")
        if self.summed < 0:
            raise UserError(f"objective.summed is {self.summed}; it must be 0 or more")

    def check(self, model: Any, data: Data, steps: int = 0) -> None:
        if not isinstance(model, SemiVAEModel):
            raise UserError(
                f"Semi trains a VAE with a classifier, not {type(model).__name__}; add --model.classifier and "
                "--model.classes auto to a recipe of an autoencoder"
            )
        if data.labels is None or not len(data.labels):
            raise UserError(f"{data.name} has no labels, and Semi needs those of a part; add --objective VAE")
        if self.summed > model.classes:
            raise UserError(f"objective.summed is {self.summed} and there are {model.classes} classes; 0 takes all")
        self.check_likelihood(model, data)

    def visible(self, data: Data, seed: int) -> Data:
        return with_labels_of(data, self.labelled, seed)

    def prepare(self, model: SemiVAEModel, data: Data) -> None:
        """As of a VAE; a classifier of pictures is given the mean of the training images, too."""
        super().prepare(model, data)
        centre(model.classifier, data)

    def share(self, model: SemiVAEModel) -> float:
        """Share of the training examples that have a label: more than `labelled` where classes are small."""
        sizes = [n for n in model.class_sizes if n]
        return sum(kept(n, self.labelled) for n in sizes) / sum(sizes) if sizes else self.labelled

    def weights(self, log_q: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Weight of each class in the bound of each example, and which of them are computed, (n, K) both.

        One class with a label, else all by q(y|x). Where only M are `summed`, M − 1 are the most probable ones and one
        of the K − M + 1 others, drawn evenly, stands for all of these: a Monte-Carlo estimate without bias, also of
        the gradient.
        """
        n, k = log_q.shape
        known = (y >= 0)[:, None]
        own = torch.zeros_like(log_q).scatter(1, y.clamp_min(0)[:, None], 1.0)
        if not 0 < self.summed < k:
            return torch.where(known, own, log_q.exp()), torch.where(known, own > 0, True)
        rest = k - self.summed + 1
        u = uniform_like(log_q[:, :1])
        order = log_q.detach().argsort(1, descending=True)
        at = torch.arange(k, device=log_q.device).expand(n, k)
        drawn = at == (u * rest).long().clamp_max(rest - 1) + self.summed - 1
        times = torch.zeros_like(log_q).scatter(1, order, (at < self.summed - 1) + rest * drawn.to(log_q))
        return torch.where(known, own, log_q.exp() * times), torch.where(known, own, times) > 0

    def coded(self, x: Tensor, y: Tensor, model: SemiVAEModel) -> Coded:
        """Examples (n, ...) as of every class that counts: their own, or with `UNKNOWN` for a label those to sum over.

        The noise of an example's z is the same for all classes.
        """
        log_q = model.told(x)
        weights, wanted = self.weights(log_q, y)
        row, c = wanted.nonzero(as_tuple=True)
        with given(c):
            mu, log_sigma = model.posterior(x[row])
            noise = normal_like(mu.new_empty(len(x), mu.shape[1]))
            out = model.decoder(mu + log_sigma.exp() * noise[row])
        entropy = -(log_q.exp() * log_q).sum(1) * (y < 0)
        return Coded(
            row, c, weights[row, c], log_q, entropy, mu, log_sigma, out, sse(x[row], self.location(out, model))
        )

    def bound(self, x: Tensor, coded: Coded, model: SemiVAEModel) -> Tensor:
        """−L(x, y) of examples with a label and −U(x) of the others, (n,)."""
        log_p = self.log_likelihood(x[coded.row], coded.out, model)
        return coded.total(log_p + model.frequencies.log().to(log_p)[coded.c] - coded.kl) + coded.entropy

    def step(self, model: SemiVAEModel, batches: Iterator[Tensor], clock: Clock) -> Iterator[Move]:
        x, y = next(examples(model, batches))
        assert y is not None
        x = self.observed(x, model)
        coded = self.coded(x, y, model)
        recon, first = coded.total(coded.sse).detach().mean(), coded.likeliest
        mu, log_sigma = coded.mu[first].detach(), coded.log_sigma[first].detach()
        model.observe(mu, log_sigma.exp().square().mean(0), self.error(recon) / x[0].numel())
        log_q = coded.log_q.gather(1, y.clamp_min(0)[:, None])[:, 0]
        cross = -(log_q * (y >= 0)).mean() / self.share(model)  # in expectation the mean over those with a label
        loss = -self.bound(x, coded, model).mean() + self.alpha * cross
        logs = {"loss": loss, "recon": recon, "kl": coded.total(coded.kl).mean(), "beta_eff": 1.0}
        yield Move(PLAYERS, loss, logs | {"classifier_loss": cross, "entropy": coded.entropy.mean()})

    def validate(self, model: SemiVAEModel, batches: Iterable[Tensor], clock: Clock) -> dict[str, Any]:
        """Held-out means over examples, as of a VAE, without labels: `elbo` is −U(x), over all classes.

        `val_accuracy` is how often the classifier's most probable class is the label.
        """
        exact = dataclasses.replace(self, summed=0)
        total = torch.zeros(4, dtype=torch.float64)
        mus, log_sigmas = [], []
        for x, y in examples(model, batches):
            assert y is not None
            x = self.observed(x, model)
            coded = exact.coded(x, torch.full_like(y, UNKNOWN), model)
            right = (coded.log_q.argmax(1) == y).to(coded.kl)
            parts = (self.bound(x, coded, model), coded.total(coded.sse), coded.total(coded.kl), right)
            total += torch.stack(parts).double().sum(1).cpu()
            mus.append(coded.mu[coded.likeliest])
            log_sigmas.append(coded.log_sigma[coded.likeliest])
        mu = torch.cat(mus)
        elbo, recon, kl, accuracy = (total / len(mu)).tolist()
        return {
            "val_accuracy": accuracy,
            "val_recon": recon,
            "val_kl": kl,
            "elbo": elbo,
            "bits_per_dim": self.bits_per_dim(elbo, x),
            **collapse_panel(mu, torch.cat(log_sigmas)),
        }


@dataclass(frozen=True)
class Coded:
    """n examples, each as of one or more classes: m rows in all, an example's side by side."""

    row: Tensor
    """(m,): which example"""
    c: Tensor
    """(m,): as of which class"""
    weight: Tensor
    """(m,): how much it counts in the sum over classes"""
    log_q: Tensor
    """(n, K), log q(y|x)"""
    entropy: Tensor
    """(n,), of q(y|x); 0 where the label is known"""
    mu: Tensor
    log_sigma: Tensor
    out: Tensor
    """(m, ...), of the decoder"""
    sse: Tensor
    """(m,), squared error of the mean"""

    @property
    def kl(self) -> Tensor:
        """KL(q(z|x, y) ‖ p(z)), (m,)."""
        return kl_to_prior(self.mu, self.log_sigma).sum(1)

    def total(self, of_rows: Tensor) -> Tensor:
        """Sum over the classes of each example, (n,), of a number for each row."""
        n = len(self.log_q)
        return of_rows.new_zeros(n).index_add(0, self.row, self.weight.to(of_rows) * of_rows)

    @property
    def likeliest(self) -> Tensor:
        """The row of each example that counts most, (n,)."""
        n, k = self.log_q.shape
        weights = torch.full((n, k), -1.0, device=self.row.device, dtype=self.weight.dtype)
        weights[self.row, self.c] = self.weight.detach()
        rows = torch.zeros(n, k, dtype=torch.int64, device=self.row.device)
        rows[self.row, self.c] = torch.arange(len(self.row), device=self.row.device)
        return rows.gather(1, weights.argmax(1, keepdim=True))[:, 0]
