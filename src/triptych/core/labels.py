"""Labels that examples are made to."""

from __future__ import annotations

import torch
from torch import Tensor

CLASSES = 1_000
"""The most classes that a model is conditioned on."""


def draw_labels(frequencies: Tensor, n: int, seed: int) -> Tensor:
    """n class numbers drawn at the given frequencies (K,), which need not sum to one: (n,) int64, on the CPU.

    The same seed gives the same labels; what else is drawn from that seed has numbers of its own.
    """
    generator = torch.Generator().manual_seed(seed ^ 0x1ABE1)
    return torch.multinomial(frequencies.double(), n, replacement=True, generator=generator)
