"""What every metric asks of its arrays, and the messages when it is not so."""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from triptych.errors import UserError


def double(x: Tensor | ArrayLike) -> Tensor:
    """As a float64 tensor; floats keep their values exactly."""
    return torch.as_tensor(x).detach().to(torch.float64)


def rows(x: Tensor | ArrayLike, what: str, least: int = 1) -> Tensor:
    """(n, d) float64, finite, n at least `least`; UserError otherwise. More dimensions are flattened per example."""
    x = double(x)
    if x.dim() < 2:
        raise UserError(f"{what} have shape {tuple(x.shape)}; give one row per example, (n, d)")
    x = x.flatten(1)
    if len(x) < least:
        raise UserError(f"there are only {len(x)} {what}; this metric needs at least {least}")
    if bad := int((~torch.isfinite(x)).any(1).sum()):
        raise UserError(f"{bad} of {len(x)} {what} hold NaN or infinite numbers; remove or repair them first")
    return x


def pair(x: Tensor | ArrayLike, y: Tensor | ArrayLike, least: int = 1) -> tuple[Tensor, Tensor]:
    """Two sets of rows of one width."""
    x, y = rows(x, "real examples", least), rows(y, "generated examples", least)
    if x.shape[1] != y.shape[1]:
        raise UserError(
            f"real examples have {x.shape[1]} numbers each, generated ones {y.shape[1]}; compare sets of one shape"
        )
    return x, y
