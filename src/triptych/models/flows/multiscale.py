"""Flows for images: preprocessing, multi-scale RealNVP and Glow, and learned dequantisation.

Inside, images are laid out (n, h, w, c), so that transforms of vectors work on them unchanged.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core import Shape
from triptych.core.model_spec import ConditionalSpec
from triptych.core.share import normal_like
from triptych.errors import UserError
from triptych.models.families import FlowModel
from triptych.models.flows.coupling import AffineCoupling
from triptych.models.layers.bijections import (
    ActNorm,
    Affine,
    ClassGaussian,
    Compose,
    Convolutions,
    DataInitialised,
    LULinear,
    Permutation,
    Transform,
    per_example,
)
from triptych.models.layers.normal import quantile


class Plain(Transform):
    """Inner images (n, c, h, w) laid out (n, h, w, c), values unchanged."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.permute(0, 2, 3, 1), x.new_zeros(x.shape[0])

    def inverse(self, z: Tensor) -> Tensor:
        return z.permute(0, 3, 1, 2)


class Logit(Transform):
    """logit(α/2 + (1 − α) (x + 1) / 2), laid out (n, h, w, c): samples cannot leave the range of grey levels.

    Source: Dinh et al. 2017, section 4.1.
    """

    def __init__(self, alpha: float = 0.05) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        p = self.alpha / 2 + (1 - self.alpha) / 2 * (x + 1)
        z = torch.logit(p)
        # dz/dx = (1 − α) / 2 / (p (1 − p))
        log_slope = math.log((1 - self.alpha) / 2) - F.logsigmoid(z) - F.logsigmoid(-z)
        return z.permute(0, 2, 3, 1), per_example(log_slope)

    def inverse(self, z: Tensor) -> Tensor:
        p = torch.sigmoid(z.permute(0, 3, 1, 2))
        return (p - self.alpha / 2) / (1 - self.alpha) * 2 - 1


class Quantiles(DataInitialised):
    """Φ⁻¹(F(x)) per channel with F the training data's own distribution of grey levels, laid out (n, h, w, c).

    In handwriting most pixels have one grey level, whose dequantisation noise spans 1/256 of the range: an affine
    coupling must first learn to stretch it 300 times. Here every level gets the probability under N(0, 1) that it has
    in the data. F is linear within a level and every level counts at least once, so the density is positive
    everywhere; the outer 0.01 % on each side are cut off, which keeps z within ±3.72.
    """

    statistics = "shares of grey levels of each channel"
    cumulative: Tensor
    tail = 1e-4

    def __init__(self, channels: int) -> None:
        super().__init__()
        even = torch.linspace(0, 1, 257).repeat(channels, 1)
        self.register_buffer("cumulative", even)

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Inner images of whole grey levels (n, c, h, w)."""
        for i in range(x.shape[1]):
            levels = ((x[:, i] + 1) * 127.5).round().long().flatten()
            share = torch.bincount(levels, minlength=256).double() + 1
            self.cumulative[i, 1:] = (share.cumsum(0) / share.sum()).to(self.cumulative)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        at = (x.permute(0, 2, 3, 1) + 1) * 128
        k = at.floor().clamp(0, 255).long()
        low, high = self._edges(k)
        z = quantile(self.tail + (1 - 2 * self.tail) * (low + (high - low) * (at - k)))
        # dz/dx = F'(x) / φ(z), one level being 1/128 wide
        log_slope = (
            torch.log((high - low) * (128 * (1 - 2 * self.tail))) + 0.5 * z.square() + 0.5 * math.log(2 * math.pi)
        )
        return z, per_example(log_slope)

    def inverse(self, z: Tensor) -> Tensor:
        share = ((torch.special.ndtr(z) - self.tail) / (1 - 2 * self.tail)).clamp(0, 1)
        low, high = self._edges(k := self._levels(share.detach()))
        return ((k + (share - low) / (high - low)) / 128 - 1).permute(0, 3, 1, 2)

    def _levels(self, share: Tensor) -> Tensor:
        """The level k (..., c) whose edges enclose a share of probability (..., c)."""
        if torch.compiler.is_compiling():  # an exported graph has no search: compare with each inner edge, and count
            return (share[..., None] >= self.cumulative[:, 1:256]).sum(-1)
        flat = share.flatten(0, -2).T.contiguous()
        return torch.searchsorted(self.cumulative, flat, right=True).sub_(1).clamp_(0, 255).T.view(share.shape)

    def _edges(self, k: Tensor) -> tuple[Tensor, Tensor]:
        """F at the lower and upper edge of level k (..., c)."""
        channel = torch.arange(k.shape[-1], device=k.device)
        return self.cumulative[channel, k], self.cumulative[channel, k + 1]


class Squeeze(Transform):
    """Each 2×2 square of pixels becomes one pixel of four times the channels, (n, h, w, c) to (n, h/2, w/2, 4c).

    The channels of the square's upper left pixel come first, then upper right, lower left, lower right.
    """

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        n, h, w, c = x.shape
        z = x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(2, 3).reshape(n, h // 2, w // 2, 4 * c)
        return z, x.new_zeros(n)

    def inverse(self, z: Tensor) -> Tensor:
        n, h, w, c = z.shape
        return z.reshape(n, h, w, 2, 2, c // 4).transpose(2, 3).reshape(n, 2 * h, 2 * w, c // 4)


class MultiScale(Transform):
    """Multi-scale architecture: after each level but the last, half of the channels are factored out into z.

    x is (n, h, w, c), z flat, (n, d), in the order in which its parts were factored out.
    Source: Dinh et al. 2017, section 3.6.
    """

    def __init__(self, levels: Iterable[Transform], shape: tuple[int, int, int]) -> None:
        """`shape` is (h, w, c) of x; each level halves the sides and quadruples the channels."""
        super().__init__()
        self.levels = nn.ModuleList(levels)
        h, w, c = shape
        self.shapes: list[tuple[int, int, int]] = []
        for _ in self.levels:
            h, w, c = h // 2, w // 2, c * 2
            self.shapes.append((h, w, c))
        self.shapes[-1] = (h, w, c * 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        done, total = [], x.new_zeros(x.shape[0])
        for i, level in enumerate(self.levels):
            x, log_det = level(x)
            total = total + log_det
            if i + 1 < len(self.levels):
                x, out = x.chunk(2, dim=-1)
                done.append(out.flatten(1))
        return torch.cat([*done, x.flatten(1)], dim=1), total

    def inverse(self, z: Tensor) -> Tensor:
        sizes = [h * w * c for h, w, c in self.shapes]
        parts = [p.view(-1, *shape) for p, shape in zip(z.split(sizes, dim=1), self.shapes, strict=True)]
        x = parts.pop()
        for i in reversed(range(len(self.levels))):
            level = self.levels[i]
            assert isinstance(level, Transform)
            x = level.inverse(x)
            if i > 0:
                x = torch.cat([x, parts.pop()], dim=-1)
        return x


class Dequantizer(nn.Module):
    """A learned q(u | k) on [0, 1)^d: noise through affine couplings conditioned on the image, then a sigmoid.

    Source: Ho et al. 2019, "Flow++", section 3.1.
    """

    def __init__(self, channels: int, width: int, couplings: int = 4) -> None:
        super().__init__()
        self.squeeze = Squeeze()
        c = 4 * channels
        self.nets = nn.ModuleList(Convolutions(c // 2 + c, c, width) for _ in range(couplings))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Inner images (n, c, h, w) to u of the same shape and log q(u | k), (n,)."""
        seen, _ = self.squeeze(x.permute(0, 2, 3, 1))
        v = normal_like(seen)
        log_q = per_example(-0.5 * (v.square() + math.log(2 * math.pi)))
        for net in self.nets:
            a, b = v.chunk(2, dim=-1)
            s, t = net(torch.cat([a, seen], dim=-1)).chunk(2, dim=-1)
            s = Affine.bounded(s)
            v = torch.cat([b * s.exp() + t, a], dim=-1)
            log_q = log_q - per_example(s)
        log_q = log_q - per_example(F.logsigmoid(v) + F.logsigmoid(-v))
        return self.squeeze.inverse(torch.sigmoid(v)).permute(0, 3, 1, 2), log_q


def image_size(shape: Shape, levels: int, name: str) -> tuple[int, int, int]:
    """(h, w, c) of an image shape; UserError for vectors and for sides that cannot be halved `levels` times."""
    if len(shape) != 3:
        raise UserError(f"{name} is a flow for images and the data are vectors; use RealNVP, NSF or MAF")
    c, h, w = shape
    if h % 2**levels or w % 2**levels:
        raise UserError(
            f"{name} with {levels} levels halves the sides {levels} times and {h}×{w} images do not allow it; "
            f"lower --model.levels, or choose a --resolution divisible by {2**levels}"
        )
    return h, w, c


Preprocess = Literal["plain", "logit", "quantiles"]
Dequantise = Literal["uniform", "variational"]


def preprocessing(name: Preprocess, channels: int) -> Transform:
    """The first transform of an image flow: (n, c, h, w) to (n, h, w, c)."""
    match name:
        case "plain":
            return Plain()
        case "logit":
            return Logit()
        case "quantiles":
            return Quantiles(channels)


@dataclass(frozen=True)
class ImageFlowSpec(ConditionalSpec):
    """Abstract base of the flows for images: how grey levels become continuous variables."""

    preprocess: Preprocess = "plain"
    """grey levels unchanged, through a logit, or through their quantiles to a standard normal"""
    dequantise: Dequantise = "uniform"
    """noise that makes grey levels continuous: uniform, or learned"""
    width: int = 128
    """channels of the networks inside"""

    def model(self, shape: Shape, parts: list[Transform]) -> FlowModel:
        """The model of pictures (n, h, w, c) to flat z by `parts`, one after the other."""
        c = shape[0]
        prior = [ClassGaussian(math.prod(shape), self.k)] if self.k else []
        flow = Compose([preprocessing(self.preprocess, c), *parts, *prior])
        noise = Dequantizer(c, self.width) if self.dequantise == "variational" else None
        return FlowModel(shape, flow, noise, self.k)


@dataclass(frozen=True)
class MultiScaleSpec(ImageFlowSpec):
    """Abstract base of the multi-scale flows, which differ in what makes up a level."""

    width: int = 128
    """channels inside each coupling's convolutions"""
    levels: int = 3
    """times the sides are halved (L); half of the channels are factored out after each but the last"""

    @abstractmethod
    def level(self, channels: int) -> list[Transform]:
        """The steps of one level, on squeezed pixels of so many channels."""

    def build(self, shape: Shape) -> FlowModel:
        size = image_size(shape, self.levels, type(self).__name__)
        c = size[2]
        widths = [4 * c * 2**i for i in range(self.levels)]
        stages: list[list[Transform]] = [[Squeeze(), *self.level(channels)] for channels in widths]
        for stage, channels in zip(stages[:-1], widths[:-1], strict=True):
            # the factored-out half is scaled and shifted by a function of the other
            stage.append(AffineCoupling(channels // 2, Convolutions(channels // 2, channels, self.width, self.k)))
        return self.model(shape, [MultiScale(map(Compose, stages), size)])


@dataclass(frozen=True)
class MultiScaleRealNVP(MultiScaleSpec):
    """RealNVP for images: couplings across a checkerboard, then across channels, level by level."""

    levels: int = 2
    """times the sides are halved; half of the channels are factored out after each but the last"""
    couplings: int = 4
    """couplings of each kind per level"""

    def level(self, channels: int) -> list[Transform]:
        # After the squeeze, pixels 0 3 of each 2×2 square are one colour of the board, 1 2 the other.
        channel, half = torch.arange(channels), channels // 2
        board = channel.view(4, -1)[[0, 3, 1, 2]].flatten()
        swap = channel.roll(half)
        steps: list[Transform] = []
        for order in (board, channel):
            steps.append(Permutation(order))
            for _ in range(self.couplings):
                net = Convolutions(half, channels, self.width, self.k)
                steps += [ActNorm(channels), AffineCoupling(half, net), Permutation(swap)]
            if self.couplings % 2:
                steps.append(Permutation(swap))
            steps.append(Permutation(order.argsort()))
        return steps


@dataclass(frozen=True)
class Glow(MultiScaleSpec):
    """Steps of actnorm, invertible 1×1 convolution and affine coupling, level by level."""

    steps: int = 16
    """steps per level (K)"""

    def level(self, channels: int) -> list[Transform]:
        half = channels // 2
        steps: list[Transform] = []
        for _ in range(self.steps):
            steps += [ActNorm(channels), LULinear(channels)]
            steps.append(AffineCoupling(half, Convolutions(half, channels, self.width, self.k)))
        return steps
