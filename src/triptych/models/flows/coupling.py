"""Coupling flows for vectors: one half of x parametrises the transform of the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

import torch
from torch import Tensor, nn

from triptych.core import Shape
from triptych.core.data import LARGEST
from triptych.core.model_spec import ConditionalSpec
from triptych.core.search import Among
from triptych.errors import UserError
from triptych.models.families import FlowModel
from triptych.models.layers.bijections import (
    Affine,
    Compose,
    DataInitialised,
    Permutation,
    Standardize,
    Transform,
    per_example,
)
from triptych.models.layers.conditional import appended, width_of
from triptych.models.layers.linear import linear, takes_onednn
from triptych.models.layers.mixture import ToNormal
from triptych.models.layers.mlp import he_perceptron
from triptych.models.layers.spline import spline, spline_inverse, unnormalised

MOST = 1_000
"""Components of a mixture."""


class AffineCoupling(Affine):
    """x = (a, b): a stays, b becomes b exp(s(a)) + t(a). Only b's half is computed.

    `net` maps a to s and t side by side, (..., 2 d_b); its last layer starts at zero, so the coupling starts as
    the identity. Source: Dinh et al. 2017, eq. 7-8.
    """

    def __init__(self, keep: int, net: nn.Module) -> None:
        super().__init__()
        self.keep = keep
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = x[..., : self.keep], x[..., self.keep :]
        s, t = self.scale_and_shift(a)
        return torch.cat([a, b * s.exp() + t], dim=-1), per_example(s)

    def inverse(self, z: Tensor) -> Tensor:
        a, b = z[..., : self.keep], z[..., self.keep :]
        s, t = self.scale_and_shift(a)
        return torch.cat([a, (b - t) * (-s).exp()], dim=-1)


def conditioner(inputs: int, outputs: int, width: int, depth: int, classes: int = 0) -> nn.Sequential:
    """A perceptron, (n, inputs) to (n, outputs), its last layer zero at first; with classes it sees the labels."""
    net = he_perceptron(inputs + width_of(classes), outputs, width, depth)
    for first in appended(classes):
        net.insert(0, first)
    last = net[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    for layer in net:
        if isinstance(layer, nn.ReLU):
            layer.inplace = True
    return net


class SplineCoupling(Transform):
    """x = (a, b): a stays, each dimension of b goes through its own monotone spline, whose knots are a function of a.

    Outside [−bound, bound] b stays as it is. Source: Durkan et al. 2019, section 3.
    """

    def __init__(
        self, keep: int, change: int, width: int, depth: int, bins: int, bound: float, classes: int = 0
    ) -> None:
        super().__init__()
        self.keep, self.change, self.bound = keep, change, bound
        self.net = conditioner(keep, (3 * bins - 1) * change, width, depth, classes)

    def _raw(self, a: Tensor) -> Tensor:
        """Unnormalised knots, (3 bins − 1, change, n): the last layer is written transposed, as the kernel wants."""
        last = self.net[-1]
        assert isinstance(last, nn.Linear)
        # Beyond the box nothing is learned: huge inputs must not drive the knots to their extremes.
        h = self.net[:-1](a.clamp(-self.bound, self.bound))
        if takes_onednn(last.weight, h):
            raw = linear(last.weight, h) + last.bias[:, None]
        else:
            raw = torch.addmm(last.bias[:, None], last.weight, h.T)
        return raw.unflatten(0, (-1, self.change))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = x[:, : self.keep], x[:, self.keep :]
        z, log_slope = spline(b.T, self._raw(a), self.bound)
        return torch.cat([a, z.T], dim=1), log_slope.sum(0)

    def inverse(self, z: Tensor) -> Tensor:
        a, b = z[:, : self.keep], z[:, self.keep :]
        return torch.cat([a, spline_inverse(b.T, self._raw(a), self.bound).T], dim=1)


class ElementwiseSpline(DataInitialised):
    """One spline per column, the same for all rows, so that each column alone is close to N(0, 1).

    It is initialised from the data's quantiles and trained with the rest, so that the couplings need only model the
    dependence between columns. Without it the knots must first find a narrow cluster, which takes most of a short
    training. Outside [−bound, bound] it is the identity.
    """

    statistics = "quantiles of each column"

    def __init__(self, d: int, bins: int, bound: float) -> None:
        super().__init__()
        self.bins, self.bound = bins, bound
        self.raw = nn.Parameter(torch.zeros(3 * bins - 1, d))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Set the knots of column i from the quantiles of x[:, i], x (n, d)."""
        # Knots at equal shares of probability: z is the normal quantile of the share, x the data's own.
        normal = torch.distributions.Normal(0.0, 1.0)
        ends = normal.cdf(torch.tensor([-self.bound, self.bound], dtype=torch.float64))
        share = torch.linspace(float(ends[0]), float(ends[1]), self.bins + 1, dtype=torch.float64, device=x.device)
        x_knots = sorted_quantiles(x.double(), share)
        z_knots = normal.icdf(share)[:, None].expand_as(x_knots).clone()
        for knots in (x_knots, z_knots):
            knots[0], knots[-1] = -self.bound, self.bound
        self.raw.copy_(unnormalised(x_knots, z_knots, self.bound))

    def _raw(self, n: int) -> Tensor:
        return self.raw[:, :, None].expand(-1, -1, n)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, log_slope = spline(x.T, self._raw(x.shape[0]), self.bound)
        return z.T, log_slope.sum(0)

    def inverse(self, z: Tensor) -> Tensor:
        return spline_inverse(z.T, self._raw(z.shape[0]), self.bound).T


def sorted_quantiles(x: Tensor, share: Tensor) -> Tensor:
    """Quantiles of each column of x (n, d) at the shares (m,), (m, d); any number of rows."""
    at = share * (len(x) - 1)
    low = at.floor().long()
    x = x.sort(dim=0).values
    return torch.lerp(x[low], x[(low + 1).clamp_max(len(x) - 1)], (at - low)[:, None])


def columns(shape: Shape, name: str, least: int = 2) -> int:
    """d of a vector shape; UserError for images and for too few columns."""
    if len(shape) != 1:
        raise UserError(f"{name} is a flow for vectors and the data are {'×'.join(map(str, shape))} images; use Glow")
    if shape[0] < least:
        raise UserError(f"{name} needs at least {least} columns and the data have {shape[0]}; use MAF for one column")
    return shape[0]


def orders(d: int, layers: int) -> list[list[int]]:
    """How d columns are reordered between layers: reversed for d = 2, else fixed random orders."""
    g = torch.Generator().manual_seed(d)
    return [[1, 0] if d == 2 else torch.randperm(d, generator=g, device="cpu").tolist() for _ in range(layers - 1)]


def alternated(d: int, layers: int, layer: Callable[[], Transform]) -> list[Transform]:
    """Fresh layers with the d columns reordered between them."""
    parts = [layer()]
    for order in orders(d, layers):
        parts += [Permutation(torch.tensor(order)), layer()]
    return parts


def coupled(
    d: int, layers: int, layer: Callable[[], Transform], alone: Callable[[], Transform], classes: int
) -> list[Transform]:
    """`alternated` couplings, each of which changes the last half of d columns.

    With classes, or `Numbers`, `alone` comes first where no coupling would change some column: a layer that changes all
    of them by what is given and nothing else, so that each column's density is one given it.
    """
    parts = alternated(d, layers, layer)
    keep, columns = math.ceil(d / 2), list(range(d))
    changed = set(columns[keep:])
    for order in orders(d, layers):
        columns = [columns[i] for i in order]
        changed |= set(columns[keep:])
    return [alone(), *parts] if classes and len(changed) < d else parts


@dataclass(frozen=True)
class RealNVP(ConditionalSpec):
    """Affine couplings for vectors, columns standardised first."""

    layers: Annotated[int, Among(4, 8, 16)] = 8
    """couplings"""
    width: Annotated[int, Among(64, 128, 256)] = 128
    """units per hidden layer of each coupling's network"""
    depth: int = 2
    """hidden layers of each coupling's network"""
    components: int = field(default=0, metadata={"later": True})
    """of a learned mixture of Gaussians that the couplings end in, instead of one bump; 0 for none"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.components <= MOST:
            raise UserError(f"model.components is {self.components}; give 0, for none, to {MOST:,}")

    def build(self, shape: Shape) -> FlowModel:
        d = columns(shape, "RealNVP")
        keep = math.ceil(d / 2)

        def layer(keep: int = keep) -> Transform:
            return AffineCoupling(keep, conditioner(keep, 2 * (d - keep), self.width, self.depth, self.k))

        couplings = coupled(d, self.layers, layer, lambda: layer(0), self.k)
        last = [ToNormal(d, self.components)] if self.components else []
        return FlowModel(shape, Compose([Standardize(d), *couplings, *last]), classes=self.k)


@dataclass(frozen=True)
class NSF(ConditionalSpec):
    """Rational-quadratic spline couplings for vectors, after standardised columns and an elementwise spline."""

    layers: Annotated[int, Among(2, 3, 5)] = 3
    """couplings"""
    width: Annotated[int, Among(64, 128)] = 64
    """units per hidden layer of each coupling's network"""
    depth: int = 2
    """hidden layers of each coupling's network"""
    bins: Annotated[int, Among(8, 16, 32)] = 16
    """bins of each spline; twice as many in the first, elementwise one"""
    bound: float = 3.0
    """the splines bend within [-bound, bound] standard deviations"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.bound <= LARGEST:
            raise UserError(f"model.bound is {self.bound}; it must be above 0, and at most {LARGEST:,}")

    def build(self, shape: Shape) -> FlowModel:
        d = columns(shape, "NSF")
        keep = math.ceil(d / 2)

        def layer(keep: int = keep) -> Transform:
            return SplineCoupling(keep, d - keep, self.width, self.depth, self.bins, self.bound, self.k)

        first = [Standardize(d), ElementwiseSpline(d, 2 * self.bins, self.bound)]
        couplings = coupled(d, self.layers, layer, lambda: layer(0), self.k)
        return FlowModel(shape, Compose([*first, *couplings]), classes=self.k)
