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
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core import Clock, Data, Move, Objective, Quantity
from triptych.core.labels import given
from triptych.core.objective import examples
from triptych.core.search import Range
from triptych.core.share import draw, mean, normal_like, uniform_like
from triptych.errors import UserError
from triptych.models.families import AEModel, VAEModel
from triptych.models.layers.data_init import SubtractMean
from triptych.objectives.collapse import ACTIVE_UNITS, PANEL, collapse_panel
from triptych.objectives.posterior import active, importance_draws, kl_to_prior

BOTH = ("encoder", "decoder")
TRAINED_ON = "it is of the batches that are trained on"
RECONSTRUCTION: Mapping[str, Quantity] = {
    "loss": Quantity("Loss", neither=TRAINED_ON, rank=43, live=True),
    "recon": Quantity("Reconstruction error while training", neither=TRAINED_ON),
    "val_recon": Quantity("Held-out reconstruction error", "lower", rank=24, live=True),
}


def sse(x: Tensor, mean: Tensor) -> Tensor:
    """‖x − mean‖² per example, (n,)."""
    # not flattened first: that would turn the gradient of channels_last images into the other layout
    return (x - mean).square().sum(tuple(range(1, x.dim())))


def centre(encoder: nn.Module, data: Data) -> None:
    """Give the mean of the training images to the layers that subtract it."""
    for part in encoder.modules():
        if isinstance(part, SubtractMean):
            # in parts: a sum of bytes in float64 first copies them all as such
            total = torch.stack([x.sum(0, dtype=torch.float64) for x in data.x.split(4096)]).sum(0)
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
class Variational(Objective):
    """Abstract base of `VAE` and `IWAE`: the likelihoods p(x|z), and validation at beta = 1."""

    quantities: ClassVar[Mapping[str, Quantity]] = {
        **RECONSTRUCTION,
        "kl": Quantity("KL(posterior ‖ prior) while training", neither=RATE, unit="nats"),
        "val_kl": Quantity("KL(posterior ‖ prior)", neither=RATE, unit="nats"),
        "beta_eff": Quantity("Weight of the KL", neither="it is a setting, not an outcome"),
        "elbo": Quantity("ELBO", "higher", unit="nats", comparable="likelihood p(x|z)", rank=23, live=True),
        "bits_per_dim": Quantity(
            "Bits per dimension",
            "lower",
            variant="ELBO",
            comparable="kind of p(x|z) (a density, or probabilities of pixels)",
            rank=22,
        ),
        **PANEL,
    }
    _: KW_ONLY
    likelihood: Literal["gaussian", "gaussian-learned", "bernoulli", "logistic"] = "gaussian"
    """p(x|z): Gaussian of fixed sigma, Gaussian or discretised logistic of learned scale, Bernoulli (binary data)"""
    sigma: float = math.sqrt(0.5)
    """standard deviation of the fixed Gaussian, images in [-1, 1]; 0.7071 makes -log p the summed squared error"""

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise UserError(f"objective.sigma is {self.sigma}; a standard deviation must be above 0")

    def log_likelihood(self, x: Tensor, y: Tensor, model: VAEModel) -> Tensor:
        """log p(x|z) per example in nats, (n,), for decoder outputs y.

        Densities are of x in the inner space (images in [-1, 1]); Bernoulli and logistic are probabilities of the
        pixel values themselves. The learned scale is the maximum-likelihood one, a running mean of the squared
        error: Rybkin et al. 2021, "Simple and Effective VAE Training with Calibrated Decoders". Logistic: Kingma
        et al. 2016, "Improved Variational Inference with Inverse Autoregressive Flow", with 256 levels. The decoder may
        give a scale of its own for each pixel or picture (`model.scale`).
        """
        if self.likelihood == "bernoulli":
            # log σ(y) where the bit is set, log σ(−y) = log (1 − σ(y)) where it is not
            return F.logsigmoid((x if x.dim() == 4 else 2 * x - 1) * y).flatten(1).sum(1)
        mean = model.mean(y)
        if self.likelihood == "logistic":
            sigma = model.noise.sqrt() if model.scale == "set" else model.log_scale(y).exp()
            return discretised_logistic(x, mean, sigma * (math.sqrt(3) / math.pi)).flatten(1).sum(1)
        if model.scale != "set":
            log_sigma = model.log_scale(y)
            square = ((x - mean) * (-log_sigma).exp()).square()
            return -0.5 * (square + 2 * log_sigma + math.log(2 * math.pi)).flatten(1).sum(1)
        variance = mean.new_tensor(self.sigma**2) if self.likelihood == "gaussian" else model.noise
        return -0.5 * (sse(x, mean) / variance + x[0].numel() * (2 * math.pi * variance).log())

    def error(self, recon: Tensor) -> Tensor:
        """The squared error that the learned scale follows: of the whole batch, since the loss looks at it at once."""
        return mean(recon) if self.likelihood in ("gaussian-learned", "logistic") else recon

    def observed(self, x: Tensor, model: VAEModel) -> Tensor:
        """What p(x|z) explains, of inner examples (n, ...): these, or with noise of a grey level's width.

        A Gaussian whose scale the decoder gives would else grow without bound on flat parts of pictures, where it need
        only hit the grey level. Source: Theis et al. 2016, section 3.1.
        """
        if x.dim() != 4 or model.scale == "set" or self.likelihood != "gaussian-learned":
            return x
        return (((x + 1) * 127.5).round() + uniform_like(x)) / 128 - 1

    def log_likelihoods(self, x: Tensor, y: Tensor, model: VAEModel) -> Tensor:
        """`log_likelihood` of x (n, ...) under k draws each, (k, n), for decoder outputs y (k n, ...), draw by draw."""
        k = len(y) // len(x)
        return self.log_likelihood(x.expand(k, *x.shape).flatten(0, 1), y, model).view(k, -1)

    def bits_per_dim(self, elbo: float, x: Tensor) -> float:
        """An upper bound on bits per dimension; a density on [-1, 1] counts bins of width 2/256."""
        bits = -elbo / (x[0].numel() * math.log(2))
        return bits + 7 if x.dim() == 4 and self.likelihood.startswith("gaussian") else bits

    def check(self, model: Any, data: Data, steps: int = 0) -> None:
        if not isinstance(model, VAEModel):
            raise UserError(
                f"{type(self).__name__} needs an encoder with a posterior, not {type(model).__name__}; "
                "add --model.variational"
            )
        if self.likelihood == "bernoulli":
            if not is_binary(data):
                raise UserError(
                    f"the Bernoulli likelihood is for binary data and {data.name} is not; "
                    "add --objective.likelihood gaussian, or binarise it (--data binarymnist)"
                )
            if not model.logits:
                raise UserError(
                    "the Bernoulli likelihood needs a decoder that ends in logits; add --model.output logit"
                )
        if model.scale != "set" and self.likelihood not in ("gaussian-learned", "logistic"):
            raise UserError(
                f"the {self.likelihood} likelihood has no scale that a decoder could give; leave --model.scale out, or "
                "add --objective.likelihood gaussian-learned or logistic"
            )
        if self.likelihood == "logistic" and not data.is_images:
            raise UserError(
                f"the discretised logistic is for 8-bit images and {data.name} holds vectors; "
                "add --objective.likelihood gaussian"
            )

    def prepare(self, model: VAEModel, data: Data) -> None:
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

    def validate(self, model: VAEModel, batches: Iterable[Tensor], clock: Clock) -> dict[str, Any]:
        """Held-out means over examples, beta ignored: one z per example, as in training.

        `val_recon` (squared error) and `val_kl`; `elbo` in nats and `bits_per_dim`; and the collapse panel.
        """
        recon = log_p = kl = 0.0
        mus, log_sigmas = [], []
        for x, label in examples(model, batches):
            x = self.observed(x, model)
            with given(label):
                mu, log_sigma = model.posterior(x)
                y = model.decoder(mu + log_sigma.exp() * torch.randn_like(mu))
            recon += sse(x, model.mean(y)).sum().item()
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
            **collapse_panel(mu, log_sigma),
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
        length = self.ramp or clock.steps
        if self.schedule == "constant":
            return 1.0
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

    def step(self, model: VAEModel, batches: Iterator[Tensor], clock: Clock) -> Iterator[Move]:
        x, label = next(examples(model, batches))
        x = self.observed(x, model)
        with given(label):
            mu, log_sigma = model.posterior(x)
            sigma = log_sigma.exp()
            y = model.decoder(mu + sigma * normal_like(mu))
        recon = sse(x, model.mean(y).detach()).mean()
        model.observe(mu.detach(), sigma.detach().square().mean(0), self.error(recon) / x[0].numel())
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples < 1:
            raise UserError(f"objective.samples is {self.samples}; it must be at least 1")

    def step(self, model: VAEModel, batches: Iterator[Tensor], clock: Clock) -> Iterator[Move]:
        (x, label), k = next(examples(model, batches)), self.samples
        x = self.observed(x, model)
        with given(label):
            mu, log_sigma = model.posterior(x)
            noise = draw(lambda n: torch.randn(k, n, mu.shape[1], dtype=mu.dtype, device=mu.device), len(mu), dim=1)
            z, log_ratio = importance_draws(mu, log_sigma, noise)
            y = model.decoder(z.flatten(0, 1))
        recon = sse(x, model.mean(y[: len(x)]).detach()).mean()  # of the first draw, as in a VAE
        model.observe(mu.detach(), log_sigma.detach().exp().square().mean(0), self.error(recon) / x[0].numel())
        log_w = self.log_likelihoods(x, y, model) + log_ratio
        loss = -(torch.logsumexp(log_w, 0) - math.log(k)).mean()
        kl = kl_to_prior(mu, log_sigma).detach().sum(1).mean()
        yield Move(BOTH, loss, {"loss": loss, "recon": recon, "kl": kl, "beta_eff": 1.0})


def discretised_logistic(x: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    """log P(x) elementwise for x among 256 equal steps of [-1, 1]; the end bins take the tails."""
    half = 1 / 255
    above, below = (x - mean + half) / scale, (x - mean - half) / scale
    # σ(a) − σ(b) = σ(a) σ(−b) (1 − e^(b−a)), which does not cancel
    inside = F.logsigmoid(above) + F.logsigmoid(-below) + torch.log(-torch.expm1(-2 * half / scale))
    inside = torch.where(x < -1 + half, F.logsigmoid(above), inside)
    return torch.where(x > 1 - half, F.logsigmoid(-below), inside)


def is_binary(data: Data) -> bool:
    """Only two values: 0 and 255 in images, 0 and 1 in vectors."""
    return bool(((data.x == 0) | (data.x == (255 if data.is_images else 1))).all())
