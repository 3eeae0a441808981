"""Odd files made by hand: PNG chunks, TIFFs of any layout, colour profiles."""

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms

PNG = b"\x89PNG\r\n\x1a\n"


def photo(w: int = 64, h: int = 48) -> Image.Image:
    y, x = np.mgrid[:h, :w]
    return Image.fromarray(np.stack([x * 3, y * 5, x + y], -1).astype(np.uint8))


def packed(im: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    im.save(out, kind, **options)  # type: ignore[arg-type]
    return out.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunk(png: bytes, extra: bytes, before: bytes = b"IDAT") -> bytes:
    at = png.index(before) - 4
    return png[:at] + extra + png[at:]


def png(rows: list[bytes], width: int, bits: int, colours: int, *extra: bytes) -> bytes:
    """A PNG from its packed rows; `colours` 0 grey, 2 RGB."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), bits, colours, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return PNG + head + b"".join(extra) + body + chunk(b"IEND", b"")


def tiff(
    a: np.ndarray,
    *,
    planar: bool = False,
    photometric: int | None = None,
    lead: bytes = b"",
    **tags: tuple[int, ...] | int | None,
) -> bytes:
    """An uncompressed little-endian TIFF of a (h, w, c), interleaved or plane by plane.

    `tags` by number, as `t338=(0, 0)`; a tag given as None is left out. `lead` comes before the tags.
    """
    h, w, c = a.shape
    bits, form = a.dtype.itemsize * 8, {"u": 1, "i": 2, "f": 3}[a.dtype.kind]
    data = np.ascontiguousarray(a.transpose(2, 0, 1) if planar else a).astype(a.dtype.newbyteorder("<")).tobytes()
    strips = c if planar else 1
    values: dict[int, tuple[int, list[int]]] = {
        256: (3, [w]), 257: (3, [h]), 258: (3, [bits] * c), 259: (3, [1]),
        262: (3, [(2 if c >= 3 else 1) if photometric is None else photometric]),
        273: (4, [-1] * strips), 277: (3, [c]), 278: (3, [h]), 279: (4, [len(data) // strips] * strips),
        284: (3, [1 + planar]), 339: (3, [form] * c),
    }  # fmt: skip
    for name, given in tags.items():
        if given is None:
            del values[int(name[1:])]
        else:
            values[int(name[1:])] = (3, list(given) if isinstance(given, tuple) else [given])
    size = {3: 2, 4: 4}
    at = 8 + len(lead) + 2 + 12 * len(values) + 4
    start = at + sum(n for kind, v in values.values() if (n := size[kind] * len(v)) > 4)
    body = tail = b""
    for tag, (kind, numbers) in sorted(values.items()):
        if numbers[0] == -1:
            numbers = [start + i * (len(data) // strips) for i in range(strips)]
        raw = struct.pack("<" + {3: "H", 4: "I"}[kind] * len(numbers), *numbers)
        body += struct.pack("<HHI", tag, kind, len(numbers))
        body += raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack("<I", at + len(tail))
        tail += raw if len(raw) > 4 else b""
    return (
        b"II*\0"
        + struct.pack("<I", 8 + len(lead))
        + lead
        + struct.pack("<H", len(values))
        + body
        + b"\0\0\0\0"
        + tail
        + data
    )


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped() -> bytes:
    """sRGB with red and blue exchanged."""
    p = bytearray(srgb())
    tags = {bytes(p[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(struct.unpack(">I", p[128:132])[0])}
    a, b = tags[b"rXYZ"], tags[b"bXYZ"]
    p[a : a + 4], p[b : b + 4] = b"bXYZ", b"rXYZ"
    return bytes(p)


def grey_profile(gamma: float) -> bytes:
    """A grey profile of one power law, written by hand."""
    white = struct.pack(">4sI3i", b"XYZ ", 0, 63190, 65536, 54061)
    curve = struct.pack(">4sIIHH", b"curv", 0, 1, round(gamma * 256), 0)
    words = struct.pack(">4sI", b"text", 0) + b"grey\0\0\0\0"
    start = 128 + 4 + 12 * 4
    parts, at, table = b"", start, b""
    for tag, body in ((b"wtpt", white), (b"kTRC", curve), (b"desc", words), (b"cprt", words)):
        table += struct.pack(">4sII", tag, at, len(body))
        parts += body
        at += len(body)
    head = struct.pack(">I4sI4s4s4s12x4s", at, b"lcms", 0x02400000, b"mntr", b"GRAY", b"XYZ ", b"acsp")
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", 4) + table + parts
