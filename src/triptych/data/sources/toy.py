"""Distributions on the plane whose density is known, so that every family can be evaluated against the truth.

All fit into [-3, 3]². The first three are the ones of Gulrajani et al. 2017, "Improved Training of Wasserstein
GANs", with the scalings of its published code.
"""

from __future__ import annotations

import dataclasses
import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from triptych.core import Data, Distribution, Split
from triptych.core.data import InParts
from triptych.core.preparation import Preparation
from triptych.data.source import Source, digest
from triptych.errors import UserError

ROWS = 8192  # points per block when a density sums over many components: bounds memory


def _gaussians(x: Tensor, centres: Tensor, log_weights: Tensor, std: float) -> Tensor:
    """log Σ_k w_k N(x; c_k, std² I) for x (n, d), (n,); float64 inside, because |x − c|² / std² cancels."""
    centres, log_weights = centres.double(), log_weights.double()
    d = centres.shape[1]
    blocks = []
    for block in x.to("cpu", torch.float64).split(ROWS):
        square = (block[:, None, :] - centres[None]).square().sum(-1)
        blocks.append(torch.logsumexp(log_weights - square / (2 * std**2), dim=1))
    out = torch.cat(blocks) - d * math.log(std) - d / 2 * math.log(2 * math.pi)
    return out.to(x.device, x.dtype)


class Mixture(InParts):
    """Gaussians around `modes` (m, d), with `std` in every direction. The density is exact.

    They are equally likely, or have the probabilities `weights` (m,).
    """

    modes: Tensor
    std: float

    def __init__(self, modes: Tensor, std: float, weights: Tensor | None = None) -> None:
        self.modes, self.std, self.weights = modes.float(), std, weights
        self.parts = len(modes)

    def draw_labelled(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        if self.weights is None:
            which = torch.randint(len(self.modes), (n,), generator=generator)
        else:
            which = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        return self.modes[which] + self.std * torch.randn(n, self.modes.shape[1], generator=generator), which

    def log_prob(self, x: Tensor) -> Tensor:
        m = len(self.modes)
        log_w = torch.full((m,), -math.log(m)) if self.weights is None else self.weights.log()
        return _gaussians(x, self.modes, log_w, self.std)


class Turned(Distribution):
    """Another distribution on the plane, turned anticlockwise about the origin: density, modes and draws alike."""

    def __init__(self, inner: Distribution, degrees: float) -> None:
        angle = math.radians(degrees)
        c, s = math.cos(angle), math.sin(angle)
        self.inner = inner
        self.matrix = torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
        """(2, 2): a point x becomes matrix x"""
        self.modes = None if inner.modes is None else (inner.modes.double() @ self.matrix.T).float()
        self.std, self.weights = inner.std, inner.weights

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        return self.turned(self.inner.draw(n, generator))

    def turned(self, x: Tensor) -> Tensor:
        """Points x (n, 2) of the inner distribution, turned."""
        return (x.double() @ self.matrix.T).float()

    def log_prob(self, x: Tensor) -> Tensor:
        # float64 throughout: rounded in float32, points on an edge of the checkerboard would change sides
        return self.inner.log_prob(x.to("cpu", torch.float64) @ self.matrix).to(x.device, x.dtype)


class TurnedInParts(Turned, InParts):
    """One that comes in parts, turned with them."""

    inner: InParts

    def __init__(self, inner: InParts, degrees: float) -> None:
        super().__init__(inner, degrees)
        self.parts = inner.parts

    def draw_labelled(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x, which = self.inner.draw_labelled(n, generator)
        return self.turned(x), which


class Curve(Distribution):
    """A point at uniform u ∈ [0, 1] of a curve plus Gaussian noise: p(x) = ∫ N(x; c(u), noise² I) du.

    The integral is a composite Gauss-Legendre sum of 128 panels with 8 nodes each. The panels are at most a few
    `noise` long; against twice as many nodes the log density moves by less than 1e-6.
    """

    noise: float
    """standard deviation of the noise, in the units of x"""
    panels = 128

    @abstractmethod
    def at(self, u: Tensor) -> Tensor:
        """(n, 2) points of the curve at u (n,); smooth within each panel."""

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        return self.draw_along(n, generator)[0]

    def draw_along(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """n fresh points, (n, 2), and the u (n,) of each."""
        u = torch.rand(n, generator=generator)
        return self.at(u) + self.noise * torch.randn(n, 2, generator=generator), u

    def log_prob(self, x: Tensor) -> Tensor:
        nodes, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(8))
        left = torch.arange(self.panels, dtype=torch.float64)[:, None]
        u = (left + (nodes + 1) / 2) / self.panels
        w = (weights / 2 / self.panels).expand_as(u)
        return _gaussians(x, self.at(u.flatten()), w.log().flatten(), self.noise)


class SwissRoll(Curve):
    """(t cos t, t sin t) / 7.5 with t uniform in [1.5π, 4.5π] and noise 0.25 / 7.5."""

    noise = 0.25 / 7.5

    def at(self, u: Tensor) -> Tensor:
        t = 1.5 * math.pi * (1 + 2 * u)
        return torch.stack([t * t.cos(), t * t.sin()], 1) / 7.5


class Moons(Curve, InParts):
    """Two interleaved half circles of radius 1, centred on the origin, with noise 0.1."""

    noise, parts = 0.1, 2

    def draw_labelled(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x, u = self.draw_along(n, generator)
        return x, (u >= 0.5).long()

    def at(self, u: Tensor) -> Tensor:
        t = (2 * u % 1) * math.pi
        upper = torch.stack([t.cos(), t.sin()], 1)
        lower = torch.stack([1 - t.cos(), 0.5 - t.sin()], 1)
        return torch.where(u[:, None] < 0.5, upper, lower) - torch.tensor([0.5, 0.25], dtype=u.dtype)


class Rings(InParts):
    """Circles of the radii given around `centres`, equally likely, with noise 0.05.

    Exact: a circle of radius R smeared by N(0, s² I) has the density
    exp(−(r² + R²) / 2s²) I₀(rR / s²) / (2π s²) at distance r from the centre.
    """

    noise = 0.05

    def __init__(self, radii: tuple[float, ...], centres: tuple[tuple[float, float], ...]) -> None:
        self.radii, self.centres, self.parts = radii, torch.tensor(centres), len(radii)

    def draw_labelled(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        which = torch.randint(len(self.radii), (n,), generator=generator)
        angle = 2 * math.pi * torch.rand(n, generator=generator)
        circle = torch.tensor(self.radii)[which, None] * torch.stack([angle.cos(), angle.sin()], 1)
        return circle + self.noise * torch.randn(n, 2, generator=generator) + self.centres[which], which

    def log_prob(self, x: Tensor) -> Tensor:
        r = (x.to("cpu", torch.float64)[:, None] - self.centres.double()).norm(dim=2)
        R, s2 = torch.tensor(self.radii, dtype=torch.float64), self.noise**2
        # I₀(a) = exp(a) i0e(a): the exponentials combine to the square of r − R and nothing overflows.
        each = -((r - R) ** 2) / (2 * s2) + torch.special.i0e(r * R / s2).log() - math.log(2 * math.pi * s2)
        return (torch.logsumexp(each, 1) - math.log(len(self.radii))).to(x.device, x.dtype)


class Pinwheel(InParts):
    """Five sheared Gaussian arms: (1 + 0.3 a, 0.1 b) turned by 2πk/5 + 0.25 exp(radius), a, b ~ N(0, 1).

    The set of Johnson et al. 2016 shears by the first coordinate; here the radius does it. The pictures look
    the same, but a turn that depends on the radius alone preserves areas and is undone exactly, so the density is
    the mixture's at the point turned back.
    """

    parts, radial, tangential, rate = 5, 0.3, 0.1, 0.25

    def _turn(self, x: Tensor, angle: Tensor) -> Tensor:
        c, s = angle.cos(), angle.sin()
        return torch.stack([c * x[..., 0] - s * x[..., 1], s * x[..., 0] + c * x[..., 1]], -1)

    def draw_labelled(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        arm = torch.randint(self.parts, (n,), generator=generator)
        x = torch.randn(n, 2, generator=generator) * torch.tensor([self.radial, self.tangential])
        x = x + torch.tensor([1.0, 0.0])
        return self._turn(x, 2 * math.pi / self.parts * arm + self.rate * x.norm(dim=1).exp()), arm

    def log_prob(self, x: Tensor) -> Tensor:
        y = x.to("cpu", torch.float64)[:, None, :]
        arm = torch.arange(self.parts, dtype=torch.float64)
        back = self._turn(y, -(2 * math.pi / self.parts * arm + self.rate * y.norm(dim=2).exp()))
        a, b = (back[..., 0] - 1) / self.radial, back[..., 1] / self.tangential
        area = 2 * math.pi * self.radial * self.tangential * self.parts
        return (torch.logsumexp(-(a**2 + b**2) / 2, 1) - math.log(area)).to(x.device, x.dtype)


class Checkerboard(InParts):
    """Uniform on eight of the sixteen unit squares of [−2, 2]²; the density is 1/8 there, and 0 outside."""

    parts = 8

    def draw_labelled(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        column = torch.randint(4, (n,), generator=generator)
        row = 2 * torch.randint(2, (n,), generator=generator) + column % 2
        corner = torch.stack([column, row], 1).float() - 2
        return corner + torch.rand(n, 2, generator=generator), 2 * column + row // 2

    def log_prob(self, x: Tensor) -> Tensor:
        cell = (x.detach() + 2).floor()
        inside = (cell >= 0).all(1) & (cell < 4).all(1) & (cell.sum(1) % 2 == 0)
        return torch.where(inside, -math.log(8), -math.inf).to(x.dtype)


def ring(m: int = 8) -> Mixture:
    """Mode k at angle 2πk/m. The angles stop one short of the full turn, so the m modes are distinct."""
    angle = 2 * math.pi * torch.arange(m, dtype=torch.float64) / m
    return Mixture(2 / 1.414 * torch.stack([angle.cos(), angle.sin()], 1), 0.02 / 1.414)


def grid() -> Mixture:
    """Modes at (2i, 2j) / 2.828 for i, j = −2 .. 2."""
    side = 2 * torch.arange(-2, 3, dtype=torch.float64)
    return Mixture(torch.cartesian_prod(side, side) / 2.828, 0.05 / 2.828)


def spiral(m: int = 16) -> Mixture:
    """Mode k on the spiral r = θ / 4 at θ = 2 √(k + 1), with a weight proportional to 1 / (k + 1).

    Neighbours are about 0.5 apart, 8 standard deviations. The heaviest mode, in the middle, has 30 % of the points, and
    the lightest 1.8 %: 46 of the 2,500 samples that are looked at.
    """
    k = torch.arange(1, m + 1, dtype=torch.float64)
    angle = 2 * k.sqrt()
    weights = (1 / k) / (1 / k).sum()
    return Mixture((angle / 4)[:, None] * torch.stack([angle.cos(), angle.sin()], 1), 0.06, weights)


@dataclass(frozen=True)
class Toy(Source):
    """Fixed train and test draws of a known distribution; `Data.sample` makes fresh ones."""

    sets_aside: ClassVar[bool] = True
    drawn = True

    distribution: Distribution
    about: str
    train: int = 100_000
    test: int = 50_000

    @property
    def summary(self) -> str:
        return self.about

    @property
    def card(self) -> Mapping[str, Any]:
        return {"licence": "drawn by the program; no terms", "density": "known"}

    def rotated(self, degrees: float) -> Toy:
        about = f"{self.about}, turned by {degrees:g} degrees"
        inner = self.distribution
        turned = TurnedInParts(inner, degrees) if isinstance(inner, InParts) else Turned(inner, degrees)
        return dataclasses.replace(self, distribution=turned, about=about)

    def load(self, name: str, split: Split, how: Preparation) -> Data:
        if how != Preparation():
            raise UserError(f"{name} is a distribution on the plane, not pictures; drop the preparation options")
        wanted = {"train": ["train"], "test": ["test"], "all": ["train", "test"]}[split]
        sizes, seeds = {"train": self.train, "test": self.test}, {"train": 7_001, "test": 7_002}
        law, labels, classes = self.distribution, None, ()
        streams = [(sizes[s], torch.Generator().manual_seed(seeds[s])) for s in wanted]
        if isinstance(law, InParts):
            x, labels = (torch.cat(parts) for parts in zip(*(law.draw_labelled(*s) for s in streams), strict=True))
            classes = tuple(str(k) for k in range(law.parts))
        else:
            x = torch.cat([law.draw(*s) for s in streams])
        about = {"summary": self.about, **self.card}
        return Data(
            name,
            x,
            split,
            labels,
            fingerprint=digest(x),
            distribution=law,
            classes=classes,
            columns=("x", "y"),
            about=about,
        )


SOURCES: dict[str, Source] = {
    "8gaussians": Toy(ring(), "8 Gaussians on a circle of radius 1.414"),
    "25gaussians": Toy(grid(), "25 Gaussians on a 5 x 5 grid"),
    "swissroll": Toy(SwissRoll(), "a spiral with noise"),
    "moons": Toy(Moons(), "two interleaved half circles"),
    "checkerboard": Toy(Checkerboard(), "uniform on the black squares of a 4 x 4 board"),
    "pinwheel": Toy(Pinwheel(), "five sheared Gaussian arms"),
    "rings": Toy(Rings((0.5, 1.0, 1.5, 2.0), 4 * ((0.0, 0.0),)), "four concentric circles"),
    "spiral": Toy(spiral(), "16 Gaussians of unequal weights along a spiral"),
    "links": Toy(Rings((1.2, 1.2), ((-0.7, 0.0), (0.7, 0.0))), "two interlocked rings"),
}
