"""Any picture file to bytes of one shape, with Pillow; and the worker process that does it in numbers.

This file imports nothing of the package: run as a program it is a worker of `prepare`, and must start fast.
The background under transparent pixels and around padded pictures is white.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, ImageOps

MAX_PIXELS = 100_000_000  # larger pictures are taken for decompression bombs
MAX_BYTES = 256 << 20  # of one encoded file
WHITE = 255
SIXTEEN = "16 bits reduced to 8"
# Only formats that are pictures by their own signature and need no outside program (EPS runs one).
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "ICO", "MPO", "JPEG2000", "AVIF", "DIB", "PCX", "SGI")
FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
}
Image.MAX_IMAGE_PIXELS = None  # the check is here, where it can say what it found


class Unusable(Exception):
    """Why one file makes no picture."""


def decode(data: bytes) -> tuple[Image.Image, list[str]]:
    """The picture in its own size as mode L or RGB, and notes on what was done to it."""
    if not data:
        raise Unusable("empty file")
    try:
        im = Image.open(io.BytesIO(data), formats=FORMATS)
    except Exception as e:
        raise Unusable("not a picture") from e
    w, h = im.size
    if w * h > MAX_PIXELS:
        raise Unusable(f"too large: {w} x {h} pixels")
    notes: list[str] = []
    try:
        if getattr(im, "is_animated", False) and im.format != "MPO":
            notes.append("first frame of an animation")
        deep = any(";16" in str(tile.args) for tile in getattr(im, "tile", ()))
        im.load()
        if deep and not im.mode.startswith("I"):  # Pillow keeps the high byte of each colour
            notes.append(SIXTEEN)
        if (im.format != "JPEG" or "exif" in im.info) and im.getexif().get(0x0112, 1) != 1:
            im = ImageOps.exif_transpose(im)
            notes.append("turned upright as its EXIF says")
        return eight_bits(im, notes), notes
    except Unusable:
        raise
    except Exception as e:
        raise Unusable(f"damaged: {e or type(e).__name__}") from e


def eight_bits(im: Image.Image, notes: list[str]) -> Image.Image:
    """Any mode as L or RGB; what that took is added to the notes."""
    if im.mode in ("L", "RGB") and "transparency" not in im.info:
        return im
    if im.mode.startswith("I") or im.mode == "F":
        low, high = im.getextrema()
        if im.mode == "F" or low < 0 or high > 65535:  # type: ignore[operator]
            raise Unusable(f"pixels without a stated range: type {im.mode}, from {low} to {high}")
        if im.mode == "I" and high <= 255:  # type: ignore[operator]
            notes.append("32-bit integers up to 255 taken as 8 bits")
            return im.convert("L")
        notes.append(SIXTEEN)
        # 65535 / 257 = 255; adding half rounds to nearest
        return im.convert("I").point(lambda v: v * (1 / 257) + 0.5).convert("L")
    if im.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in im.info:
        im = im.convert("RGBA")
        if im.getchannel("A").getextrema() != (255, 255):
            notes.append("transparency laid over white")
        under = Image.new("RGBA", im.size, (WHITE, WHITE, WHITE, 255))
        return Image.alpha_composite(under, im).convert("RGB")
    notes.append(f"mode {im.mode} converted")
    return im.convert("L" if im.mode == "1" else "RGB")


def shape(im: Image.Image, how: dict[str, Any]) -> Image.Image:
    """Channels, then size, then re-encoding, as the options ask. Resampling works on 8-bit values."""
    mode = {1: "L", 3: "RGB"}[how["channels"]] if how["channels"] else im.mode
    if im.mode != mode:
        im = im.convert(mode)
    r = how["resolution"]
    if r and im.size != (r, r):
        w, h = im.size
        if how["fit"] == "crop" and w != h:
            s = min(w, h)
            left, top = (w - s) // 2, (h - s) // 2
            im = im.crop((left, top, left + s, top + s))
        if how["fit"] == "pad" and w != h:
            k = r / max(w, h)
            inner = im.resize((max(1, round(w * k)), max(1, round(h * k))), FILTERS[how["filter"]])
            im = Image.new(mode, (r, r), WHITE if mode == "L" else (WHITE,) * 3)
            im.paste(inner, ((r - inner.width) // 2, (r - inner.height) // 2))
        elif im.size != (r, r):
            im = im.resize((r, r), FILTERS[how["filter"]])
    if how["jpeg_quality"]:
        packed = io.BytesIO()
        im.save(packed, "JPEG", quality=how["jpeg_quality"])
        im = Image.open(packed)
        im.load()
    return im


def planes(im: Image.Image) -> bytes:
    """Channel by channel, row by row: one row of a uint8 NCHW array."""
    data = im.tobytes()
    return data if im.mode == "L" else data[0::3] + data[1::3] + data[2::3]


# ------------------------------------------------------------------------------------ the worker


def read(item: dict[str, Any], stream: BinaryIO, archives: dict[str, zipfile.ZipFile]) -> bytes:
    """The encoded bytes of one item: sent along, part of a file, or a member of a zip."""
    if "sent" in item:
        return stream.read(item["sent"])
    if item["size"] > MAX_BYTES:
        raise Unusable(f"too large: {item['size']:,} bytes")
    if "member" in item:
        archive = archives.get(item["path"]) or archives.setdefault(item["path"], zipfile.ZipFile(item["path"]))
        try:
            with archive.open(item["member"]) as f:
                data = f.read(MAX_BYTES + 1)
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError) as e:
            raise Unusable(f"unreadable in the archive: {e}") from e
        if len(data) > MAX_BYTES:  # whatever the archive's table says
            raise Unusable("too large when unpacked")
        return data
    try:
        with open(item["path"], "rb", buffering=0) as f:  # noqa: PTH123 (a Path costs as much as the rest)
            if item["offset"]:
                f.seek(item["offset"])
            return f.read(item["size"])
    except OSError as e:
        raise Unusable(f"cannot be read: {e.strerror}") from e


def one(item: dict[str, Any], data: bytes, how: dict[str, Any], out: BinaryIO) -> dict[str, Any]:
    """Decode, shape and write one picture; what the index says of it."""
    im, notes = decode(data)
    source = [im.width, im.height]
    if im.mode == "L" and how["channels"] == 3:
        notes.append("grey made RGB")
    im = shape(im, how)
    row = planes(im)
    if how["row"] != [len(im.getbands()), im.height, im.width]:
        raise Unusable(f"differs in size: {im.width} x {im.height}")
    out.seek(how["header"] + item["row"] * len(row))
    out.write(row)
    return {"size": source, "notes": notes}


def serve(stream: BinaryIO, replies: BinaryIO) -> None:
    """Answer chunks until the stream ends. A chunk is a JSON line (and the bytes of items sent along)."""
    warnings.simplefilter("ignore")
    how = json.loads(stream.readline())
    archives: dict[str, zipfile.ZipFile] = {}
    with Path(how["out"]).open("r+b", buffering=0) as out:
        for line in iter(stream.readline, b""):
            results, error = [], None
            for item in json.loads(line):
                try:
                    data = read(item, stream, archives)
                    result = {"sha256": hashlib.sha256(data).hexdigest()}
                except Unusable as e:
                    results.append({"skipped": str(e)})
                    continue
                try:
                    result |= one(item, data, how, out)
                except Unusable as e:
                    result["skipped"] = str(e)
                except OSError as e:  # the disk is full, or the like: not the picture's fault
                    error = e.errno or 5
                except MemoryError:
                    result["skipped"] = "too large for the memory"
                results.append(result)
            replies.write(json.dumps({"results": results, "errno": error}).encode() + b"\n")
            replies.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
