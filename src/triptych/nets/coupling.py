"""Coupling flows for vectors: one half of x decides what happens to the other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from triptych.core import ModelSpec, Shape
from triptych.errors import UserError
from triptych.models import FlowModel
from triptych.nets.mlp import mlp
from triptych.nets.transforms import Compose, Conditioned, Permutation, Standardize, Transform, per_example

BOUND = 3.0
"""|log s| of one affine coupling stays below this."""


def bounded(s: Tensor, bound: float = BOUND) -> Tensor:
    """Smoothly into (−bound, bound), with slope 1 at 0."""
    return bound * torch.tanh(s / bound)


class AffineCoupling(Conditioned):
    """x = (a, b): a stays, b becomes b exp(s(a)) + t(a). Only b's half is computed.

    `net` maps a to s and t side by side, (..., 2 d_b); its last layer starts at zero, so the coupling starts as
    the identity. Source: Dinh et al. 2017, eq. 7-8.
    """

    def __init__(self, keep: int, net: nn.Module) -> None:
        super().__init__()
        self.keep = keep
        self.net = net

    def _scale_and_shift(self, a: Tensor) -> tuple[Tensor, Tensor]:
        s, t = self.net(a).to(a.dtype).chunk(2, dim=-1)
        return bounded(s), t

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = x[..., : self.keep], x[..., self.keep :]
        s, t = self._scale_and_shift(a)
        return torch.cat([a, b * s.exp() + t], dim=-1), per_example(s)

    def inverse(self, z: Tensor) -> Tensor:
        a, b = z[..., : self.keep], z[..., self.keep :]
        s, t = self._scale_and_shift(a)
        return torch.cat([a, (b - t) * (-s).exp()], dim=-1)


def conditioner(inputs: int, outputs: int, width: int, depth: int) -> nn.Sequential:
    """A perceptron whose last layer starts at zero."""
    net = mlp(inputs, outputs, width, depth, nn.SiLU)
    last = net[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    return net


def columns(shape: Shape, name: str, least: int = 2) -> int:
    """d of a vector shape; UserError for pictures and for too few columns."""
    if len(shape) != 1:
        raise UserError(f"{name} is a flow for vectors and the data are {'×'.join(map(str, shape))} pictures; use Glow")
    if shape[0] < least:
        raise UserError(f"{name} needs at least {least} columns and the data have {shape[0]}; use MAF for one column")
    return shape[0]


def swaps(d: int, layers: int) -> list[Permutation]:
    """A reordering before each layer but the first: reversal for d = 2, else fixed random ones."""
    g = torch.Generator().manual_seed(d)
    return [Permutation(torch.tensor([1, 0]) if d == 2 else torch.randperm(d, generator=g)) for _ in range(layers - 1)]


@dataclass(frozen=True)
class RealNVP(ModelSpec):
    """Affine couplings for vectors, columns standardised first."""

    layers: int = 8
    """couplings"""
    width: int = 128
    """units per hidden layer of each coupling's network"""
    depth: int = 2
    """hidden layers of each coupling's network"""

    def build(self, shape: Shape) -> FlowModel:
        d = columns(shape, "RealNVP")
        keep = math.ceil(d / 2)
        parts: list[Transform] = [Standardize(d)]
        for swap in [None, *swaps(d, self.layers)]:
            parts += [swap] if swap else []
            parts.append(AffineCoupling(keep, conditioner(keep, 2 * (d - keep), self.width, self.depth)))
        return FlowModel(shape, Compose(parts))
