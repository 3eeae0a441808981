"""Models fitted in closed form, for scale: what a trained one has to beat before its numbers say anything.

They are models like others, sampled and judged by the same metrics; `ClosedForm` fits them before the first step.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from triptych.core import Data, Density, ModelSpec, Sampler, Shape
from triptych.core.checks import check_codes, check_examples
from triptych.errors import UserError
from triptych.models.code_density import (
    SIZES,
    TINY,
    choose,
    mixture_log_prob,
    one_gaussian,
    principal,
    whitened,
)

WIDEST = 4_608
"""Most dimensions of an example whose covariance is fitted in full: its axes take 85 MB, and a minute of two cores."""
FITTED = 10_000
"""Examples that a mixture is fitted to; mean and covariance are of all."""
BIN = 1 / 256
"""Width of a grey level on [0, 1], dequantised: its uniform noise has the variance BIN² / 12."""


LEADING = 32
"""Principal directions of pictures in which a mixture is fitted."""


class Yardstick(Sampler):
    """Abstract base: `fit` sets all that the model knows, and no objective moves any of it."""

    seconds: float = 0.0
    """that the last `fit` in this process took"""

    def know(self, name: str, x: Tensor) -> None:
        """A tensor that `fit` will set: it travels with the weights, and is none that an optimiser could move."""
        self.register_parameter(name, nn.Parameter(x, requires_grad=False))

    @abstractmethod
    def fit(self, data: Data) -> None:
        """Learn from the training examples, once."""


class MeanModel(Yardstick):
    """One example: the mean of the training examples, whatever the code."""

    latent = 1
    average: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.know("average", torch.zeros(shape))

    def fit(self, data: Data) -> None:
        total = torch.stack([part.sum(0, dtype=torch.float64) for part in data.x.split(4096)]).sum(0) / len(data)
        self.average.copy_(total / 255 if data.is_images else total)

    def decode(self, z: Tensor) -> Tensor:
        return self.average.expand(len(check_codes(self, z)), *self.shape).clone()


class MemoriserModel(Yardstick):
    """Training examples, drawn anew: example number ⌊n Φ(z)⌋ of the n that are kept, (most, *shape) public."""

    latent = 1
    kept: Tensor
    count: Tensor

    def __init__(self, shape: Shape, most: int) -> None:
        super().__init__(shape)
        kind = torch.uint8 if len(shape) == 3 else torch.float32
        self.register_buffer("kept", torch.zeros((most, *shape), dtype=kind))
        self.know("count", torch.zeros(()))

    def fit(self, data: Data) -> None:
        rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[: len(self.kept)]
        self.kept[: len(rows)] = data.x[rows].to(self.kept)
        self.count.fill_(len(rows))

    def decode(self, z: Tensor) -> Tensor:
        n = int(self.count)
        share = torch.special.ndtr(check_codes(self, z)[:, 0].double())
        x = self.kept[(share * n).long().clamp(0, max(n - 1, 0))]
        return x.float() / 255 if x.dtype == torch.uint8 else x


class MixtureModel(Yardstick, Density):
    """A Gaussian or a mixture of Gaussians over all dimensions of an example, with exact density.

    x = mean + axes u, where u is a mixture of up to `most` Gaussians in its `leading` dimensions, and N(0, 1) in the
    others. Images are modelled as dequantised: x = (k + noise) / 256 for whole grey levels k. A code is (n, d + 1): the
    first number picks the component, by Φ, and the others are standard normal within it.
    """

    mean: Tensor
    axes: Tensor
    weights: Tensor
    centres: Tensor
    factors: Tensor

    def __init__(self, shape: Shape, components: int, leading: int = LEADING) -> None:
        super().__init__(shape)
        d = math.prod(shape)
        if d > WIDEST:
            raise UserError(
                f"a full Gaussian of {d:,} dimensions takes too long; at most {WIDEST:,} are fitted: give --resolution"
            )
        self.latent, self.components = d + 1, components
        most, p = components or max(SIZES), min(leading, d)
        self.know("mean", torch.zeros(d))
        self.know("axes", torch.eye(d))
        self.know("weights", torch.full((most,), 1 / most))
        self.know("centres", torch.zeros(most, p))
        self.know("factors", torch.eye(p).repeat(most, 1, 1))

    def fit(self, data: Data) -> None:
        mean, cov = moments(data)
        axes, p = principal(cov, self.centres.shape[1])
        found = one_gaussian(p)
        if self.components != 1:
            rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:FITTED]
            # in units of the whole set's spread: grey levels overlap, and the modes of points may be very narrow
            found = choose(whitened(dequantised(data.x[rows]), mean, axes, p), ridge=1e-3 if data.is_images else 1e-6)
        self.mean.copy_(mean)
        self.axes.copy_(axes)
        weights, centres, factors = found
        self.weights.zero_()
        for own, new in ((self.weights, weights), (self.centres, centres), (self.factors, factors)):
            own[(slice(len(new)), *(slice(n) for n in new.shape[1:]))] = new.to(own)

    def decode(self, z: Tensor) -> Tensor:
        check_codes(self, z)
        edges = self.weights.double().cumsum(0)
        chosen = torch.special.ndtr(z[:, 0].double()) * edges[-1]
        which = torch.searchsorted(edges, chosen).clamp_max(int((self.weights > 0).sum()) - 1)
        u, p = z[:, 1:].clone(), self.centres.shape[1]
        u[:, :p] = self.centres[which] + torch.einsum("nij,nj->ni", self.factors[which], u[:, :p])
        x = (self.mean + u @ self.axes.T).unflatten(1, self.shape)
        return (x / BIN).floor().clamp(0, 255) / 255 if x.dim() == 4 else x

    def log_prob(self, x: Tensor) -> Tensor:
        x = check_examples(self, x).flatten(1)
        scale = self.axes.square().sum(0).sqrt().clamp_min(TINY).double()
        # the one costly product in the weights' own type, what is left of it in float64
        u = ((x - self.mean) @ self.axes).double() / scale.square()
        log_p = mixture_log_prob(u, self.weights.double(), self.centres.double(), self.factors.double())
        return (log_p - scale.log().sum()).to(x.dtype)


def dequantised(x: Tensor) -> Tensor:
    """uint8 images to (k + u) / 256 with u uniform, flattened (n, d) float64; vectors as they are."""
    if x.dtype != torch.uint8:
        return x.double()
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return ((x + noise) * BIN).flatten(1)


def moments(data: Data) -> tuple[Tensor, Tensor]:
    """Mean (d,) and covariance (d, d) of all examples, float64: of images as dequantised, whose noise is known."""
    d = math.prod(data.shape)
    total, square = torch.zeros(d, dtype=torch.float64), torch.zeros(d, d, dtype=torch.float64)
    shift = 128 if data.is_images else data.x[:4096].double().mean(0)
    for part in data.x.split(1024):
        # sums of 1,024 products of whole numbers below 2⁷ are exact in float32
        x = (part.float() - shift).flatten(1) if data.is_images else part.double() - shift
        total += x.sum(0)
        square += x.T @ x
    mean, n = total / len(data), len(data)
    cov = square / n - mean[:, None] * mean
    if not data.is_images:
        return mean + shift, cov
    cov.diagonal().add_(1 / 12)
    return (mean + 128.5) * BIN, cov * BIN**2


@dataclass(frozen=True)
class Mean(ModelSpec):
    """The mean of the training examples: what a model that has learned nothing else would show."""

    def build(self, shape: Shape) -> MeanModel:
        return MeanModel(shape)


@dataclass(frozen=True)
class Memoriser(ModelSpec):
    """Training examples, drawn anew: as good as samples can look, and nothing learned."""

    most: int = 10_000
    """training examples that it keeps"""

    def build(self, shape: Shape) -> MemoriserModel:
        return MemoriserModel(shape, self.most)


@dataclass(frozen=True)
class MixtureOfGaussians(ModelSpec):
    """A mixture of Gaussians by expectation-maximisation; of pictures in their 32 leading principal directions."""

    components: int = 0
    """Gaussians; 0: as many as the BIC chooses, at most 64"""

    def build(self, shape: Shape) -> MixtureModel:
        return MixtureModel(shape, self.components)
