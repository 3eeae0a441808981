"""The residual pair of the birds study, for 32 px: 1,204,099 and 1,053,825 parameters at full width.

Source: the CIFAR-10 ResNet of Gulrajani et al. 2017, appendix F, with the critic's features summed over space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core import Shape
from triptych.core.model_spec import ConditionalSpec
from triptych.errors import UserError
from triptych.models.families import GANModel
from triptych.models.layers import conv
from triptych.models.layers.conditional import normalised, score
from triptych.models.layers.conv import mean_down, nearest_up, relu, relu_mean_down
from triptych.models.layers.linear import Linear
from triptych.models.layers.mlp import Reshape

Resampling = Literal["intended", "channel-mixing"]


@dataclass(frozen=True)
class ResNetGAN(ConditionalSpec):
    """Generator: three upsampling residual blocks from 4×4 px. Critic: two downsampling and two plain. 32 px only."""

    latent: int = 128
    """latent dimensions"""
    width: int = 128
    """channels throughout"""
    resampling: Resampling = "intended"
    """nearest neighbour up and 2×2 mean down, or the write-up's code, which mixed channels"""
    spectral: bool = False
    """spectral normalisation of the critic's layers"""

    def build(self, shape: Shape) -> GANModel:
        if len(shape) != 3 or shape[1:] != (32, 32):
            raise UserError(
                f"ResNetGAN makes images of 32×32, and these examples have shape {shape}; use --resolution 32"
            )
        c, n, how = shape[0], self.width, self.resampling
        generator = nn.Sequential(
            Linear(self.latent, n * 16),
            Reshape((n, 4, 4)),
            *(BlockUp(n, how, self.k) for _ in range(3)),
            *normalised(n, self.k),
            nn.ReLU(),
            conv.Conv(n, c, 3),
            nn.Tanh(),
        )
        critic = nn.Sequential(
            BlockDown(c, n, how), BlockDown(n, n, how), Block(n), Block(n), SumPool(), score(n, self.k)
        )
        if self.spectral:
            conv.spectral_norm(critic)
        return GANModel(shape, self.latent, generator, critic, self.k)


class BlockUp(nn.Module):
    """(n, c, h, w) to (n, c, 2h, 2w)."""

    def __init__(self, channels: int, resampling: Resampling, classes: int = 0) -> None:
        super().__init__()
        (self.norm1,) = normalised(channels, classes)
        self.conv1 = conv.Conv(channels, channels, 3, bias=False)
        (self.norm2,) = normalised(channels, classes)
        self.conv2 = conv.Conv(channels, channels, 3)
        self.shortcut = conv.Conv(channels, channels, 1)
        self.mixing = resampling == "channel-mixing"

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(relu(self.norm1(x)))
        h = relu(self.norm2(h))
        if self.mixing:
            return self.conv2(mixing_up(h)) + self.shortcut(mixing_up(x))
        # A 1×1 convolution and nearest-neighbour upsampling commute: four times less work in this order.
        return self.conv2.after_upsampling(h) + nearest_up(self.shortcut(x))


class BlockDown(nn.Module):
    """(n, c, h, w) to (n, d, h/2, w/2)."""

    def __init__(self, inputs: int, outputs: int, resampling: Resampling) -> None:
        super().__init__()
        self.conv1 = conv.Conv(inputs, outputs, 3)
        self.conv2 = conv.Conv(outputs, outputs, 3)
        self.shortcut = conv.Conv(inputs, outputs, 1)
        self.mixing = resampling == "channel-mixing"

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(relu(x))
        if self.mixing:
            return self.conv2(mixing_down(relu(h))) + self.shortcut(mixing_down(x))
        return self.conv2(relu_mean_down(h)) + self.shortcut(mean_down(x))


class Block(nn.Module):
    """(n, c, h, w) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = conv.Conv(channels, channels, 3)
        self.conv2 = conv.Conv(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(relu(self.conv1(relu(x)))) + x


class SumPool(nn.Module):
    """(n, c, h, w) to (n, c): ReLU, then the sum over space, in float32."""

    def forward(self, x: Tensor) -> Tensor:
        return relu(x).sum((2, 3), dtype=torch.promote_types(x.dtype, torch.float32))


def mixing_up(x: Tensor) -> Tensor:
    """(n, c, h, w) to (n, c, 2h, 2w), as the write-up's code did.

    Output channel i takes its four sub-pixels from channels (4i + k) mod c.
    """
    return F.pixel_shuffle(x.repeat(1, 4, 1, 1), 2)


def mixing_down(x: Tensor) -> Tensor:
    """(n, c, h, w) to (n, c, h/2, w/2), as the write-up's code did: means of four channels at one sub-pixel."""
    n, c, h, w = x.shape
    return F.pixel_unshuffle(x, 2).view(n, 4, c, h // 2, w // 2).mean(1)
