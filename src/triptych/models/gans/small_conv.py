"""A small convolutional pair for 28 and 32 px: two strided layers each way, trained in minutes on a CPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from triptych.core import Shape
from triptych.core.model_spec import ConditionalSpec
from triptych.errors import UserError
from triptych.models.families import GANModel
from triptych.models.layers.conditional import normalised, score
from triptych.models.layers.conv import Conv, Down, LeakyReLU, OneHotLatent, Up
from triptych.models.layers.linear import Linear
from triptych.models.layers.mlp import Reshape


@dataclass(frozen=True)
class ConvGAN(ConditionalSpec):
    """Two 4×4 stride-2 layers in each player; images of any size divisible by 4, of any number of channels.

    The critic has no normalisation, so that every objective may use it, a gradient penalty included.
    """

    latent: int = 64
    """latent dimensions"""
    choices: int = 0
    """values of a discrete latent: the one-hot of the arg-max over as many of the last latent dimensions; 0: none"""
    width: int = 64
    """channels at half size; twice that at a quarter"""
    depth: int = 0
    """3×3 convolutions at a quarter of the size, in each player"""
    norm: Literal["batch", "none"] = "batch"
    """normalisation in the generator"""

    def build(self, shape: Shape) -> GANModel:
        c, h, w = quartered(shape)
        wide, deep = self.width, 2 * self.width
        inner, critic_inner = [], []
        for _ in range(self.depth):
            inner += [Conv(deep, deep, 3), *self.normalised(deep), nn.ReLU()]
            critic_inner += [Conv(deep, deep, 3), LeakyReLU()]
        generator = nn.Sequential(
            *discrete_latent(self.choices, self.latent),
            Linear(self.latent, deep * (h // 4) * (w // 4)),
            Reshape((deep, h // 4, w // 4)),
            *self.normalised(deep),
            nn.ReLU(),
            *inner,
            Up(deep, wide),
            *self.normalised(wide),
            nn.ReLU(),
            Up(wide, c),
            nn.Tanh(),
        )
        critic = nn.Sequential(
            Down(c, wide),
            LeakyReLU(),
            Down(wide, deep),
            LeakyReLU(),
            *critic_inner,
            nn.Flatten(),
            score(deep * (h // 4) * (w // 4), self.k),
        )
        return GANModel(shape, self.latent, generator, critic, self.k)

    def normalised(self, channels: int) -> list[nn.Module]:
        """What normalises a layer of the generator."""
        return normalised(channels, self.k, batch_norm=self.norm == "batch")


def discrete_latent(choices: int, latent: int) -> list[nn.Module]:
    """`OneHotLatent` of so many values, or nothing for 0; UserError unless a continuous dimension is left beside it."""
    if choices == 1 or choices >= max(latent, 1):
        raise UserError(
            f"a discrete latent of {choices} values does not fit {latent} latent dimensions; "
            f"set --model.choices to 0, or from 2 to "
            f"{max(latent - 1, 2)}, or raise --model.latent"
        )
    return [OneHotLatent(choices)] if choices else []


def quartered(shape: Shape) -> tuple[int, int, int]:
    """(c, h, w) of an image shape whose sides can be halved twice; UserError for another."""
    if len(shape) != 3:
        raise UserError(f"ConvGAN makes images, and these examples have shape {shape}; use MLPGAN for vectors")
    c, h, w = shape
    if h % 4 or w % 4:
        raise UserError(
            f"ConvGAN halves the image twice, and {h}×{w} is not divisible by 4; choose --resolution 28 or 32"
        )
    return c, h, w
