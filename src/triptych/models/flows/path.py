"""The path from noise to data that continuous flows learn, and what their networks see of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from triptych.core import Conditional, Sampler, Shape, to_public
from triptych.core.labels import Asked
from triptych.core.model import Stepwise
from triptych.core.share import uniform_like
from triptych.models.layers.inference import Network, in_bfloat16

NEAREST = 3e-3
"""Distance from both ends of time, 0 and 1, beyond which networks are not told a difference."""


class Scaled(Conditional, Sampler, Stepwise):
    """Abstract base of models that learn the path x_t = (1 − t) z + t x from noise z to scaled data x.

    Inside, data have mean 0 and standard deviation 1: vectors column by column, images as a whole. `fit` sets that,
    and the range of the data. `flow` is the network F(x_t / r, t), with r² = (1 − t)² + t²; what it learns has a
    variance of 1 at all times:

        F = ((1 − t) x − t z) / r,   so that the guess of x is   D = (t x_t + (1 − t) r F) / r²

    and the velocity (D − x_t) / (1 − t) = ((2 t − 1) x_t + r F) / r² has no pole at t = 1. The formula moves points
    to the guess; the network only says where that is. Source of the preconditioning: Karras et al. 2022, "Elucidating
    the Design Space of Diffusion-Based Generative Models", table 1, with σ = (1 − t) / t and a data deviation of 1.
    """

    sampling = ("flow",)
    halved: Network | None = None
    """what passes are made by now instead of `flow`: in bfloat16"""
    centre: Tensor
    scale: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, shape: Shape, flow: nn.Module, moved: Shape | None = None, classes: int = 0) -> None:
        """`moved` is the shape of what is moved; default: an example."""
        super().__init__(shape)
        self.moved = tuple(shape) if moved is None else tuple(moved)
        self.latent = math.prod(self.moved)
        self.flow = flow
        k = 1 if moved is None and len(shape) == 3 else self.latent
        for name, value in (("centre", 0.0), ("scale", 1.0), ("low", -math.inf), ("high", math.inf)):
            self.register_buffer(name, torch.full((k,), value))
        self.use_classes(classes)

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Scale and range of inner examples x (n, *shape)."""
        flat = x.reshape(-1, self.centre.shape[0]).double()
        self.centre.copy_(flat.mean(0))
        self.scale.copy_(flat.std(0).clamp_min(1e-12))
        if len(self.shape) == 1:
            self.low.copy_((flat.amin(0) - self.centre) / self.scale)
            self.high.copy_((flat.amax(0) - self.centre) / self.scale)
        else:
            self.low.copy_((-1 - self.centre) / self.scale)
            self.high.copy_((1 - self.centre) / self.scale)

    def scaled(self, x: Tensor) -> Tensor:
        """Inner examples (n, *shape) to scaled, flat ones (n, d)."""
        return (x.flatten(1) - self.centre) / self.scale

    def unscaled(self, x: Tensor) -> Tensor:
        """Scaled, flat examples (n, d) to public ones."""
        return to_public((x * self.scale + self.centre).reshape(-1, *self.shape))

    def network(self, seen: Tensor, *times: Tensor) -> Tensor:
        """F of flat x_t / r (n, d), flat, at times (n, 1)."""
        through = self.halved or self.flow
        return through(seen.reshape(-1, *self.moved), *times).flatten(1).to(seen.dtype)

    def sample(self, n: int, seed: int = 0, temperature: float = 1.0, batch: int = 256, y: Asked = None) -> Tensor:
        """As every model's; with `brief` in bfloat16, which `decode` and `encode` never are: they invert each other."""
        if self.brief and self.autocast_modules():
            self.halved = in_bfloat16(self.flow, self.device.type)
        try:
            return super().sample(n, seed, temperature, batch, y)
        finally:
            self.halved = None

    def mix(self, x: Tensor, z: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """x_t / r and the F that belongs to data x, noise z (n, d) and times t (n, 1)."""
        r = radius(t)
        return ((1 - t) * z + t * x) / r, ((1 - t) * x - t * z) / r

    def autocast_modules(self) -> list[nn.Module]:
        """Networks for images; perceptrons stay float32."""
        return list(self.children()) if len(self.shape) == 3 else []


def radius(t: Tensor) -> Tensor:
    """r = ((1 − t)² + t²)^½: the standard deviation of x_t."""
    return ((1 - t).square() + t.square()).sqrt()


def dequantised(x: Tensor, levels: int = 256) -> Tensor:
    """Inner images of whole grey levels with uniform noise that fills each level, on [−1, 1); vectors unchanged."""
    if x.dim() != 4:
        return x
    k = ((x + 1) * ((levels - 1) / 2)).round()
    return (k + uniform_like(x).clamp_max(1 - 2**-16)) * (2 / levels) - 1


def column_of(t: Tensor, frequencies: Sequence[float]) -> Tensor:
    """What networks see of times t (n, 1): the log of noise over signal, and its sines and cosines."""
    t = t.clamp(NEAREST, 1 - NEAREST)
    level = torch.log((1 - t) / t)
    angles = torch.cat(
        [level * each for each in frequencies], 1
    )  # no new tensor: the body of a loop in a graph has none
    return torch.cat([level / 4, angles.sin(), angles.cos()], 1)
