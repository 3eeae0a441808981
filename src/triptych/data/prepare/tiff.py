"""Kinds of TIFF that would arrive as other pictures than they are: refused with the reason, or noted."""

from __future__ import annotations

import struct

from PIL import Image

from triptych.data.prepare.reasons import CAMERA, PREVIEW, Unusable, why

SUBFILE, BITS, PHOTOMETRIC, SAMPLES, PLANAR, EXTRA, FORMAT = 254, 258, 262, 277, 284, 338, 339
TILE = (322, 323)
DNG, CFA, LINEAR_RAW = 50706, 32803, 34892
STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
NUMBERS = {1: "B", 3: "H", 4: "I"}
"""Types of a tag that are whole numbers, as `struct` writes them."""
SPARE = "channel without a stated meaning left out"
Tags = dict[int, tuple[int, ...]]


def directory(data: bytes) -> Tags:
    """The tags of a TIFF's first page that are whole numbers; nothing where they cannot be read."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    place, number, entry, room = ("Q", "Q", 20, 8) if big else ("I", "H", 12, 4)
    tags: Tags = {}
    try:
        (at,) = struct.unpack_from(order + place, data, 8 if big else 4)
        (entries,) = struct.unpack_from(order + number, data, at)
        at += struct.calcsize(number)
        for i in range(at, at + entry * min(entries, 1000), entry):
            tag, kind, count = struct.unpack_from(order + "HH" + place, data, i)
            if kind not in NUMBERS or not 0 < count <= 64:
                continue
            form = f"{order}{count}{NUMBERS[kind]}"
            inside = i + entry - room
            outside = struct.calcsize(form) > room
            tags[tag] = struct.unpack_from(
                form, data, struct.unpack_from(order + place, data, inside)[0] if outside else inside
            )
    except struct.error:  # cut off: the decoder says so
        pass
    return tags


def check(data: bytes, most: int, notes: list[str]) -> Tags:
    """The tags of the first page; Unusable where it is not the picture, or would not be read as it is meant."""
    tags = directory(data)
    photometric, channels = tags.get(PHOTOMETRIC, (1,))[0], tags.get(SAMPLES, (1,))[0]
    if data[8:10] == b"CR" or DNG in tags or photometric in (CFA, LINEAR_RAW):
        raise Unusable(why(CAMERA))
    if tags.get(SUBFILE, (0,))[0] & 1:
        raise Unusable(why(PREVIEW))
    width, height = (tags.get(tag, (0,))[0] for tag in TILE)
    if width * height > most:
        raise Unusable(f"too large: tiles of {width} x {height} pixels")
    if channels > 4:
        raise Unusable(f"more than four channels: {channels}; keep one, three or four of them")
    if tags.get(PLANAR, (1,))[0] == 2 and channels > 1 and max(tags.get(BITS, (1,))) > 8:
        raise Unusable("16-bit colours stored plane by plane: save it with its colours interleaved")
    if 0 in tags.get(EXTRA, ()):
        notes.append(SPARE)
    return tags


def kind(tags: Tags) -> str:
    """The reason for a TIFF that Pillow does not open: what it is."""
    if PHOTOMETRIC not in tags:
        return "damaged: not readable as TIFF"
    bits, form = tags.get(BITS, (1,)), {1: "whole numbers", 2: "signed numbers", 3: "floats"}
    held = form.get(tags.get(FORMAT, (1,))[0], "numbers")
    channels = tags.get(SAMPLES, (1,))[0]
    return f"a kind of TIFF that is not read: {channels} of {max(bits)} bits, {held}; save it as PNG, or with 8 bits"


def inverted(im: Image.Image) -> bool:
    """Whether 0 is white in a grey picture of more than 8 bits, which Pillow hands on as it is."""
    return im.format == "TIFF" and im.tag_v2.get(PHOTOMETRIC) == 0  # type: ignore[attr-defined]


def bits(im: Image.Image) -> int:
    """Bits of a value, by the file's own word."""
    return max(im.tag_v2.get(BITS, (16,)))  # type: ignore[attr-defined]
