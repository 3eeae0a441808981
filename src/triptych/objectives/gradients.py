"""Gradients of a critic with respect to its inputs, as penalties need them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

Critic = Callable[[Tensor], Tensor]
ScoresAndGradient = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From inputs (n, ...) to the scores (n,) and the gradient of each score at its input (n, ...)."""

compiled: WeakKeyDictionary[nn.Module, ScoresAndGradient] = WeakKeyDictionary()
"""The hook: of a critic that is compiled, what takes the place of differentiating it twice. The compiler fills it."""


def input_gradient(D: Critic, x: Tensor) -> Tensor:
    """∇D(x) at each example, shaped as x (n, ...), differentiable towards D's weights."""
    return scores_and_gradient(D, x)[1]


def scores_and_gradient(D: Critic, x: Tensor) -> tuple[Tensor, Tensor]:
    """Scores D(x), (n,), and ∇D(x), shaped as x (n, ...), from one call of D; both differentiable towards weights."""
    if isinstance(D, nn.Module) and D in compiled:
        return compiled[D](x.detach())
    x = x.detach().requires_grad_()
    scores = D(x).flatten()
    (gradient,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    return scores, gradient


def directional(f: Callable[..., Tensor], at: tuple[Tensor, ...], along: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """f at a point and its derivative along a direction there, by forward differentiation; both differentiable."""
    with warnings.catch_warnings():
        # torch's own first use of it compiles some rules by a function of its own that it calls deprecated
        warnings.filterwarnings("ignore", message=".*torch.jit.script", category=DeprecationWarning)
        return torch.func.jvp(f, at, along)[:2]
