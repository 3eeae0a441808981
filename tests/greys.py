"""A model with classes that needs no training: pictures of one grey each, and what tells them apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from triptych.core import Conditional, Data, Sampler

GREYS = torch.tensor([0.1, 0.5, 0.9])
NAMES = ("dark", "grey", "light")
N = 90


class Greys(Conditional, Sampler):
    """Pictures of one grey and a little noise: a class each; or the class is left to z."""

    def __init__(self, classes: int = 3, names: tuple[str, ...] = NAMES) -> None:
        super().__init__((1, 4, 4))
        self.latent, self.class_names = 16, names
        self.generator = nn.Linear(1, 1)
        self.use_classes(classes)
        if classes:
            self.frequencies.copy_(torch.tensor([0.2, 0.3, 0.5]))

    def decode(self, z: Tensor, y=None) -> Tensor:
        own = self.labels(y, len(z))
        grey = GREYS[own] if own is not None else torch.full((len(z),), 0.5)
        return (grey[:, None] + 0.03 * z).clamp(0, 1).view(-1, 1, 4, 4)


class Sorts(nn.Module):
    """Tells the class by the mean grey."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = (x.mean((1, 2, 3)) + 1) / 2
        return x.flatten(1), -100 * (mean[:, None] - GREYS).square()


def greys(seed: int) -> Data:
    """Real pictures, thirty of each class."""
    labels = torch.arange(3).repeat(N // 3)
    x = Greys().sample(N, seed=seed, y=labels)
    return Data("greys", (x * 255).round().to(torch.uint8), "test", labels, classes=NAMES)
