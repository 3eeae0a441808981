"""Numbers between sets of real examples, which are the same for every run of a data set: made once in a process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from types import MethodType
from typing import TypeVar

from torch import Tensor

MOST = 2_000
"""Results that are kept; the oldest go first."""
Found = TypeVar("Found", bound=Mapping[str, object])
_kept: dict[tuple[object, ...], Mapping[str, object]] = {}


def of_real(f: Callable[[Tensor, Tensor], Found], a: Tensor, b: Tensor) -> Found:
    """f(a, b), remembered by what a and b hold where f is a method of a value, as a metric is.

    Nothing is told apart by names: other numbers are other sets, and a metric with other fields is another.
    """
    if not isinstance(f, MethodType):
        return f(a, b)
    key = (f.__func__, f.__self__, content(a), content(b))
    if key not in _kept:
        found = f(a, b)
        while len(_kept) >= MOST:
            del _kept[next(iter(_kept))]
        _kept[key] = found
    return _kept[key]  # pyright: ignore[reportReturnType]


def content(x: Tensor) -> str:
    """A digest of the numbers and the shape of a tensor."""
    raw = x.detach().cpu().contiguous().numpy()
    return f"{raw.dtype}{raw.shape}{hashlib.blake2b(raw.data, digest_size=16).hexdigest()}"
