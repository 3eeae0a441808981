"""The share of a batch that is computed here and now: on one of several devices, or as one of several parts in turn.

A recipe's batch is the whole one, whatever computes it. Its examples are cut into equal shares, and everything that
is per example, noise too, is that of the whole batch: every share draws the whole batch's random numbers and keeps its
own, so that the generators of all devices stay alike. What mixes the examples of a batch asks `mean` for it.
Without shares each function is the plain call of PyTorch, to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from triptych.errors import UserError


@dataclass(frozen=True)
class Share:
    """Examples index · n to (index + 1) · n of a batch of `of` · n."""

    index: int = 0
    of: int = 1
    total: Callable[[Tensor], Tensor] | None = None
    """the sum of a tensor over all shares, differentiable; None where they are computed in turn and never meet"""


class Parted(UserError):
    """A loss needs the whole batch at once, and the batch is computed in parts."""


_now = Share()


def current() -> Share:
    """What is being computed now; the whole batch unless a training says otherwise."""
    return _now


@contextmanager
def computing(share: Share) -> Iterator[None]:
    """Inside it calls are about this share of a batch."""
    global _now
    before, _now = _now, share
    try:
        yield
    finally:
        _now = before


def draw(make: Callable[[int], Tensor], n: int, dim: int = 0) -> Tensor:
    """Random numbers for n examples along `dim`: those among `make`'s for the whole batch that are ours."""
    if _now.of == 1:
        return make(n)
    return make(n * _now.of).narrow(dim, n * _now.index, n)


def normal_like(x: Tensor) -> Tensor:
    """`torch.randn_like` for x of one example a row."""
    return draw(lambda n: torch.randn_like(_taller(x, n)), len(x))


def uniform_like(x: Tensor) -> Tensor:
    """`torch.rand_like` for x of one example a row."""
    return draw(lambda n: torch.rand_like(_taller(x, n)), len(x))


def _taller(x: Tensor, n: int) -> Tensor:
    """Memory for n rows in the layout of x: the order in which random numbers are drawn follows the layout."""
    return x if n == len(x) else torch.empty_strided((n, *x.shape[1:]), x.stride(), dtype=x.dtype, device=x.device)


def mean(x: Tensor) -> Tensor:
    """Mean over the whole batch of x, one example a row, differentiable; of a scalar, over its shares.

    `Parted` where the other shares are not at hand.
    """
    here = x.mean(0) if x.dim() else x
    return here if _now.of == 1 else everyone(here) / _now.of


def everyone(x: Tensor) -> Tensor:
    """The sum of x over all shares, differentiable; x itself where there is one. `Parted` as for `mean`."""
    if _now.of == 1:
        return x
    if _now.total is None:
        raise Parted(
            "--train.accumulate computes a batch in parts, and this recipe's loss needs the whole batch at once (batch "
            "statistics, or a mean within the loss); leave it out, or lower --train.batch"
        )
    return _now.total(x)


def mine(x: Tensor) -> Tensor:
    """Of x with a row for each example of the whole batch, the rows that are ours."""
    return x if _now.of == 1 else x.chunk(_now.of)[_now.index]


def gathered(x: Tensor) -> Tensor:
    """x (n, d) of every share, in their order: (of · n, d), without gradients. `Parted` as for `mean`."""
    if _now.of == 1:
        return x
    whole = x.new_zeros(_now.of, *x.shape)
    whole[_now.index] = x.detach()
    return everyone(whole).flatten(0, 1).detach()
