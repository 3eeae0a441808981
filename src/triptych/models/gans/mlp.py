"""A GAN of two perceptrons, for vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from torch import nn

from triptych.core import ModelSpec, Shape
from triptych.core.search import Among
from triptych.models.families import GANModel
from triptych.models.layers.mlp import Reshape, he_perceptron


@dataclass(frozen=True)
class MLPGAN(ModelSpec):
    """Generator and critic of `depth` hidden layers (the 2-D study: 512 wide, three deep)."""

    latent: int = 2
    """latent dimensions"""
    width: Annotated[int, Among(64, 128, 256)] = 128
    """units per hidden layer"""
    depth: Annotated[int, Among(2, 3, 4)] = 3
    """hidden layers"""

    def build(self, shape: Shape) -> GANModel:
        d = math.prod(shape)
        generator = he_perceptron(self.latent, d, self.width, self.depth)
        if len(shape) == 3:
            generator.append(nn.Tanh())
        generator.append(Reshape(shape))
        critic = nn.Sequential(nn.Flatten(), he_perceptron(d, 1, self.width, self.depth))
        return GANModel(shape, self.latent, generator, critic)
