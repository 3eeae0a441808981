"""Perceptrons."""

from __future__ import annotations

from torch import Tensor, nn

from triptych.core import Shape
from triptych.models.layers.linear import Linear


def perceptron(
    inputs: int, outputs: int, width: int, depth: int, activation: type[nn.Module] = nn.ReLU
) -> nn.Sequential:
    """(n, inputs) to (n, outputs): `depth` hidden layers of `width` units, in PyTorch's default initialisation."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [Linear(inputs, width), activation()]
        inputs = width
    return nn.Sequential(*layers, Linear(inputs, outputs))


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
