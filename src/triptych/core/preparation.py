"""How examples are prepared: the options of a `DataSpec` and of `triptych data`, defined once.

No torch here: the command line reads the fields before it knows whether anything will be computed.
"""

from __future__ import annotations

import dataclasses
import json
import math
import operator
import re
from dataclasses import dataclass
from typing import Any, Literal

from triptych.errors import UserError

LARGEST = 4096
"""Pixels of the longest side that pictures are prepared at."""


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How the examples of a source are made."""

    resolution: int | str | None = None
    """side of the prepared pictures in pixels, or WIDTHxHEIGHT, such as 64x48; default: the source's own"""
    fit: Literal["squash", "crop", "pad"] = "squash"
    """how a picture of another shape is brought to the resolution"""
    channels: int | None = None
    """1 (grey) or 3 (RGB); default: the source's own, 3 for folders"""
    holdout: float = 0.0
    """share set aside as test by content hash, where the source has no split"""
    filter: Literal["bicubic", "lanczos", "bilinear", "box"] = "bicubic"
    """resampling filter"""
    jpeg_quality: int | None = None
    """re-encode the prepared pictures as JPEG of this quality (the coursework used 75)"""
    range: tuple[float, float] | None = dataclasses.field(default=None, metadata={"later": True})
    """LOW HIGH, the values shown black and white, for grey pictures of more than 8 bits: 12-bit, signed, float"""
    columns: tuple[str, ...] = dataclasses.field(default=(), metadata={"later": True})
    """types of a table's columns: auto (as found), NAME=TYPE words, or a .yaml file of NAME: TYPE lines;
    a TYPE is integer, number, category, date, date:FORMAT or drop. Default: auto where there is more than numbers"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "resolution", resolution(self.resolution))
        object.__setattr__(self, "channels", whole("channels", self.channels))
        object.__setattr__(self, "jpeg_quality", whole("jpeg_quality", self.jpeg_quality))
        if not number(self.holdout):
            raise UserError(f"holdout {self.holdout!r} is not a number; give a share in [0, 1), such as 0.1")
        if self.range is not None:
            object.__setattr__(self, "range", limits(self.range))
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
        """The options that make the pixels, as JSON values; `range` only where it is given, as caches know no other."""
        apart = ("holdout", "columns")
        options = {f.name: getattr(self, f.name) for f in dataclasses.fields(Preparation) if f.name not in apart}
        if options["range"] is None:
            del options["range"]
        return options

    def identity(self) -> str:
        """The same as text for a key."""
        return json.dumps(self.plain(), sort_keys=True)

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height asked for, in pixels; None: the source's own."""
        return sides(self.resolution)


def sides(resolution: int | str | None) -> tuple[int, int] | None:
    """Width and height of a resolution as `Preparation` keeps it."""
    if resolution is None:
        return None
    width, _, height = str(resolution).partition("x")
    return int(width), int(height or width)


def resolution(value: Any) -> int | str | None:
    """A side, or `WIDTHxHEIGHT`, in the one form that is kept: a whole number for squares, else text."""
    if value is None:
        return None
    given = value
    if isinstance(value, str):
        if not (match := re.fullmatch(r"\s*([0-9]{1,9})\s*(?:[x×X]\s*([0-9]{1,9})\s*)?", value)):
            raise UserError(f"resolution {given!r} is no size; give --resolution a side, 64, or WIDTHxHEIGHT, 64x48")
        width, height = int(match[1]), int(match[2] or match[1])
    else:
        width = height = whole("resolution", value)
    if not (1 <= width <= LARGEST and 1 <= height <= LARGEST):
        raise UserError(f"resolution {given} makes no picture; choose 1 to {LARGEST} pixels")
    return width if width == height else f"{width}x{height}"


def whole(name: str, value: Any) -> Any:
    """`value` as an int, or None where it is none; UserError for anything but whole numbers."""
    if value is None:
        return None
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise UserError(f"{name} {value!r} is not a whole number; give one") from None


def number(value: Any) -> bool:
    """Whether this is a finite number (a truth value is none)."""
    try:
        return not isinstance(value, bool | str) and math.isfinite(value)
    except (TypeError, ValueError, OverflowError):
        return False


def limits(given: Any) -> tuple[float, float]:
    """The values shown black and white, as two floats; UserError where they span nothing."""
    try:
        low, high = given
    except (TypeError, ValueError):
        raise UserError(f"range {given!r} is not a pair; give LOW HIGH, such as 0 4095") from None
    if not (number(low) and number(high)):
        raise UserError(f"range {low} {high} is not two finite numbers; give LOW HIGH, such as 0 4095")
    if not low < high or not math.isfinite(float(high) - float(low)):
        raise UserError(f"range {low} {high} spans nothing; give LOW HIGH with LOW below HIGH, such as 0 4095")
    return float(low), float(high)
