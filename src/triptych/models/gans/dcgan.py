"""DCGANs from 16 px up: the 64 px pair of the z = 10 studies, about 11.2 and 11.0 million parameters.

Source: Radford et al. 2016, figure 1; without biases, weights drawn from N(0, 0.02).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from triptych.core import Shape
from triptych.core.model_spec import ConditionalSpec
from triptych.errors import UserError
from triptych.models.families import GANModel
from triptych.models.layers.conditional import Projection, normalised
from triptych.models.layers.conv import Down, LeakyReLU, Up, spectral_norm
from triptych.models.layers.linear import Linear


@dataclass(frozen=True)
class DCGAN(ConditionalSpec):
    """4×4 layers that double the side from 4×4 px up to the image's in the generator, and halve it in the critic."""

    latent: int = 10
    """latent dimensions"""
    width: int = 128
    """channels at half the image's size; twice that at each halving"""
    norm: Literal["both", "generator", "none"] = "both"
    """players with batch normalisation; a critic under a gradient penalty can have none"""
    spectral: bool = False
    """spectral normalisation of the critic's layers"""

    def build(self, shape: Shape) -> GANModel:
        c, widths = shape[0], self.widths(shape)
        top = widths[-1]
        generator: list[nn.Module] = [Project(self.latent, top), *self.after(top, "generator")]
        for deep, wide in zip(reversed(widths[1:]), reversed(widths[:-1]), strict=True):
            generator += [Up(deep, wide, bias=False), *self.after(wide, "generator")]
        generator += [Up(widths[0], c, bias=False), nn.Tanh()]

        critic: list[nn.Module] = [Down(c, widths[0], bias=False), LeakyReLU()]
        for wide, deep in itertools.pairwise(widths):
            critic += [Down(wide, deep, bias=False), *self.after(deep, "critic")]
        critic += [Flat4x4(), Projection(16 * top, self.k)] if self.k else [Score(top)]

        model = GANModel(shape, self.latent, nn.Sequential(*generator), nn.Sequential(*critic), self.k)
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                nn.init.normal_(layer.weight, 0.0, 0.02)
        if self.spectral:
            spectral_norm(model.critic)
        return model

    def widths(self, shape: Shape) -> list[int]:
        """Channels at half the side, a quarter, ... down to 4×4."""
        side = shape[-1]
        if len(shape) != 3 or shape[1] != side or side < 16 or side & (side - 1):
            raise UserError(
                f"DCGAN makes square images with a side of 16, 32, 64, ..., and these examples have shape {shape}; "
                "choose --resolution 32 or 64"
            )
        return [self.width * 2**i for i in range(side.bit_length() - 3)]

    def after(self, channels: int, player: Literal["generator", "critic"]) -> list[nn.Module]:
        """What follows a layer of that player: normalisation, where asked for, and the rectifier."""
        batch_norm = self.norm == "both" or self.norm == player
        if player == "generator":
            return [*normalised(channels, self.k, batch_norm=batch_norm), nn.ReLU()]
        return [*normalised(channels, 0, batch_norm=batch_norm), LeakyReLU()]


class Project(nn.Module):
    """z (n, d) to (n, c, 4, 4): a transposed 4×4 convolution of one pixel, which is a matrix product."""

    def __init__(self, latent: int, channels: int) -> None:
        super().__init__()
        self.linear = Linear(latent, 16 * channels, bias=False)

    def forward(self, z: Tensor) -> Tensor:
        return self.linear(z).view(z.shape[0], 4, 4, -1).permute(0, 3, 1, 2)


class Flat4x4(nn.Module):
    """(n, c, 4, 4) to (n, 16 c), as `Score` has it."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


class Score(nn.Module):
    """(n, c, 4, 4) to (n, 1): a 4×4 convolution to one pixel, which is a matrix product."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = Linear(16 * channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.permute(0, 2, 3, 1).flatten(1))
