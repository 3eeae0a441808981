"""What every metric asks of its arrays, and the messages when it is not so."""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from triptych.errors import TooFew, UserError


def double(x: Tensor | ArrayLike) -> Tensor:
    """As a float64 tensor; floats keep their values exactly."""
    return torch.as_tensor(x).detach().to(torch.float64)


def rows(x: Tensor | ArrayLike, what: str, *, least: int = 1, keep_floats: bool = False) -> Tensor:
    """(n, d), finite, n at least `least`; UserError otherwise. More dimensions are flattened per example.

    float64; with `keep_floats` floats keep their type (for arrays too large to double).
    """
    x = torch.as_tensor(x).detach()
    if not (keep_floats and x.is_floating_point()):
        x = x.to(torch.float64)
    if x.dim() < 2:
        raise UserError(f"{what} have shape {tuple(x.shape)}; give one row per example, (n, d)")
    x = x.flatten(1)
    if len(x) < least:
        there = f"is only 1 {what.removesuffix('s')}" if len(x) == 1 else f"are only {len(x)} {what}"
        raise TooFew(f"there {there}; this metric needs at least {least}")
    if bad := sum(int((~torch.isfinite(part)).any(1).sum()) for part in x.split(4096)):
        raise UserError(f"{bad} of {len(x)} {what} hold NaN or infinite numbers; remove or repair them first")
    return x


def pair(
    x: Tensor | ArrayLike, y: Tensor | ArrayLike, *, least: int = 1, keep_floats: bool = False
) -> tuple[Tensor, Tensor]:
    """Two sets of rows of one width, (n, d) and (m, d)."""
    x = rows(x, "real examples", least=least, keep_floats=keep_floats)
    y = rows(y, "generated examples", least=least, keep_floats=keep_floats)
    if x.shape[1] != y.shape[1]:
        raise UserError(
            f"real examples have {x.shape[1]} numbers each, generated ones {y.shape[1]}; compare sets of one shape"
        )
    return x, y


def at_least(least: int, **counts: int) -> None:
    """UserError for a count that is no whole number, or below `least`."""
    for name, value in counts.items():
        if type(value) is not int or value < least:
            raise UserError(f"{name} is {value!r}; it must be a whole number of at least {least}")
