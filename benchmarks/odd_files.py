"""Two thousand damaged or odd files in a good folder: does anything crash, and is each accounted for?"""

from __future__ import annotations

import io
import json
import os
import random
import struct
import sys
import tempfile
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
from common import record
from PIL import Image

from triptych.data import load

GOOD, ODD = 2_500, 2_000
MODES = ("L", "LA", "RGB", "RGBA", "P", "CMYK", "1", "YCbCr", "I;16", "F")
KINDS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "ICO", "JPEG2000")


def picture(rng: random.Random, mode: str = "RGB") -> Image.Image:
    w, h = rng.choice([(1, 1), (1, 900), (900, 1), (33, 47), (64, 64), (300, 200)])
    a = np.random.default_rng(rng.getrandbits(32)).integers(0, 256, (h, w, 3), np.uint8)
    if mode == "I;16":
        return Image.fromarray(a[..., 0].astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(a[..., 0].astype(np.float32))
    return Image.fromarray(a).convert(mode)


def packed(im: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    try:
        im.save(out, kind, **options)  # type: ignore[arg-type]
    except (OSError, ValueError, KeyError):  # a mode that the format does not know
        out = io.BytesIO()
        im.convert("RGB").save(out, "PNG")
    return out.getvalue()


def bomb(rng: random.Random) -> bytes:
    data = bytearray(packed(Image.new("1", (8, 8)), "PNG"))
    data[16:24] = struct.pack(">II", rng.choice([50_000, 2**31 - 1]), 100_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


def damaged(rng: random.Random) -> bytes:
    """A sound file of any format, cut, or with bytes changed, removed or repeated."""
    data = bytearray(packed(picture(rng, rng.choice(MODES)), rng.choice(KINDS)))
    match rng.randrange(5):
        case 0:
            return bytes(data[: rng.randrange(len(data))])
        case 1:
            for _ in range(rng.randint(1, 40)):
                data[rng.randrange(len(data))] = rng.randrange(256)
        case 2:
            for _ in range(rng.randint(1, 4)):  # the header, where the sizes are
                data[rng.randrange(min(64, len(data)))] = rng.choice([0, 255, rng.randrange(256)])
        case 3:
            at = rng.randrange(len(data))
            del data[at : at + rng.randint(1, 100)]
        case 4:
            at = rng.randrange(len(data))
            data[at:at] = data[: rng.randint(1, 500)]
    return bytes(data)


def odd(rng: random.Random, folder: Path, i: int) -> str:
    """Write one odd file; returns what it is."""
    kind = rng.choice(
        ["damaged"] * 12 + ["mode"] * 6 + ["exif", "frames", "bomb", "empty", "text", "noise", "name", "link"]
    )
    path = folder / f"odd{i:05d}.{rng.choice(['jpg', 'png', 'gif', 'tif', 'webp', 'JPG', 'bmp'])}"
    match kind:
        case "damaged":
            path.write_bytes(damaged(rng))
        case "mode":
            path.write_bytes(packed(picture(rng, rng.choice(MODES)), rng.choice(KINDS)))
        case "exif":
            exif = Image.Exif()
            exif[0x0112] = rng.randint(0, 12)
            path.write_bytes(packed(picture(rng), "JPEG", exif=exif))
        case "frames":
            path.write_bytes(packed(picture(rng), "GIF", save_all=True, append_images=[picture(rng)]))
        case "bomb":
            path.write_bytes(bomb(rng))
        case "empty":
            path.touch()
        case "text":
            path.write_bytes(b"<html><body>quota exceeded</body></html>")
        case "noise":
            path.write_bytes(rng.randbytes(rng.randint(1, 5000)))
        case "name":
            name = rng.choice(
                [b"\xff\xfe%d.jpg", "ünï çödé %d 图.png".encode(), b"%d \n new line.jpg", b"%d." + b"x" * 200]
            )
            Path(os.fsdecode(os.fsencode(folder) + b"/" + name.replace(b"%d", str(i).encode()))).write_bytes(
                packed(picture(rng), "PNG")
            )
        case "link":
            path.symlink_to(rng.choice(["nowhere", path.name, "/dev/zero", "/proc/self/mem"]))
    return kind


def main() -> None:
    rng = random.Random(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    with tempfile.TemporaryDirectory() as tmp:
        os.environ["TRIPTYCH_CACHE"] = f"{tmp}/cache"
        folder = Path(tmp) / "folder"
        folder.mkdir()
        for i in range(GOOD):
            (folder / f"good{i:05d}.jpg").write_bytes(packed(picture(rng), "JPEG"))
        kinds = Counter(odd(rng, folder, i) for i in range(ODD))
        there = sum(1 for _ in folder.iterdir())
        data = load(folder, resolution=32)
        index = json.loads((Path(data.about["folder"]) / "index.json").read_text(encoding="utf-8"))
        kept, skipped = {s["name"] for s in index["sources"]}, {s["name"] for s in index["skipped"]}
        good = sum(name.startswith("good") for name in kept)
        missing = there - len(kept | skipped)
    crashed = sum("died" in s["reason"] for s in index["skipped"])
    record(
        "odd_files",
        f"{ODD:,} damaged or odd files among {GOOD:,} good ones",
        "0 crashes, each odd file accounted for in the index",
        f"0 crashes, {missing} files unaccounted for, {good:,} good and {len(kept) - good:,} odd files kept, "
        f"{len(skipped):,} skipped with a reason ({crashed} because a worker died of them)",
        missing == 0 and good == GOOD and not (kept & skipped),
        {"kinds": dict(kinds), "reasons": data.about["skipped"], "notes": data.about["notes"]},
    )


if __name__ == "__main__":
    main()
