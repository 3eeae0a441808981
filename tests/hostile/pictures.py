"""Pictures from a stranger, as data and in a run's folders: other formats than their names say, bombs, broken files."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from functools import cache

from PIL import Image

from hostile.archives import png
from hostile.place import Hostile, Place

EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 8 8
%%EndComments
(%s) (w) file closefile
showpage
%%EOF
"""


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def head(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    """The beginning of a PNG that claims a size."""
    size = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size)


def zeros_png(side: int) -> bytes:
    """A black grey picture of side² pixels whose file is small."""
    squeeze = zlib.compressobj(9)
    row = b"\0" * (side + 1)
    held = b"".join(squeeze.compress(row) for _ in range(side)) + squeeze.flush()
    return head(side, side, 8, 0) + chunk(b"IDAT", held) + chunk(b"IEND", b"")


def ico(inner: bytes) -> bytes:
    return struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(inner), 22) + inner


def icns(inner: bytes) -> bytes:
    return b"icns" + struct.pack(">I", len(inner) + 16) + b"ic07" + struct.pack(">I", len(inner) + 8) + inner


def saved(fmt: str, frames: int = 1, **how: object) -> bytes:
    held = io.BytesIO()
    pictures = [Image.new("RGB", (16, 16), (i, 90, 200)) for i in range(frames)]
    more = {"save_all": True, "append_images": pictures[1:]} if frames > 1 else {}
    pictures[0].save(held, fmt, **more, **how)
    return held.getvalue()


@cache
def made() -> dict[str, bytes | Callable[[], bytes]]:
    """Blobs by what they are; those that take long to make are made when they are needed."""
    sound, rng = png(1, 16), random.Random(3)
    big = cache(lambda: zeros_png(14_000))
    found: dict[str, bytes | Callable[[], bytes]] = {
        "EPS": EPS,
        "EPS with a binary head": struct.pack("<IIII", 0xC6D3D0C5, 32, len(EPS), 0) + b"\0" * 16 + EPS,
        "PDF": b"%PDF-1.4\n1 0 obj<</OpenAction<</S/Launch/F(touch acted)>>>>endobj\n",
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "HTML": b"<html><script>alert(1)</script>",
        "a pickle": b"\x80\x04cos\nsystem\n(S'touch acted'\ntR.",
        "200 million pixels": big,
        "claims 2^31 - 1 squared": head(2**31 - 1, 2**31 - 1)
        + chunk(b"IDAT", zlib.compress(b"\0" * 99))
        + chunk(b"IEND", b""),
        "claims 100,000 squared": head(100_000, 100_000)
        + chunk(b"IDAT", zlib.compress(b"\0" * 99))
        + chunk(b"IEND", b""),
        "claims 0 pixels": head(0, 0) + chunk(b"IEND", b""),
        "a row of 100 million": head(10**8, 1) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b""),
        "ICO of a large PNG": lambda: ico(big()),
        "ICO that claims much": ico(
            head(30_000, 30_000) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
        ),
        "ICNS of a large PNG": lambda: icns(big()),
        "ICO in ICO": ico(ico(ico(sound))),
        "ICO of an EPS": ico(EPS),
        "a text chunk of 64 MB": lambda: (
            sound[:33] + chunk(b"zTXt", b"k\0\0" + zlib.compress(b"\0" * (1 << 26))) + sound[33:]
        ),
        "a profile of 256 MB": lambda: (
            sound[:33] + chunk(b"iCCP", b"k\0\0" + zlib.compress(b"\0" * (1 << 28))) + sound[33:]
        ),
        "100,000 text chunks": lambda: sound[:33] + chunk(b"tEXt", b"k\0v") * 100_000 + sound[33:],
        "a chunk of 2 GB claimed": sound[:33] + struct.pack(">I", 2**31 - 1) + b"IDAT" + sound[40:],
        "broken sums": sound[:33] + sound[33:].replace(b"IDAT", b"IDAT\0", 1),
        "a colour kind of 9": head(8, 8, 8, 9) + sound[33:],
        "250 frames of GIF": lambda: saved("GIF", 250),
        "a BMP that claims much": b"BM"
        + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 100_000, 100_000, 1, 24, 0, 0, 0, 0, 0, 0),
        "a BMP of negative size": b"BM"
        + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, -(2**31), -(2**31), 1, 24, 0, 0, 0, 0, 0, 0),
        "a PPM that claims much": b"P6 99999999 99999999 255\n" + b"\0" * 100,
        "a PPM of 2^64": b"P6 18446744073709551616 1 255\n" + b"\0" * 100,
        "a PPM with a long number": lambda: b"P6 " + b"1" * 10_000_000 + b" 1 255\n",
        "a TGA that claims much": struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, 65535, 65535, 32, 0),
        "an FLI": struct.pack("<IHHHH", 128, 0xAF12, 100, 65535, 65535) + b"\0" * 200,
        "a PSD that claims much": b"8BPS"
        + struct.pack(">H6sHIIHH", 1, b"\0" * 6, 3, 300_000, 300_000, 8, 3)
        + b"\0" * 12,
        "an XBM": b"#define x_width 100000\n#define x_height 100000\nstatic char x_bits[] = {\n0x00};",
        "a WMF": b"\xd7\xcd\xc6\x9a\0\0" + b"\0" * 40,
        "nothing": b"",
        "one byte": b"\x89",
    }
    exif = Image.Exif()
    exif[0x010E] = "\x1b[31m[bold]<script>"
    found["escapes in EXIF"] = saved("JPEG", exif=exif)
    tiff = bytearray(saved("TIFF"))
    for at in (4, 8, 10, 12, 14, 18):
        odd = bytearray(tiff)
        odd[at : at + 4] = b"\xff\xff\xff\x7f"
        found[f"a TIFF with byte {at} huge"] = bytes(odd)
    loop = bytearray(tiff)
    first = struct.unpack("<I", tiff[4:8])[0]
    n = struct.unpack("<H", tiff[first : first + 2])[0]
    loop[first + 2 + 12 * n : first + 6 + 12 * n] = struct.pack("<I", first)
    found["a TIFF whose folder leads to itself"] = bytes(loop)
    for fmt in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"):
        whole = saved(fmt)
        for _ in range(5):
            at = rng.randrange(len(whole))
            found[f"{fmt} cut at {at}"] = whole[:at]
            at = rng.randrange(len(whole))
            found[f"{fmt} byte {at}"] = whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :]
    return found


def blob(what: str, place: Place) -> bytes:
    """A blob, with the name of the file that it would make outside."""
    held = made()[what]
    return (held() if callable(held) else held).replace(b"%s", str(place.outside / "acted").encode())


def in_data() -> list[Hostile]:
    """A folder of four sound pictures and the hostile one, which is named .png."""
    found = []
    for what in made():

        def build(place: Place, what: str = what) -> Sequence[str]:
            folder = place.here / "pics"
            folder.mkdir()
            for i in range(4):
                (folder / f"{i}.png").write_bytes(png(i))
            (folder / "x.png").write_bytes(blob(what, place))
            return ["data", "prepare", str(folder), "--resolution", "8"]

        found.append(Hostile("pictures as data", what, build))
    return found


def in_run() -> list[Hostile]:
    """In the places of a run's pictures, which the report shows: whole, and small in a strip over training."""
    found = []
    for what in [w for w in made() if " byte " not in w and " cut at " not in w]:
        for folder in ("samples", "reconstructions") if what.startswith(("EPS", "200", "ICO", "SVG")) else ("samples",):

            def build(place: Place, what: str = what, folder: str = folder) -> Sequence[str]:
                run = place.run("vae")
                for at in (0, 1600, 3200):
                    sound = at == 1600
                    (run / folder / f"{at:09d}.png").write_bytes(png(1, 64) if sound else blob(what, place))
                return ["report", str(run), "--out", str(place.out / "report.html")]

            found.append(Hostile("pictures of a run", f"{what} in {folder}", build))
    return found
