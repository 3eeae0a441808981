"""Features: what extractors make of examples, and the sets of them that metrics compare."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import torch
from torch import Tensor

from triptych.errors import UserError


class Extractor(ABC):
    """Maps examples to features. Its `id`, `resize` and `dtype` are part of every number made from them."""

    id: str
    """Name and weights hash, `classifier:0123456789ab`."""
    resize: str
    dtype: str
    note: str = "not comparable with published FID"
    costly: ClassVar[bool] = False
    """whether features of a few thousand pictures take minutes: no negative controls are made of them then"""

    @property
    def label(self) -> str:
        """What is said of a metric on these features beside its title, where `name` changes its name."""
        return ""

    @abstractmethod
    def __call__(self, examples: Tensor) -> Mapping[str, Tensor]:
        """`features` (n, d) float32 and, from a classifier, `logits` (n, k).

        Images (n, c, h, w) are bytes or public floats in [0, 1], on any device; see `grey_levels`. What is made of
        them may be on another.
        """

    def name(self, base: str) -> str:
        """What a metric is called on these features."""
        return base

    def on(self, device: torch.device) -> Self:
        """The same, that works there: the numbers are those of any other device to rounding."""
        return self


def grey_levels(images: Tensor) -> Tensor:
    """Bytes, or public floats in [0, 1], to float32 on the scale 0 to 255, unrounded; UserError for others."""
    if images.dtype == torch.uint8:
        return images.float()
    if not images.is_floating_point() or not bool(((images >= 0) & (images <= 1)).all()):
        raise UserError("float images must lie in [0, 1] and be finite; or give uint8")
    return images.float() * 255


class Classifier(Protocol):
    """An extractor that also tells classes."""

    @property
    def id(self) -> str: ...
    @property
    def accuracy(self) -> float | None:
        """on `accuracy_n` examples that it was not trained on"""

    @property
    def accuracy_n(self) -> int: ...
    def __call__(self, examples: Tensor) -> Mapping[str, Tensor]: ...


@dataclass(frozen=True, kw_only=True)
class Extractors:
    """The extractors of one set of images; vectors are their own features and have none."""

    own: Extractor | None = None
    """the set's own, trained on it: its numbers have the plain names"""
    beside: tuple[Extractor, ...] = ()
    """further ones of the set: of a second seed, and that of older versions"""
    inception: Extractor | None = None
    """the network of FID, where its weights are here"""
    digits: Classifier | None = None
    """where every channel is a digit: what tells them"""

    @property
    def of_features(self) -> tuple[Extractor, ...]:
        """Those whose features are compared."""
        return tuple(e for e in (self.own, *self.beside, self.inception) if e is not None)

    def on(self, device: torch.device) -> Extractors:
        """The set's own working on a CUDA device: elsewhere they were not tried but on the processor, where they stay.

        That of Inception works where it was loaded.
        """
        if device.type != "cuda":
            return self
        own = None if self.own is None else self.own.on(device)
        return dataclasses.replace(self, own=own, beside=tuple(e.on(device) for e in self.beside))

    def only(self, id: str | None) -> Extractors:
        """Without the features of others than the extractor of that `id`."""
        own, inception = (e if e is not None and e.id == id else None for e in (self.own, self.inception))
        beside = tuple(e for e in self.beside if e.id == id)
        return dataclasses.replace(self, own=own, beside=beside, inception=inception)


@dataclass(frozen=True, eq=False)
class Space:
    """Features of the four sets in one extractor, (n, d) float32 each, by kind (`features`, `logits`)."""

    extractor: Extractor
    real: Mapping[str, Tensor]
    fake: Mapping[str, Tensor]
    floor_a: Mapping[str, Tensor]
    """of `floor_b`: two sets of real examples with none in common, for the floor"""
    floor_b: Mapping[str, Tensor]
