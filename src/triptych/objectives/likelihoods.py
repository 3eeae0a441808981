"""Likelihoods p(x|z) of decoders, and with them lower bounds of log p(x)."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from triptych.core import Data, Objective, Quantity
from triptych.core.share import mean, uniform_like
from triptych.errors import UserError
from triptych.models.observed import Observed

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


@dataclass(frozen=True)
class Bounded(Objective):
    """Abstract base of the objectives with a likelihood p(x|z), whose models have a lower bound of log p(x)."""

    quantities: ClassVar[Mapping[str, Quantity]] = {
        **RECONSTRUCTION,
        "elbo": Quantity("ELBO", "higher", unit="nats", comparable="likelihood p(x|z)", rank=23, live=True),
        "bits_per_dim": Quantity(
            "Bits per dimension",
            "lower",
            variant="ELBO",
            comparable="kind of p(x|z) (a density, or probabilities of pixels)",
            rank=22,
        ),
    }
    _: KW_ONLY
    likelihood: Literal["gaussian", "gaussian-learned", "bernoulli", "logistic"] = "gaussian"
    """p(x|z): Gaussian of fixed sigma, Gaussian or discretised logistic of learned scale, Bernoulli (binary data)"""
    sigma: float = math.sqrt(0.5)
    """standard deviation of the fixed Gaussian, images in [-1, 1]; 0.7071 makes -log p the summed squared error"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sigma > 0:
            raise UserError(f"objective.sigma is {self.sigma}; a standard deviation must be above 0")

    @abstractmethod
    def elbo(self, x: Tensor, model: Any) -> Tensor:
        """E log p(x|z) − KL(q(z|x) ‖ p(z)) of what p(x|z) explains, `observed` x (n, ...), in nats, by one z each."""

    def log_likelihood(self, x: Tensor, y: Tensor, model: Observed) -> Tensor:
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
        mean = self.location(y, model)
        if self.likelihood == "logistic":
            sigma = model.noise.sqrt() if model.scale == "set" else model.log_scale(y).exp()
            return discretised_logistic(x, mean, sigma * (math.sqrt(3) / math.pi)).flatten(1).sum(1)
        if model.scale != "set":
            log_sigma = model.log_scale(y)
            square = ((x - mean) * (-log_sigma).exp()).square()
            return -0.5 * (square + 2 * log_sigma + math.log(2 * math.pi)).flatten(1).sum(1)
        variance = mean.new_full((), self.sigma**2) if self.likelihood == "gaussian" else model.noise
        return -0.5 * (sse(x, mean) / variance + x[0].numel() * (2 * math.pi * variance).log())

    def location(self, y: Tensor, model: Observed) -> Tensor:
        """Location of p(x|z) for decoder outputs y, shaped like x: the mean that is decoded.

        A logistic gives a black pixel all of its mass by lying far below black: its own is not clamped.
        """
        return model.location(y) if self.likelihood == "logistic" else model.mean(y)

    def error(self, recon: Tensor) -> Tensor:
        """The squared error that the learned scale follows: of the whole batch, since the loss looks at it at once."""
        return mean(recon) if self.likelihood in ("gaussian-learned", "logistic") else recon

    def observed(self, x: Tensor, model: Observed) -> Tensor:
        """What p(x|z) explains, of inner examples (n, ...): these, or with noise of a grey level's width.

        A Gaussian whose scale the decoder gives would else grow without bound on flat parts of pictures, where it need
        only hit the grey level. Source: Theis et al. 2016, section 3.1.
        """
        if x.dim() != 4 or model.scale == "set" or self.likelihood != "gaussian-learned":
            return x
        return (((x + 1) * 127.5).round() + uniform_like(x)) / 128 - 1

    def log_likelihoods(self, x: Tensor, y: Tensor, model: Observed) -> Tensor:
        """`log_likelihood` of x (n, ...) under k draws each, (k, n), for decoder outputs y (k n, ...), draw by draw."""
        k = len(y) // len(x)
        return self.log_likelihood(x.expand(k, *x.shape).flatten(0, 1), y, model).view(k, -1)

    def bits_per_dim(self, elbo: float, x: Tensor) -> float:
        """−ELBO in bits per dimension; a density on [-1, 1] counts bins of width 2/256.

        An upper bound where `observed` adds noise to grey levels, and otherwise while σ is wider than half of one.
        """
        bits = -elbo / (x[0].numel() * math.log(2))
        return bits + 7 if x.dim() == 4 and self.likelihood.startswith("gaussian") else bits

    def check_likelihood(self, model: Observed, data: Data) -> None:
        """UserError where the likelihood suits neither the decoder nor the data."""
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
