"""A residual pair whose channels double as the side halves: most of its weights work where pictures are small.

A width that is the same at all sides spends the time at full resolution, and leaves a narrow critic too weak to tell
shapes. Sources: the blocks of Gulrajani et al. 2017, appendix F; the doubling of Radford et al. 2016 and of Karras et
al. 2018, "Progressive Growing of GANs", table 2; no normalisation in the critic, whose gradients are penalised.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from triptych.core import Shape
from triptych.core.model_spec import ConditionalSpec
from triptych.errors import UserError
from triptych.models.families import GANModel
from triptych.models.gans.dcgan import Flat4x4, Project
from triptych.models.layers import conv
from triptych.models.layers.conditional import normalised, score
from triptych.models.layers.conv import mean_down, nearest_up, relu, relu_mean_down


@dataclass(frozen=True)
class PyramidGAN(ConditionalSpec):
    """Residual blocks from 4×4 px up to the side of the images, a power of two from 16 on, and back in the critic."""

    latent: int = 128
    """latent dimensions"""
    width: int = 32
    """channels at the side of the images; twice as many at each halving, up to sixteen times"""

    def build(self, shape: Shape) -> GANModel:
        side = shape[-1]
        if len(shape) != 3 or shape[1] != side or side < 16 or side & (side - 1):
            raise UserError(
                f"PyramidGAN makes square images with a side of 16, 32, 64, ..., and these examples have shape "
                f"{shape}; choose --resolution 32 or 64"
            )
        c = shape[0]
        widths = [self.width * min(2**i, 16) for i in range(side.bit_length() - 2)]
        top = widths[-1]
        generator = nn.Sequential(
            Project(self.latent, top),
            *(Enlarge(a, b, self.k) for a, b in pairwise(widths[::-1])),
            *normalised(widths[0], self.k),
            nn.ReLU(),
            conv.Conv(widths[0], c, 3),
            nn.Tanh(),
        )
        critic = nn.Sequential(
            conv.Conv(c, widths[0], 3),
            *(Halve(a, b) for a, b in pairwise(widths)),
            Rectified(),
            Flat4x4(),
            score(16 * top, self.k),
        )
        return GANModel(shape, self.latent, generator, critic, self.k)


class Enlarge(nn.Module):
    """(n, a, h, w) to (n, b, 2h, 2w)."""

    def __init__(self, inputs: int, outputs: int, classes: int) -> None:
        super().__init__()
        (self.norm1,) = normalised(inputs, classes)
        self.conv1 = conv.Conv(inputs, outputs, 3, bias=False)
        (self.norm2,) = normalised(outputs, classes)
        self.conv2 = conv.Conv(outputs, outputs, 3)
        self.shortcut = conv.Conv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(relu(self.norm1(x)))
        h = self.conv2.after_upsampling(relu(self.norm2(h)))
        return h + nearest_up(self.shortcut(x))


class Halve(nn.Module):
    """(n, a, h, w) to (n, b, h/2, w/2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = conv.Conv(inputs, inputs, 3)
        self.conv2 = conv.Conv(inputs, outputs, 3)
        self.shortcut = conv.Conv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(relu(x))
        return self.conv2(relu_mean_down(h)) + self.shortcut(mean_down(x))


class Rectified(nn.Module):
    """ReLU, in float32 at least, as the score is."""

    def forward(self, x: Tensor) -> Tensor:
        return relu(x).to(torch.promote_types(x.dtype, torch.float32))
