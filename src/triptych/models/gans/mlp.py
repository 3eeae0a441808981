"""A GAN of two perceptrons, for vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

from triptych.core import ModelSpec, Shape
from triptych.models.families import GANModel
from triptych.models.layers.mlp import Reshape, he_perceptron


@dataclass(frozen=True)
class MLPGAN(ModelSpec):
    """Generator and critic of `depth` hidden layers (the 2-D study: 512 wide, three deep)."""

    latent: int = 2
    """latent dimensions"""
    width: int = 128
    """units per hidden layer"""
    depth: int = 3
    """hidden layers"""

    def build(self, shape: Shape) -> GANModel:
        d = math.prod(shape)
        generator = he_perceptron(self.latent, d, self.width, self.depth)
        if len(shape) == 3:
            generator.append(nn.Tanh())
        generator.append(Reshape(shape))
        critic = nn.Sequential(nn.Flatten(), he_perceptron(d, 1, self.width, self.depth))
        return GANModel(shape, self.latent, generator, critic)
