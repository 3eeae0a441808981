"""Slopes of a critic with respect to its inputs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Slopes = Callable[[Tensor], tuple[Tensor, Tensor]]


_compiled: dict[nn.Module, Slopes] = {}
"""Of the players being trained; `leave` empties it."""


def slopes(D: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Scores of D, (n,), and the gradient ∇D towards each example, shaped as x; both differentiable in the weights."""
    if isinstance(D, nn.Module) and D in _compiled:
        return _compiled[D](x.detach())
    x = x.detach().requires_grad_()
    scores = D(x).flatten()
    (slope,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    return scores, slope
