"""Negative controls: real pictures that were spoilt, and judged as if a model had made them.

No model makes them, and nobody would take them for good samples: a metric that does is not to be trusted there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping

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


def controls(real: Data, strangers: Data | None, seed: int) -> Iterator[Data]:
    """Sets as large as `real`, one at a time, each with the control's name and a fingerprint where `real` has one."""
    for name, spoil in SPOILT.items():
        g = torch.Generator().manual_seed(seed)
        parts = [to_bytes(spoil(x.float() / 255, g)) for x in real.x.split(PART)]
        yield spoilt(real, name, torch.cat(parts), seed)
    yield spoilt(real, REPEATED, real.x[:1].expand_as(real.x).contiguous(), seed)
    if strangers is not None:
        rows = torch.arange(len(real)) % len(strangers)
        yield spoilt(strangers, STRANGERS.format(strangers.name), strangers.x[rows], seed)
    else:
        yield spoilt(real, DRAWN, ellipses(len(real), real.shape, seed), seed)


def spoilt(real: Data, name: str, x: Tensor, seed: int) -> Data:
    mark = f"{real.fingerprint}/{name}:{seed}" if real.fingerprint else ""
    return dataclasses.replace(real, name=name, x=x, labels=None, factors={}, fingerprint=mark)


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
