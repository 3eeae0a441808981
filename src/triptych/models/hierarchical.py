"""A variational autoencoder whose latent dimensions come in groups, from the coarsest resolution to the finest.

Sources: Sønderby et al. 2016, "Ladder Variational Autoencoders"; Child 2021, "Very Deep VAEs Generalize Autoregressive
Models and Can Outperform Them on Images".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core import ModelSpec, Shape, to_inner
from triptych.core.checks import check_examples
from triptych.core.labels import Asked
from triptych.core.search import Among
from triptych.core.share import draw
from triptych.errors import UserError
from triptych.models.layers.linear import Linear
from triptych.models.observed import Inferring, Observed, Scale, outputs

BOUND = 5.0
"""Of the logarithms of a group's two scales: what the prior gives its noise, and what the posterior leaves of it."""


def bounded(x: Tensor) -> Tensor:
    """x where it is small, and never beyond ±`BOUND`."""
    return BOUND * torch.tanh(x / BOUND)


class Bottleneck(nn.Module):
    """(n, inputs, h, w) to (n, outputs, h, w) by a 3×3 convolution between two 1×1 ones; added to x where `add`."""

    def __init__(self, inputs: int, outputs: int, middle: int, *, add: bool = False, gain: float = 1.0) -> None:
        super().__init__()
        self.add = add
        last = nn.Conv2d(middle, outputs, 1)
        with torch.no_grad():
            last.weight.mul_(gain)
            assert last.bias is not None
            last.bias.zero_()
        self.net = nn.Sequential(
            nn.SiLU(), nn.Conv2d(inputs, middle, 1), nn.SiLU(), nn.Conv2d(middle, middle, 3, padding=1), nn.SiLU(), last
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.net(x) if self.add else self.net(x)


class Group(nn.Module):
    """One group of latent dimensions at one resolution: noise ε (n, k, h, w) enters the state h (n, c, h, w).

    Prior and posterior are Gaussian, given all groups before: z = m(h) + s(h) ε with ε ~ N(0, 1) under the prior, and
    ε ~ N(μ(h, x), σ(h, x)²) under the posterior. So the KL is that between the two laws of ε.
    """

    def __init__(self, width: int, channels: int, gain: float) -> None:
        super().__init__()
        middle = max(width // 2, 1)
        self.channels = channels
        self.before = Bottleneck(width, width, middle, add=True, gain=gain)
        self.prior = nn.Conv2d(width, 2 * channels, 1)
        self.posterior = Bottleneck(2 * width, 2 * channels, middle, gain=0.1)
        self.enter = nn.Conv2d(channels, width, 1)
        self.after = Bottleneck(width, width, middle, add=True, gain=gain)

    def forward(self, h: Tensor, noise: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The state after this group, and μ and log σ side by side where features `seen` of x are given.

        `noise` is ε, or with `seen` what ε is drawn with.
        """
        h, found = self.before(h), None
        if seen is not None:
            mu, log_sigma = self.posterior(torch.cat([h, seen], 1)).to(noise.dtype).chunk(2, 1)
            log_sigma = bounded(log_sigma)
            noise = mu + log_sigma.exp() * noise
            found = torch.cat([mu.flatten(1), log_sigma.flatten(1)], 1)
        m, log_s = self.prior(h).to(noise.dtype).chunk(2, 1)
        return self.after(h + self.enter(m + bounded(log_s).exp() * noise)), found


def to_pixels(width: int, patch: int, out: int) -> list[nn.Module]:
    """Layers from (n, width, s, s) to (n, out, s · patch, s · patch). The last smooths over the edges of patches."""
    fine = max(width // 4, 4)
    return [
        nn.SiLU(),
        nn.Conv2d(width, fine * patch**2, 3, padding=1),
        nn.PixelShuffle(patch),
        nn.SiLU(),
        nn.Conv2d(fine, out, 3, padding=1),
    ]


class BottomUp(nn.Module):
    """Inner images to features (n, width, s, s) at each resolution, the coarsest first."""

    def __init__(self, channels: int, width: int, patch: int, levels: int, blocks: int) -> None:
        super().__init__()
        gain = 1 / math.sqrt(levels * blocks)
        self.enter = nn.Sequential(nn.PixelUnshuffle(patch), nn.Conv2d(channels * patch**2, width, 3, padding=1))
        self.levels = nn.ModuleList(
            nn.Sequential(*(Bottleneck(width, width, max(width // 2, 1), add=True, gain=gain) for _ in range(blocks)))
            for _ in range(levels)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        h, found = self.enter(x), []
        for i, level in enumerate(self.levels):
            h = level(F.avg_pool2d(h, 2) if i else h)
            found.append(h)
        return tuple(found[::-1])


class TopDown(nn.Module):
    """Noise (n, latent), group by group, to the parameters of p(x|z); with features of x also its posterior.

    The first group has no place: it is a vector. The others are maps at sides that double.
    """

    def __init__(
        self, sides: tuple[int, ...], width: int, top: int, groups: int, channels: int, patch: int, out: int
    ) -> None:
        super().__init__()
        self.sides, self.width, self.top = sides, width, top
        gain = 1 / math.sqrt(len(sides) * groups)
        self.start = nn.Parameter(torch.zeros(1, width, sides[0], sides[0]))
        self.first = Linear(top, width * sides[0] ** 2)
        self.first_posterior = Linear(width, 2 * top)
        self.levels = nn.ModuleList(nn.ModuleList(Group(width, channels, gain) for _ in range(groups)) for _ in sides)
        self.leave = nn.Sequential(*to_pixels(width, patch, out))
        self.sizes = (top, *(channels * s * s for s in sides for _ in range(groups)))

    def forward(self, noise: Tensor, seen: tuple[Tensor, ...] | None = None) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        """y, or y, μ and log σ, (n, latent) each, where features `seen` are given; see `Group`."""
        first, *others = noise.split(list(self.sizes), 1)
        found = []
        if seen is not None:
            mu, log_sigma = self.first_posterior(seen[0].mean((2, 3))).to(noise.dtype).chunk(2, 1)
            log_sigma = bounded(log_sigma)
            first = mu + log_sigma.exp() * first
            found.append((mu, log_sigma))
        h = self.start + self.first(first).reshape(-1, self.width, self.sides[0], self.sides[0])
        i = 0
        for level, (side, groups) in enumerate(zip(self.sides, self.levels, strict=True)):
            if level:
                h = F.interpolate(h, scale_factor=2.0, mode="nearest")
            assert isinstance(groups, nn.ModuleList)
            for group in groups:
                assert isinstance(group, Group)
                e = others[i].reshape(-1, group.channels, side, side)
                h, own = group(h, e, None if seen is None else seen[level])
                i += 1
                if own is not None:
                    found.append(own.chunk(2, 1))
        y = self.leave(h)
        if seen is None:
            return y
        mu, log_sigma = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
        return y, mu, log_sigma


class HierarchicalVAEModel(Inferring):
    """z (n, latent) is the noise of all groups, N(0, I) under the prior, whatever scale a group gives its own.

    `encode` gives each group's posterior mean at the means of those before it, and `decode` of that the round trip.
    """

    beyond = 0.1
    decoder: TopDown

    @property
    def groups(self) -> tuple[int, ...]:
        return self.decoder.sizes

    def infer(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        noise = draw(lambda n: torch.randn(n, self.latent, dtype=x.dtype, device=x.device), len(x))
        return self.decoder(noise, self.encoder(x))

    def observe(self, codes: Tensor, spread: Tensor | float, mse: Tensor) -> None:
        """The noise variance alone: samples come from the prior, and nothing is fitted to codes."""
        self.observe_error(mse)

    def encode(self, x: Tensor, y: Asked = None) -> Tensor:
        check_examples(self, x)
        with self.given(y, x.shape[0]):
            inner = to_inner(x)
            return self.decoder(inner.new_zeros(x.shape[0], self.latent), self.encoder(inner))[1]


@dataclass(frozen=True)
class HierarchicalVAE(ModelSpec):
    """A small hierarchical VAE for square images of 16 px or more: a vector, then maps from coarse to fine."""

    width: Annotated[int, Among(32, 64, 96)] = 64
    """channels of all features"""
    groups: int = 2
    """groups of latent dimensions at each resolution"""
    channels: int = 4
    """latent channels of a group"""
    top: int = 32
    """dimensions of the first group, which has no place in the picture"""
    patch: int = 2
    """side in pixels of what one place of the finest group stands for"""
    blocks: int = 2
    """residual blocks of the encoder at each resolution"""
    scale: Scale = "set"
    """a learned scale of p(x|z) for the whole set, or from the decoder for each pixel or each picture"""

    def build(self, shape: Shape) -> Observed:
        if len(shape) != 3 or shape[1] != shape[2]:
            raise UserError(f"HierarchicalVAE needs square images and got shape {tuple(shape)}; give --resolution 32")
        side, p = shape[1], self.patch
        if side % p or side // p < 8 or side // p % 2:
            raise UserError(
                f"images of {side} px have no two resolutions of patches of {p}×{p}; choose another --model.patch, or "
                "--resolution 28, 32 or 64"
            )
        sides = [side // p]
        while sides[0] % 2 == 0 and sides[0] > 4:
            sides.insert(0, sides[0] // 2)
        encoder = BottomUp(shape[0], self.width, p, len(sides), self.blocks)
        out = outputs(shape, self.scale)[0]
        decoder = TopDown(tuple(sides), self.width, self.top, self.groups, self.channels, p, out)
        return HierarchicalVAEModel(shape, sum(decoder.sizes), encoder, decoder, scale=self.scale)
