"""What data comes from, and how it is prepared."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from triptych.core import Data, Split
from triptych.core.preparation import Preparation
from triptych.errors import UserError


class Source(ABC):
    """Abstract base of frozen dataclasses in the modules of `data/`.

    A module lists those that have a name in its `SOURCES`. What a person names otherwise is offered to every class:
    to `called` as it was typed, to `at` as a path that exists.
    """

    encoded: ClassVar[bool] = False
    """Whether the examples are picture files, each of its own size."""
    drawn: ClassVar[bool] = False
    """Whether the program makes the examples itself, from the name and the options alone."""
    tabular: ClassVar[bool] = False
    """Whether the examples may be rows of a table, whose columns have types."""
    sets_aside: ClassVar[bool] = False
    """Whether `load` itself sets `how.holdout` aside, or refuses to."""
    general: ClassVar[bool] = False
    """Whether `at` takes any path, when no other class does."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """One line for `triptych data list`."""

    @abstractmethod
    def load(self, name: str, split: Split, how: Preparation) -> Data:
        """The examples of a split, in the form that `Data` says.

        `errors.NoSplit` for "test" where there is no such split: then "train" is all there is, and `how.holdout` is set
        aside of it by whoever loads it. UserError where the examples cannot be had, or prepared as `how` says.
        """

    @classmethod
    def called(cls, name: str) -> Source | None:
        """The source that a name of another form means, such as an address."""
        return None

    @classmethod
    def at(cls, path: Path) -> Source | None:
        """A source that reads from `path`, when the layout of this class is found there."""
        return None

    def part(self, name: str) -> Source:
        """One of several sets that lie together: what `PATH:name` means."""
        raise UserError(f"{self.summary} is one set; leave :{name} out")

    def rotated(self, degrees: float) -> Source:
        """The same set turned anticlockwise about the origin: what `NAME@DEGREES` means."""
        raise UserError(f"only sets of points on the plane can be turned ({self.summary}); leave @{degrees:g} out")

    def state(self) -> str:
        """`ready`, or what it takes to get it, in two or three words."""
        return "ready"

    @property
    def card(self) -> Mapping[str, Any]:
        """Title, licence terms, citation, address: plain JSON values."""
        return {}


def digest(*parts: bytes | str | Tensor) -> str:
    """Hex SHA-256 of bytes, text and tensors of any shape, shapes and types included."""
    h = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            h.update(str((tuple(part.shape), part.dtype)).encode())
            h.update(part.contiguous().numpy().reshape(-1).view("u1").data)  # no copy: it may be a mapped file
        else:
            h.update(part.encode() if isinstance(part, str) else part)
    return h.hexdigest()


def names_in(folder: Path) -> list[str]:
    """Names in a folder, sorted; none where it cannot be read, which whoever reads its files will say."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries)
    except OSError:
        return []
