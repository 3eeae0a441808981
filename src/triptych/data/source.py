"""What data comes from, and how it is prepared."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from triptych.core import Data, Split
from triptych.preparation import Preparation


class Source(ABC):
    """Abstract base of the frozen dataclasses that a module of `data/` lists by name in its `SOURCES`."""

    encoded: ClassVar[bool] = False
    """Whether the examples are picture files, each of its own size."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """One line for `triptych data list`."""

    @abstractmethod
    def load(self, name: str, split: Split, how: Preparation) -> Data:
        """The examples of a split; UserError where they cannot be had."""

    def at(self, path: Path) -> Source | None:
        """This source reading from `path`, when its own layout is found there."""
        return None

    def state(self) -> str:
        """`ready`, or what it takes to get it, in two or three words."""
        return "ready"

    @property
    def card(self) -> Mapping[str, Any]:
        """Title, licence terms, citation, address: plain JSON values."""
        return {}


def digest(*parts: bytes | str | Tensor) -> str:
    """Hex SHA-256 of the parts."""
    h = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            h.update(str((tuple(part.shape), part.dtype)).encode())
            part = part.contiguous().numpy().tobytes()
        h.update(part.encode() if isinstance(part, str) else part)
    return h.hexdigest()
