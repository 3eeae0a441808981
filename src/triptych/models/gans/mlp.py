"""A GAN of two perceptrons, for vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from torch import nn

from triptych.core import Shape
from triptych.core.model_spec import ConditionalSpec
from triptych.core.search import Among
from triptych.models.families import GANModel
from triptych.models.layers.conditional import appended, width_of
from triptych.models.layers.mlp import Reshape, he_perceptron


@dataclass(frozen=True)
class MLPGAN(ConditionalSpec):
    """Generator and critic of `depth` hidden layers (the 2-D study: 512 wide, three deep)."""

    latent: int = 2
    """latent dimensions"""
    width: Annotated[int, Among(64, 128, 256)] = 128
    """units per hidden layer"""
    depth: Annotated[int, Among(2, 3, 4)] = 3
    """hidden layers"""

    def build(self, shape: Shape) -> GANModel:
        d, e = math.prod(shape), width_of(self.k)
        generator = nn.Sequential(*appended(self.k), *he_perceptron(self.latent + e, d, self.width, self.depth))
        if len(shape) == 3:
            generator.append(nn.Tanh())
        generator.append(Reshape(shape))
        critic = nn.Sequential(nn.Flatten(), *appended(self.k), he_perceptron(d + e, 1, self.width, self.depth))
        return GANModel(shape, self.latent, generator, critic, self.k)
