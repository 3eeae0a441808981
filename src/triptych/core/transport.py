"""How noise becomes codes: what an exported model draws by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Transport:
    """A prior as a function of noise, for programs that draw by themselves."""

    takes: int
    """numbers of N(0, 1) that one code takes"""
    codes: Callable[[Tensor, Tensor | None], Tensor]
    """noise (n, takes), and what the n examples are conditioned on, to codes (n, latent); can be traced"""
    chooses: bool = False
    """whether noise chooses among values, one after another: where rounding decides for another, all after it differ"""


def affine(mean: Tensor, root: Tensor) -> Transport:
    """mean + R ε with mean (latent,), R (latent, latent) and ε ~ N(0, I)."""
    return Transport(len(mean), lambda noise, y: mean + noise @ root.T)
