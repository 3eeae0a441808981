"""How examples are prepared: the options of a `DataSpec` and of `triptych data`, defined once.

No torch here: the command line reads the fields before it knows whether anything will be computed.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal

from triptych.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How the examples of a source are made."""

    resolution: int | None = None
    """side of the prepared pictures in pixels; default: the source's own"""
    fit: Literal["squash", "crop", "pad"] = "squash"
    """how a picture that is not square becomes square"""
    channels: int | None = None
    """1 (grey) or 3 (RGB); default: the source's own, 3 for folders"""
    holdout: float = 0.0
    """share set aside as test by content hash, where the source has no split"""
    filter: Literal["bicubic", "lanczos", "bilinear", "box"] = "bicubic"
    """resampling filter"""
    jpeg_quality: int | None = None
    """re-encode the prepared pictures as JPEG of this quality (the coursework used 75)"""

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
        for option, value, usual in (("--fit", self.fit, "squash"), ("--filter", self.filter, "bicubic")):
            if self.resolution is None and value != usual:
                raise UserError(f"{option} {value} needs a size to bring pictures to; add --resolution 64, or drop it")
        if self.jpeg_quality is not None and not 1 <= self.jpeg_quality <= 95:
            raise UserError(f"JPEG quality {self.jpeg_quality} is out of range; choose 1 to 95")

    def plain(self) -> dict[str, Any]:
        """The options that make the pixels, as JSON values."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(Preparation) if f.name != "holdout"}

    def identity(self) -> str:
        """The same as text for a key."""
        return json.dumps(self.plain(), sort_keys=True)
