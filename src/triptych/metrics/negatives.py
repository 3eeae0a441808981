"""Negative controls: real pictures that were spoilt, and judged as if a model had made them.

No model makes them, and nobody would take them for good samples: a metric that does is not to be trusted there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from triptych.core import Data, to_bytes
from triptych.metrics.distortions import blurred, recompressed, scrambled

PART = 250
"""Pictures that are spoilt at once: floats take four times the memory of bytes."""

Spoil = Callable[[Tensor, torch.Generator], Tensor]
SPOILT: Mapping[str, Spoil] = {
    "blurred pictures": lambda x, g: blurred(x, x.shape[-1] / 16),
    "scrambled phases": lambda x, g: scrambled(x, 1.0, g),
    "JPEG of quality 10": lambda x, g: recompressed(x, 10),
}
REPEATED = "one picture repeated"
STRANGERS = "pictures of {}"
DRAWN = "drawn ellipses"
"""The strangers where no other set is at hand."""


@dataclass(frozen=True)
class Control:
    """One set of spoilt pictures, as large as that which it is made of."""

    name: str
    fingerprint: str
    """empty where the real set has none"""
    pictures: Callable[[], Tensor]
    """makes them, bytes (n, c, h, w): which is not needed where features of them are kept"""


def controls(real: Data, strangers: Data | None, seed: int) -> Iterator[Control]:
    """Sets as large as `real`, by name."""

    def control(name: str, of: Data, pictures: Callable[[], Tensor]) -> Control:
        return Control(name, f"{of.fingerprint}/{name}:{seed}" if of.fingerprint else "", pictures)

    for name, spoil in SPOILT.items():
        yield control(name, real, partial(spoilt, real.x, spoil, seed))
    yield control(REPEATED, real, lambda: real.x[:1].expand_as(real.x).contiguous())
    if strangers is not None:
        rows = torch.arange(len(real)) % len(strangers)
        yield control(STRANGERS.format(strangers.name), strangers, lambda: strangers.x[rows])
    else:
        yield control(DRAWN, real, lambda: ellipses(len(real), real.shape, seed))


def spoilt(x: Tensor, spoil: Spoil, seed: int) -> Tensor:
    """Bytes (n, c, h, w) of pictures x that were spoilt, a part at a time."""
    g = torch.Generator().manual_seed(seed)
    return torch.cat([to_bytes(spoil(part.float() / 255, g)) for part in x.split(PART)])


def ellipses(n: int, shape: tuple[int, ...], seed: int) -> Tensor:
    """Bytes (n, c, h, w): three ellipses of random places, sizes and colours on a random ground."""
    c, h, w = shape
    g = torch.Generator().manual_seed(seed)

    def draw(*size: int) -> Tensor:
        return torch.rand(n, *size, 1, 1, generator=g)

    y, x = torch.linspace(0, 1, h)[:, None], torch.linspace(0, 1, w)
    picture = draw(c).expand(n, c, h, w)
    for _ in range(3):
        from_middle = ((y - draw(1)) / (0.05 + 0.3 * draw(1))).square() + (
            (x - draw(1)) / (0.05 + 0.3 * draw(1))
        ).square()
        picture = torch.where(from_middle < 1, draw(c), picture)
    return to_bytes(picture)
