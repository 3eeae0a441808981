"""Encoded pictures without what does not make their pixels: for files whose metadata cannot be read."""

from __future__ import annotations

import struct

PNG = b"\x89PNG\r\n\x1a\n"
PIXELS = {b"tRNS", b"acTL", b"fcTL", b"fdAT"}
"""Chunks of a PNG that are optional and make pixels."""
ASIDE = {700, 33723, 34377, 34665, 34675, 34853, 37724, 40965}
"""Tags of a TIFF: XMP, IPTC, Photoshop (two), EXIF, colour profile, GPS, interoperability."""


def bare(data: bytes) -> bytes | None:
    """The same picture without its metadata; None where there are none, or the format keeps them apart by itself."""
    if data.startswith(PNG):
        rest = _png(data)
    elif data.startswith(b"\xff\xd8"):
        rest = _jpeg(data)
    elif data[:4] in (b"II*\0", b"MM\0*"):
        rest = _tiff(data)
    else:
        return None
    return None if rest == data else rest


def _png(data: bytes) -> bytes:
    """Without the optional chunks."""
    kept, at = [PNG], len(PNG)
    while at + 8 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if kind in PIXELS or not kind[:1].islower():
            kept.append(data[at:end])
        at = end
    return b"".join(kept) + data[at:]


def _jpeg(data: bytes) -> bytes:
    """Without comments and application segments, but for JFIF's and Adobe's: they say what the colours are."""
    kept, at = [data[:2]], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        mark, end = data[at + 1], at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if mark in (0xE0, 0xEE) or not (0xE0 <= mark <= 0xEF or mark == 0xFE):
            kept.append(data[at:end])
        at = end
    return b"".join(kept) + data[at:]


def _tiff(data: bytes) -> bytes:
    """With the metadata's entries of the first page made unknown ones, so that no offset moves."""
    order = "<" if data[:1] == b"I" else ">"
    out = bytearray(data)
    try:
        (at,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, at)
        for place in range(at + 2, at + 2 + 12 * count, 12):
            (tag,) = struct.unpack_from(order + "H", data, place)
            if tag in ASIDE:
                struct.pack_into(order + "HHI", out, place, 65_000, 1, 1)
    except struct.error:  # cut off within its directory
        return data
    return bytes(out)
