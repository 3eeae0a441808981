"""What a second stage of an autoencoder is: a density of codes that is fitted to those of the training examples.

`second_stage.py` has those that there are; the models that are sampled from one are in `families.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn

from triptych.core.labels import Numbers, labels_at_hand
from triptych.core.transport import Transport

Codes = Literal["prior", "gaussian", "mixture", "flow"]
"""What samples are decoded from: the prior, or a density fitted to the codes of the training examples."""


class CodeSampler(nn.Module, ABC):
    """Abstract base: a density of codes, fitted once the networks are trained. See `second_stage.py`.

    With classes, or `Numbers`, it is one given these: it is called inside `given(y)`, as networks are.
    """

    fitted: Tensor
    """() bool: whether it was fitted to the codes that the networks give now"""
    few: int = 0
    """how many classes had too few codes in the last fit for a shape of their own"""

    def __init__(self, classes: int = 0) -> None:
        super().__init__()
        self.numbers = int(classes) if isinstance(classes, Numbers) else 0
        self.classes = classes - self.numbers
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))

    def fit(self, z: Tensor, seed: int) -> None:
        """Learn from codes z (n, latent), and draw them from then on."""
        self.learn(z, seed)
        self.fitted.fill_(True)

    def at_hand(self, n: int) -> Tensor | None:
        """What n codes are given, as `labels_at_hand`; None of a density that is given nothing."""
        return labels_at_hand(n) if self.classes or self.numbers else None

    @abstractmethod
    def learn(self, z: Tensor, seed: int) -> None:
        """What `fit` does."""

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """n codes, (n, latent): what `transport` makes of noise."""
        how = self.transport()
        noise = torch.randn(n, how.takes, generator=generator, device=generator.device)
        return how.codes(noise.to(self.fitted.device), None)

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """Nats per code, (n,) float64."""

    @abstractmethod
    def transport(self) -> Transport:
        """How noise becomes codes, inside `given` where there are classes or numbers."""
