"""Colours as their embedded profile means them, brought to sRGB."""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING

from PIL import Image, ImageChops

if TYPE_CHECKING:
    from PIL import ImageCms

CONVERTED = "converted from a colour profile to sRGB"
BROKEN = "colour profile unreadable and left out"
SAME = 2
"""Levels of 255 within which a profile counts as sRGB itself."""


def to_srgb(im: Image.Image, profile: bytes, notes: list[str]) -> Image.Image:
    """A picture of mode L, RGB or CMYK in sRGB (L stays L); the notes say so, or that the profile is of no use."""
    from PIL import ImageCms

    change = transform(profile, im.mode)
    if change is None:
        return im
    if isinstance(change, str):
        notes.append(change)
        return im
    notes.append(CONVERTED)
    if isinstance(change, tuple):
        return im.point(change)
    out = ImageCms.applyTransform(im, change)
    assert out is not None
    return out


@functools.lru_cache(maxsize=32)
def transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | tuple[int, ...] | str | None:
    """What brings a mode to sRGB: a transform, 256 values for grey, a note on why not, or None where it is sRGB."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()  # type: ignore[union-attr]
        if (mode, space) not in (("L", "GRAY"), ("L", "RGB"), ("RGB", "RGB"), ("CMYK", "CMYK")):
            return f"colour profile for {space} in a picture of mode {mode} left out"
        made = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            "L" if space == "GRAY" else mode if mode == "CMYK" else "RGB",
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        if mode == "CMYK":
            return made
        probe = ramp() if mode == "L" else cube()
        shown = ImageCms.applyTransform(probe if space == "GRAY" else probe.convert("RGB"), made)
        assert shown is not None
        shown = shown.convert(mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # as littlecms refuses a profile
        return BROKEN
    bands = ImageChops.difference(probe, shown).getextrema()
    if max(high for _, high in (bands if mode == "RGB" else [bands])) <= SAME:  # type: ignore[misc]
        return None
    return tuple(shown.tobytes()) if mode == "L" else made


def ramp() -> Image.Image:
    """Every grey."""
    return Image.frombytes("L", (256, 1), bytes(range(256)))


def cube() -> Image.Image:
    """Colours evenly spread: nine levels a channel."""
    levels = [round(i * 255 / 8) for i in range(9)]
    return Image.frombytes("RGB", (81, 9), bytes(v for r in levels for g in levels for b in levels for v in (r, g, b)))
