"""Perceptrons for vectors (and small pictures, flattened)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from triptych.core import ModelSpec, Shape
from triptych.models import GANModel


def perceptron(
    inputs: int, outputs: int, width: int, depth: int, activation: type[nn.Module] = nn.ReLU
) -> nn.Sequential:
    """`depth` hidden layers of `width` units, in PyTorch's default initialisation."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(inputs, width), activation()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def he_perceptron(inputs: int, outputs: int, width: int, depth: int) -> nn.Sequential:
    """`perceptron` with rectifiers in He initialisation, biases 0."""
    net = perceptron(inputs, outputs, width, depth)
    for m in net:
        if isinstance(m, nn.Linear):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            nn.init.zeros_(m.bias)
    return net


class Reshape(nn.Module):
    """(n, d) to (n, *shape)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.view(-1, *self.shape)


@dataclass(frozen=True)
class MLPGAN(ModelSpec):
    """Generator and critic of `depth` hidden layers (the 2-D study: 512 wide, three deep)."""

    latent: int = 2
    """numbers in z"""
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
