"""Layers that are conditioned on the labels at hand, those of `core.labels.given`. No layer is one for no classes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from triptych.core.labels import labels_at_hand, look_up
from triptych.models.layers.linear import Linear

WIDEST = 32
"""Most dimensions of an embedding of classes."""


def width_of(classes: int) -> int:
    """Dimensions of an embedding of so many classes; 0 for none."""
    return min(classes, WIDEST)


class ClassEmbedding(nn.Embedding):
    """A learned vector (`width_of(classes)`) for each class, at first orthogonal ones as far as there is room."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes, width_of(classes))
        nn.init.orthogonal_(self.weight, gain=width_of(classes) ** 0.5)

    def of_rows(self, n: int) -> Tensor:
        """The vectors of n rows' labels, (n, width)."""
        return look_up(self, labels_at_hand(n))


class AppendClass(nn.Module):
    """(n, d) to (n, d + `width_of(classes)`): the embedding of its class behind each row."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.embedding = ClassEmbedding(classes)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.embedding.of_rows(x.shape[0]).to(x.dtype)], 1)


def appended(classes: int) -> list[nn.Module]:
    """`AppendClass`, or nothing for no classes."""
    return [AppendClass(classes)] if classes else []


class ClassAffine(nn.Module):
    """x (1 + g_y) + b_y with a gain and a bias for each class and channel, (n, c, h, w) to the same; 0 at first.

    Behind a normalisation without weights it is conditional batch normalisation: de Vries et al. 2017, "Modulating
    early visual processing by language"; in a generator: Miyato & Koyama 2018.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.gain, self.bias = nn.Embedding(classes, channels), nn.Embedding(classes, channels)
        for part in (self.gain, self.bias):
            nn.init.zeros_(part.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = labels_at_hand(x.shape[0])
        g, b = (look_up(part, y).to(x.dtype)[:, :, None, None] for part in (self.gain, self.bias))
        return torch.addcmul(b, x, 1 + g)


def normalised(channels: int, classes: int, *, batch_norm: bool = True) -> list[nn.Module]:
    """What normalises a generator's layer: batch normalisation with the weights of each class, where there are any.

    Without batch normalisation the classes' gains and biases alone, or nothing.
    """
    if not classes:
        return [nn.BatchNorm2d(channels)] if batch_norm else []
    modulated = ClassAffine(channels, classes)
    return [nn.Sequential(nn.BatchNorm2d(channels, affine=False), modulated)] if batch_norm else [modulated]


class Projection(nn.Module):
    """The critic's last layer, features φ (n, d) to scores w·φ + b + v_y·φ, (n, 1), with a vector v for each class.

    Source: Miyato & Koyama 2018, "cGANs with Projection Discriminator", eq. 5.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.linear = Linear(features, 1)
        self.of_class = nn.Embedding(classes, features)
        nn.init.normal_(self.of_class.weight, 0.0, features**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        v = look_up(self.of_class, labels_at_hand(x.shape[0])).to(x.dtype)
        return self.linear(x) + (v * x).sum(1, keepdim=True)


def score(features: int, classes: int) -> nn.Module:
    """Features (n, d) to scores (n, 1): linear, of classes by `Projection`."""
    return Projection(features, classes) if classes else Linear(features, 1)
