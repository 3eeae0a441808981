"""Linear predictors whose weights or errors are a metric: a lasso of quantities, a logistic regression of classes."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
"""Of the lasso, from the one that leaves no weight."""


def standard(x: Tensor) -> Tensor:
    """Columns of mean 0 and standard deviation 1; constant ones are 0."""
    return (x - x.mean(0)) / x.std(0, correction=0).clamp_min(1e-12)


def chosen_lasso(x: Tensor, y: Tensor) -> Tensor:
    """Lasso weights (d, k) fitted to the first two thirds of x (n, d), y (n, k), the penalty chosen on the last.

    The largest penalty whose error is within one standard error of the least: Breiman et al. 1984, section 3.4.3.
    """
    cut = len(x) * 2 // 3
    w, found = None, []
    for penalty in PENALTIES:
        w = lasso(x[:cut], y[:cut], penalty, 100, w)
        errors = (x[cut:] @ w - y[cut:]).square().mean(1)
        found.append((errors.mean(), errors.std() / len(errors) ** 0.5, w))
    least, error, _ = min(found, key=lambda f: f[0])
    return next(w for value, _, w in found if value <= least + error)


def lasso(x: Tensor, y: Tensor, penalty: float, steps: int = 500, start: Tensor | None = None) -> Tensor:
    """argmin ‖xw − y‖² / 2n + penalty ‖w‖₁ for each column of y, (d, k), by accelerated proximal gradient."""
    gram, cross = x.T @ x / len(x), x.T @ y / len(x)
    rate = 1 / torch.linalg.matrix_norm(gram, 2).clamp_min(1e-12)
    w = v = torch.zeros_like(cross) if start is None else start
    t = 1.0
    for _ in range(steps):
        step = v - rate * (gram @ v - cross)
        new = step.sign() * (step.abs() - rate * penalty).clamp_min(0)
        t_new = (1 + math.sqrt(1 + 4 * t * t)) / 2
        v = new + (t - 1) / t_new * (new - w)
        w, t = new, t_new
    return w


def random_order(n: int) -> Tensor:
    """A fixed random order of n examples. In their own a part of them may be all of one class, as folders are read."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(0))


def linear_accuracy(x: Tensor, y: Tensor) -> float:
    """Held-out accuracy of multinomial logistic regression, trained on a random half of x (n, d), y (n,)."""
    order, half = random_order(len(x)), len(x) // 2
    x, y = x[order], y[order]
    told = logistic(x[:half], y[:half])(x[half:]).argmax(1)
    return (told == y[half:]).double().mean().item()


def logistic(x: Tensor, y: Tensor, decay: float = 1e-4) -> Callable[[Tensor], Tensor]:
    """Multinomial logistic regression by L-BFGS, a little weight decay; returns the function x -> logits."""
    mean, std = x.mean(0), x.std(0, correction=0).clamp_min(1e-12)

    def with_one(x: Tensor) -> Tensor:
        return F.pad((x - mean) / std, (0, 1), value=1.0)

    with torch.enable_grad():
        w = torch.zeros(x.shape[1] + 1, int(y.max()) + 1, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([w], max_iter=100, line_search_fn="strong_wolfe")
        fitted = with_one(x)

        def closure() -> float:
            optimizer.zero_grad()
            loss = F.cross_entropy(fitted @ w, y) + decay * w.square().sum()
            loss.backward()
            return loss.item()

        optimizer.step(closure)
    w.requires_grad_(False)
    return lambda x: with_one(x) @ w
