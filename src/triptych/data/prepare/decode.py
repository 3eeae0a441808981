"""Any picture file to bytes of one shape, with Pillow.

The background under transparent pixels and around padded pictures is white. Metadata never decide over the pixels:
what cannot be read of them is left out and noted.
"""

from __future__ import annotations

import contextlib
import functools
import io
import re
import struct
from typing import TYPE_CHECKING, Any

from PIL import Image

from triptych.data.prepare import profiles, reasons, tiff
from triptych.data.prepare.metadata import bare
from triptych.data.prepare.reasons import Unusable

if TYPE_CHECKING:
    from PIL import ImageFile

MAX_PIXELS = 100_000_000  # larger pictures are taken for decompression bombs
MAX_BYTES = 256 << 20  # of one encoded file
WHITE = 255
TURNED = "turned upright as its EXIF says"
SIXTEEN = "16 bits reduced to 8"
TWELVE = "12 bits reduced to 8"
DARK = "16 bits of which 12 or fewer are used (--range 0 4095 makes 4095 white)"
INVERTED = "inverted since 0 is white"
KEYED = "transparent colour laid over white"
CHANGED = frozenset({profiles.CONVERTED, TWELVE, INVERTED, KEYED})
"""Notes on pixels that were once read otherwise: part of a set's fingerprint, so that old ones keep their meaning."""
FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
}
# Only formats that are pictures by their own signature and need no outside program (EPS runs one).
USUAL = ("JPEG", "PNG", "GIF", "BMP", "PPM")  # JPEG's opener knows MPO, too
OTHERS = ("WEBP", "TIFF", "ICO", "JPEG2000", "AVIF", "DIB", "PCX", "SGI")
# What Pillow raises on a damaged file. Anything else, and anything outside its calls, is an error of this program.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    RuntimeError,
    struct.error,
)
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes an EXIF orientation."""
Range = tuple[float, float]


@functools.cache
def others() -> tuple[str, ...]:
    """Those of the other formats that this Pillow can open: AVIF came with 11.3."""
    from PIL import (  # noqa: F401 (importing one is what makes Pillow know its format)
        BmpImagePlugin,
        IcoImagePlugin,
        Jpeg2KImagePlugin,
        PcxImagePlugin,
        SgiImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    with contextlib.suppress(ImportError):
        from PIL import AvifImagePlugin  # noqa: F401
    return tuple(kind for kind in OTHERS if kind in Image.OPEN)


def decode(data: bytes, limits: Range | None = None) -> tuple[Image.Image, list[str]]:
    """The picture in its own size as mode L or RGB, and notes on what was done to it.

    `limits` are the values shown black and white in grey pictures of more than 8 bits.
    """
    notes: list[str] = []
    try:
        im = loaded(data, notes)
    except Unusable:
        if (rest := bare(data)) is None:
            raise
        notes.clear()
        im = loaded(rest, notes)
        notes.append("metadata unreadable and left out")
    turn = orientation(im, notes)
    out = eight_bits(im, notes, limits)
    return (out.transpose(TURNS[turn]) if turn in TURNS else out), notes


def loaded(data: bytes, notes: list[str]) -> ImageFile.ImageFile:
    """The picture as Pillow decodes it, refused by its header where it is too large or not read as it is meant."""
    im = opened(data, notes)
    if im.width * im.height > MAX_PIXELS:
        raise Unusable(f"too large: {im.width} x {im.height} pixels")
    try:
        if im.format == "TIFF" and im.tag_v2.get(0x0112) in TURNS:  # type: ignore[attr-defined]
            notes.append(TURNED)  # by Pillow
        if getattr(im, "is_animated", False) and im.format != "MPO":
            pages = im.format in ("TIFF", "HEIF")
            notes.append("first of several pages" if pages else "first frame of an animation")
        deep = any(";16" in str(tile.args) for tile in im.tile)
        few = next((int(m[1]) for tile in im.tile if (m := re.search(r"\bL;([24])\b", str(tile.args)))), 8)
        im.load()
    except Image.DecompressionBombError as e:  # a picture within the picture
        raise Unusable(f"too large: over {MAX_PIXELS:,} pixels") from e
    except DAMAGE as e:
        raise Unusable(f"damaged: {e or type(e).__name__}") from e
    key = im.info.get("transparency")
    if deep and not im.mode.startswith("I"):  # Pillow keeps the high byte of each colour
        if key is not None:
            raise Unusable("a transparent colour of 16 bits a channel: save it with an alpha channel")
        notes.append(SIXTEEN)
    elif few < 8 and im.format == "PNG" and isinstance(key, int) and key:
        im.info["transparency"] = key * 255 // (2**few - 1)  # stored in few bits, as the pixels were
        im.info["few"] = True
    return im


def opened(data: bytes, notes: list[str]) -> ImageFile.ImageFile:
    """The file with its header read; HEIC where the extra for it is installed."""
    heic = data[4:8] == b"ftyp" and reasons.kind(data) == reasons.HEIC and heif()
    tags = tiff.check(data, MAX_PIXELS, notes) if data.startswith(tiff.STARTS) else None
    try:
        if heic:
            return Image.open(io.BytesIO(data), formats=("HEIF",))
        with contextlib.suppress(Image.UnidentifiedImageError):
            return Image.open(io.BytesIO(data), formats=USUAL)
        return Image.open(io.BytesIO(data), formats=others())
    except Image.UnidentifiedImageError as e:
        if heic:
            raise Unusable("damaged: not readable as HEIC") from e
        raise Unusable(reasons.why(reasons.kind(data)) if tags is None else tiff.kind(tags)) from e
    except Image.DecompressionBombError as e:
        raise Unusable(f"too large: over {MAX_PIXELS:,} pixels") from e
    except DAMAGE as e:
        raise Unusable(f"damaged: {e or type(e).__name__}") from e


@functools.cache
def heif() -> bool:
    """Whether HEIC can be read: by the extra `heif`, made known to Pillow when the first such file is met."""
    try:
        from pillow_heif import register_heif_opener  # type: ignore[import-not-found]
    except ImportError:
        return False
    register_heif_opener()
    return True


def orientation(im: Image.Image, notes: list[str]) -> int:
    """The EXIF orientation, 1 where there is none or it means nothing."""
    if im.format == "TIFF" or (im.format == "JPEG" and "exif" not in im.info):
        return 1
    try:
        if im.format == "JPEG":  # whose own object hides that its EXIF is damaged
            Image.Exif().load(im.info["exif"])
        value = im.getexif().get(0x0112, 1)
    except DAMAGE:
        notes.append("EXIF unreadable and left out")
        return 1
    if isinstance(value, int) and value in TURNS:
        notes.append(TURNED)
        return value
    if value != 1:
        notes.append("EXIF orientation that means nothing")
    return 1


def eight_bits(im: Image.Image, notes: list[str], limits: Range | None = None) -> Image.Image:
    """Any mode as L or RGB in sRGB; what that took is added to the notes."""
    if limits and SIXTEEN in notes:
        raise Unusable("16-bit colours have no --range: make them grey, or reduce them to 8 bits")
    profile = im.info.get("icc_profile")
    if "icc_profile" in im.info and not (isinstance(profile, bytes) and profile):
        notes.append(profiles.BROKEN)
        profile = None
    key = im.info.get("transparency")
    if im.mode.startswith("I") or im.mode == "F":
        out = managed(numbers(im, notes, limits), profile, notes)
        if isinstance(key, int) and (mask := equal(im, key)).getbbox():
            notes.append(KEYED)
            out.paste(WHITE, mask=mask)
        return out
    if im.mode in ("L", "RGB") and key is None:
        return managed(im, profile, notes)
    if im.mode in ("LA", "PA", "La", "RGBA", "RGBa") or key is not None:
        colours = im.convert("RGBA")
        alpha = colours.getchannel("A")
        if alpha.getextrema() != (255, 255):
            notes.append(KEYED if "few" in im.info else "transparency laid over white")
        if profile:
            grey = im.mode in ("L", "LA", "La")
            opaque = managed(colours.convert("L" if grey else "RGB"), profile, notes)
            colours = opaque.convert("RGBA")
            colours.putalpha(alpha)
        under = Image.new("RGBA", im.size, (WHITE, WHITE, WHITE, 255))
        return Image.alpha_composite(under, colours).convert("RGB")
    if im.mode == "CMYK" and profile:
        im, profile = managed(im, profile, notes), None
        if im.mode == "RGB":
            return im
    notes.append(f"mode {im.mode} converted")
    return managed(im.convert("L" if im.mode == "1" else "RGB"), None if im.mode == "LAB" else profile, notes)


def managed(im: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    """A picture of mode L, RGB or CMYK in sRGB, as its profile says, if it has one."""
    return profiles.to_srgb(im, profile, notes) if profile else im


def numbers(im: Image.Image, notes: list[str], limits: Range | None) -> Image.Image:
    """Grey of more than 8 bits as mode L: by `limits`, or by the range that its format states."""
    dark_is_white = tiff.inverted(im)
    low, high = im.getextrema()
    if limits is None and im.format == "TIFF" and tiff.bits(im) == 12:
        limits = (0, 4095)
        notes.append(TWELVE)
    elif limits is None:
        if im.mode == "F" or (im.mode == "I" and im.format not in ("PNG", "PPM")):
            kind = "floats" if im.mode == "F" else "integers that are signed or of 32 bits"
            raise Unusable(f"{reasons.RANGE}: {kind}, from {low} to {high}; give --range LOW HIGH")
        notes.append(SIXTEEN)
        if high <= 4095:  # type: ignore[operator]
            notes.append(DARK)
    if limits is None:
        # 65535 / 257 = 255; adding half rounds to nearest
        out = im.convert("I").point(lambda v: v * (1 / 257) + 0.5).convert("L")
    else:
        out = ranged(im, limits, notes)
    if dark_is_white:
        notes.append(INVERTED)
        out = out.point(lambda v: 255 - v)
    return out


def ranged(im: Image.Image, limits: Range, notes: list[str]) -> Image.Image:
    """Values from `limits` spread over 0 to 255, rounded to the nearest; what lies beyond is clipped and noted."""
    import numpy as np

    low, high = limits
    out = np.empty((im.height, im.width), np.uint8)
    beyond = missing = False
    step = max(1, (1 << 22) // im.width)
    for top in range(0, im.height, step):  # in parts, since float64 takes eight times the room
        part = np.asarray(im.crop((0, top, im.width, min(im.height, top + step)))).astype(np.float64)
        bad = np.isnan(part)
        part[bad] = low
        missing |= bool(bad.any())
        beyond |= bool(((part < low) | (part > high)).any())
        out[top : top + step] = np.rint((part.clip(low, high) - low) * (255 / (high - low)))
    if beyond:
        notes.append("values beyond --range clipped")
    if missing:
        notes.append("values that are no number taken as the lowest")
    return Image.fromarray(out)


def equal(im: Image.Image, key: int) -> Image.Image:
    """Mode L: 255 where the grey of a 16-bit picture is `key`, else 0."""
    import numpy as np

    return Image.fromarray((np.asarray(im) == key).astype(np.uint8) * 255)


def shape(im: Image.Image, how: dict[str, Any]) -> Image.Image:
    """Channels, then size, then re-encoding, as the options ask. Resampling works on 8-bit values."""
    mode = {1: "L", 3: "RGB"}[how["channels"]] if how["channels"] else im.mode
    if im.mode != mode:
        im = im.convert(mode)
    across, _, down = str(how["resolution"] or "").partition("x")
    wanted = (int(across), int(down or across)) if across else im.size
    if im.size != wanted:
        (w, h), (width, height) = im.size, wanted
        if how["fit"] == "crop" and w * height != h * width:
            cut = (min(w, max(1, round(h * width / height))), min(h, max(1, round(w * height / width))))
            left, top = (w - cut[0]) // 2, (h - cut[1]) // 2
            im = im.crop((left, top, left + cut[0], top + cut[1]))
        if how["fit"] == "pad" and w * height != h * width:
            k = min(width / w, height / h)
            inner = im.resize((max(1, round(w * k)), max(1, round(h * k))), FILTERS[how["filter"]])
            im = Image.new(mode, wanted, WHITE if mode == "L" else (WHITE,) * 3)
            im.paste(inner, ((width - inner.width) // 2, (height - inner.height) // 2))
        elif im.size != wanted:
            im = im.resize(wanted, FILTERS[how["filter"]])
    if how["jpeg_quality"]:
        packed = io.BytesIO()
        im.save(packed, "JPEG", quality=how["jpeg_quality"])
        im = Image.open(packed, formats=("JPEG",))
        im.load()
    return im


def planes(im: Image.Image) -> bytes:
    """Channel by channel, row by row: one row of a uint8 NCHW array."""
    data = im.tobytes()
    return data if im.mode == "L" else data[0::3] + data[1::3] + data[2::3]
