"""What data comes from, and how it is prepared."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from triptych.core import Data, Split
from triptych.errors import UserError


@dataclass(frozen=True)
class Preparation:
    """How the examples of a source are made. Field for field the options of `triptych data prepare`."""

    resolution: int | None = None
    fit: Literal["squash", "crop", "pad"] = "squash"
    channels: int | None = None
    holdout: float = 0.0
    filter: Literal["bicubic", "lanczos", "bilinear", "box"] = "bicubic"
    jpeg_quality: int | None = None

    def __post_init__(self) -> None:
        if self.resolution is not None and not 1 <= self.resolution <= 4096:
            raise UserError(f"resolution {self.resolution} makes no picture; choose 1 to 4096 pixels")
        if self.fit not in ("squash", "crop", "pad"):
            raise UserError(f"unknown fit {self.fit!r}; choose squash, crop or pad")
        if self.channels not in (None, 1, 3):
            raise UserError(f"pictures have 1 or 3 channels, not {self.channels}; choose one of them")
        if not 0 <= self.holdout < 1:
            raise UserError(f"a holdout of {self.holdout} leaves nothing to train on; choose a share in [0, 1)")
        if self.filter not in ("bicubic", "lanczos", "bilinear", "box"):
            raise UserError(f"unknown filter {self.filter!r}; choose bicubic, lanczos, bilinear or box")
        if self.jpeg_quality is not None and not 1 <= self.jpeg_quality <= 95:
            raise UserError(f"JPEG quality {self.jpeg_quality} is out of range; choose 1 to 95")

    def plain(self) -> dict[str, Any]:
        """The options that make the pixels, as JSON values."""
        return {k: v for k, v in dataclasses.asdict(self).items() if k != "holdout"}

    def identity(self) -> str:
        """The same as text for a key."""
        return json.dumps(self.plain(), sort_keys=True)


class Source(ABC):
    """Abstract base of the frozen dataclasses that a module of `data/` lists by name in its `SOURCES`."""

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
