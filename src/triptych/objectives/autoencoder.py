"""Autoencoders, side by side: AE, VAE and IWAE.

Reconstruction and KL are summed over dimensions and averaged over the batch only. With −log p(x|z) in nats, all
constants included, `beta` is what it says: the weight of the KL in the (negative) ELBO. A summed squared error on
[-1, 1] is −log p(x|z) of a Gaussian with σ² = ½, up to the constant (D/2) log π.

Of a model with classes encoder and decoder are given the labels: q(z|x, y) and p(x|z, y), with one prior p(z).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from triptych.core import Clock, Data, Move, Objective, Quantity
from triptych.core.labels import given
from triptych.core.model import Classifier
from triptych.core.objective import examples
from triptych.core.search import Range
from triptych.core.share import draw, mean
from triptych.errors import UserError
from triptych.models.families import AEModel, VAEModel
from triptych.models.layers.data_init import SubtractMean
from triptych.models.observed import Inferring
from triptych.objectives.collapse import ACTIVE_UNITS, PANEL, collapse_panel, group_panel
from triptych.objectives.likelihoods import RECONSTRUCTION, Bounded, sse
from triptych.objectives.posterior import active, importance_draws, kl_to_prior

BOTH = ("encoder", "decoder")
BLOCK = 1_000_000
"""Numbers of the training images that are added up at a time."""


def centre(encoder: nn.Module, data: Data) -> None:
    """Give the mean of the training images to the layers that subtract it."""
    for part in encoder.modules():
        if isinstance(part, SubtractMean):
            # in parts: a sum of bytes in float64 first copies them all as such
            total = torch.zeros(data.shape, dtype=torch.float64)
            for x in data.x.split(max(1, BLOCK // total.numel())):
                total += x.sum(0, dtype=torch.float64)
            part.fit(total.flatten() / len(data) / 127.5 - 1)


@dataclass(frozen=True)
class AE(Objective):
    """A plain autoencoder: minimise E ‖x − g(f(x))‖², summed over dimensions."""

    quantities: ClassVar[Mapping[str, Quantity]] = {**RECONSTRUCTION, "active_units": ACTIVE_UNITS}

    def step(self, model: AEModel, batches: Iterator[Tensor], clock: Clock) -> Iterator[Move]:
        x, y = next(examples(model, batches))
        with given(y):
            z = model.encoder(x)
            recon = sse(x, model.mean(model.decoder(z))).mean()
        model.observe(z.detach(), 0.0, recon.detach() / x[0].numel())
        yield Move(BOTH, recon, {"loss": recon, "recon": recon})

    def check(self, model: Any, data: Data, steps: int = 0) -> None:
        if not isinstance(model, AEModel):
            raise UserError(f"AE trains a plain autoencoder, not {type(model).__name__}; add --model.no-variational")
        if model.scale != "set":
            raise UserError(f"AE has no likelihood, and nothing learns a scale for each {model.scale}; leave it out")

    def prepare(self, model: AEModel, data: Data) -> None:
        """A perceptron encoder is given the mean of the training images."""
        centre(model.encoder, data)

    def validate(self, model: AEModel, batches: Iterable[Tensor], clock: Clock) -> dict[str, float]:
        """Held-out reconstruction, and how many code dimensions vary at all."""
        total, codes = 0.0, []
        for x, y in examples(model, batches):
            with given(y):
                z = model.encoder(x)
                total += sse(x, model.mean(model.decoder(z))).sum().item()
            codes.append(z)
        z = torch.cat(codes)
        return {"val_recon": total / len(z), "active_units": float(active(z).sum())}


RATE = "it is what the codes say about an example: little is collapse, much is a prior that samples badly"


@dataclass(frozen=True)
class Variational(Bounded):
    """Abstract base of `VAE` and `IWAE`: validation at beta = 1."""

    quantities: ClassVar[Mapping[str, Quantity]] = {
        **Bounded.quantities,
        "kl": Quantity("KL(posterior ‖ prior) while training", neither=RATE, unit="nats"),
        "val_kl": Quantity("KL(posterior ‖ prior)", neither=RATE, unit="nats"),
        "beta_eff": Quantity("Weight of the KL", neither="it is a setting, not an outcome"),
        **PANEL,
    }

    def elbo(self, x: Tensor, model: Inferring) -> Tensor:
        y, mu, log_sigma = model.infer(x)
        return self.log_likelihood(x, y, model) - kl_to_prior(mu, log_sigma).sum(1)

    def check(self, model: Any, data: Data, steps: int = 0) -> None:
        if not isinstance(model, Inferring):
            raise UserError(
                f"{type(self).__name__} needs an encoder with a posterior, not {type(model).__name__}; "
                "add --model.variational"
            )
        if isinstance(model, Classifier):
            raise UserError(
                f"{type(self).__name__} does not train the classifier of this network; add --objective Semi, or "
                "--model.no-classifier"
            )
        self.check_likelihood(model, data)

    def prepare(self, model: Inferring, data: Data) -> None:
        """A perceptron encoder is given the mean of the training images; Bernoulli: the decoder's last bias starts
        at the log-odds of the data, per number or per channel.

        Otherwise what the decoder learns first is the mean picture, without z, and codes go silent meanwhile.
        """
        centre(model.encoder, data)
        if self.likelihood != "bernoulli":
            return
        *_, bias = (w for name, w in model.decoder.named_parameters() if name.endswith("bias"))
        ones = (data.x > 0).float()
        share = ones.mean(0).flatten() if bias.numel() == ones[0].numel() else ones.transpose(0, 1).flatten(1).mean(1)
        with torch.no_grad():
            bias.copy_(torch.logit(share, eps=0.5 / len(data)))

    def validate(self, model: Inferring, batches: Iterable[Tensor], clock: Clock) -> dict[str, Any]:
        """Held-out means over examples, beta ignored: one z per example, as in training.

        `val_recon` (squared error) and `val_kl`; `elbo` in nats and `bits_per_dim`; and the collapse panel.
        """
        recon = log_p = kl = 0.0
        mus, log_sigmas = [], []
        for x, label in examples(model, batches):
            x = self.observed(x, model)
            with given(label):
                y, mu, log_sigma = model.infer(x)
            recon += sse(x, self.location(y, model)).sum().item()
            log_p += self.log_likelihood(x, y, model).sum().item()
            kl += kl_to_prior(mu, log_sigma).sum().item()
            mus.append(mu)
            log_sigmas.append(log_sigma)
        mu, log_sigma = torch.cat(mus), torch.cat(log_sigmas)
        elbo = (log_p - kl) / len(mu)
        return {
            "val_recon": recon / len(mu),
            "val_kl": kl / len(mu),
            "elbo": elbo,
            "bits_per_dim": self.bits_per_dim(elbo, x),
            **(group_panel(mu, log_sigma, model.groups) if len(model.groups) > 1 else collapse_panel(mu, log_sigma)),
        }


@dataclass(frozen=True)
class VAE(Variational):
    """−E log p(x|z) + β KL(q(z|x) ‖ p(z)), one z per example.

    Sources: Kingma & Welling 2014, eq. 10; β: Higgins et al. 2017; cyclical: Fu et al. 2019; capacity, |KL − C|
    instead of KL: Burgess et al. 2018, eq. 8, here per example; free bits: Kingma et al. 2016, eq. 15.
    """

    beta: Annotated[float, Range(0.1, 4.0, log=True)] = 1.0
    """weight of the KL in the ELBO; with schedules its target, with capacity the weight of |KL - C|"""
    _: KW_ONLY
    schedule: Literal["constant", "linear", "staircase", "cyclical", "capacity"] = "constant"
    """how beta (or C) gets there; staircase is the coursework's linear schedule, which stops one stair short"""
    ramp: int = 0
    """optimiser steps the schedule takes; 0: the whole run"""
    stairs: int = 20
    """staircase: stairs, one per epoch of the coursework; the last is at 1 - 1/stairs of beta"""
    cycles: int = 4
    """cyclical: cycles, each rising for its first half"""
    capacity: float = 25.0
    """capacity: nats, the final value of C"""
    free_bits: float = 0.0
    """nats per latent dimension, as a batch mean, that cost nothing more"""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("beta", "ramp", "capacity", "free_bits"):
            if not getattr(self, name) >= 0:
                raise UserError(f"objective.{name} is {getattr(self, name)}; it must be 0 or more")
        if self.free_bits and self.schedule == "capacity":
            raise UserError("the capacity schedule has no use for objective.free_bits; leave one of the two out")
        for name in ("stairs", "cycles"):
            if getattr(self, name) < 1:
                raise UserError(f"objective.{name} is {getattr(self, name)}; it must be at least 1")

    def tied_to_budget(self) -> str:
        return "" if self.schedule == "constant" or self.ramp else f"the {self.schedule} schedule of the KL's weight"

    def risen(self, clock: Clock) -> float:
        """How much of its target the schedule has reached at this step, in [0, 1]. The last step reaches it."""
        if self.schedule == "constant":
            return 1.0
        length = self.ramp or clock.steps
        if self.schedule == "staircase":
            return min(clock.step * self.stairs // max(length, 1), self.stairs - 1) / self.stairs
        if self.schedule == "cyclical" and clock.step < length - 1:
            return min(1.0, 2 * (clock.step * self.cycles / length % 1))
        return min(1.0, clock.step / max(length - 1, 1))

    def penalty(self, kl: Tensor, clock: Clock) -> tuple[Tensor, Tensor | float]:
        """What the KL (n, latent) adds to the loss, and the KL's weight in it."""
        if self.schedule == "capacity":
            excess = kl.sum(1) - self.capacity * self.risen(clock)
            return self.beta * excess.abs().mean(), self.beta * excess.detach().sign().mean()
        beta = self.beta * self.risen(clock)
        per_dim = kl.mean(0)
        if self.free_bits:  # below which the mean of the whole batch lies or not
            per_dim = mean(kl).clamp_min(self.free_bits)
        return beta * per_dim.sum(), beta

    def step(self, model: Inferring, batches: Iterator[Tensor], clock: Clock) -> Iterator[Move]:
        x, label = next(examples(model, batches))
        x = self.observed(x, model)
        with given(label):
            y, mu, log_sigma = model.infer(x)
        recon = sse(x, self.location(y, model).detach()).mean()
        model.observe(mu.detach(), log_sigma.detach().exp().square().mean(0), self.error(recon) / x[0].numel())
        kl = kl_to_prior(mu, log_sigma)
        penalty, beta_eff = self.penalty(kl, clock)
        loss = -self.log_likelihood(x, y, model).mean() + penalty
        logs = {"loss": loss, "recon": recon, "kl": kl.detach().sum(1).mean(), "beta_eff": beta_eff}
        yield Move(BOTH, loss, logs)

    def check(self, model: Any, data: Data, steps: int = 0) -> None:
        super().check(model, data, steps)
        if self.schedule != "constant" and self.ramp > steps > 0:
            raise UserError(
                f"the {self.schedule} schedule takes {self.ramp} steps and the run has {steps}; "
                f"lower --objective.ramp (0: the whole run) or raise --train.images"
            )
        pieces = {"staircase": self.stairs, "cyclical": 2 * self.cycles}.get(self.schedule, 1)
        length = self.ramp or steps
        if pieces > length > 0:
            name = "stairs" if self.schedule == "staircase" else "cycles"
            raise UserError(
                f"{getattr(self, name)} {name} do not fit the {length} steps of the {self.schedule} schedule; "
                f"lower --objective.{name} or raise --train.images"
            )


@dataclass(frozen=True)
class IWAE(Variational):
    """−E log 1/K Σ_k p(x, z_k) / q(z_k|x), z_k ~ q(z|x): a tighter bound on −E log p(x) the larger K is.

    Source: Burda et al. 2016, "Importance Weighted Autoencoders", eq. 8. What is logged is the bound itself.
    """

    samples: int = 50
    """K, draws of z per example; 1 is the VAE with its KL drawn instead of summed"""
    ahead: float = 0.0
    """part of the budget at the start that has one draw per example, which costs a fraction of K draws"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples < 1:
            raise UserError(f"objective.samples is {self.samples}; it must be at least 1")
        if not 0 <= self.ahead < 1:
            raise UserError(f"objective.ahead is {self.ahead}; give a part of the budget, 0 or more and less than 1")

    def tied_to_budget(self) -> str:
        return f"the start with one draw, the first {self.ahead:.0%} of the budget," if self.ahead else ""

    def stages(self) -> tuple[float, ...]:
        return (0.0, self.ahead) if self.ahead else (0.0,)

    def check(self, model: Any, data: Data, steps: int = 0) -> None:
        super().check(model, data, steps)
        if not isinstance(model, VAEModel):
            raise UserError(
                f"IWAE draws all of z at once, and {type(model).__name__} draws it group by group; add --objective VAE"
            )

    def step(self, model: VAEModel, batches: Iterator[Tensor], clock: Clock) -> Iterator[Move]:
        (x, label), k = (
            next(examples(model, batches)),
            1 if self.ahead and clock.fraction < self.ahead else self.samples,
        )
        x = self.observed(x, model)
        with given(label):
            mu, log_sigma = model.posterior(x)
            noise = draw(lambda n: torch.randn(k, n, mu.shape[1], dtype=mu.dtype, device=mu.device), len(mu), dim=1)
            z, log_ratio = importance_draws(mu, log_sigma, noise)
            y = model.decoder(z.flatten(0, 1))
        recon = sse(x, self.location(y[: len(x)], model).detach()).mean()  # of the first draw, as in a VAE
        model.observe(mu.detach(), log_sigma.detach().exp().square().mean(0), self.error(recon) / x[0].numel())
        log_w = self.log_likelihoods(x, y, model) + log_ratio
        loss = -(torch.logsumexp(log_w, 0) - math.log(k)).mean()
        kl = kl_to_prior(mu, log_sigma).detach().sum(1).mean()
        yield Move(BOTH, loss, {"loss": loss, "recon": recon, "kl": kl, "beta_eff": 1.0})
