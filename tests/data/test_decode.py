"""Every kind of picture a real folder has, against Pillow's own result."""

import io

import numpy as np
import pytest
from PIL import Image

from triptych.data.prepare import decode
from triptych.data.prepare.decode import FILTERS
from triptych.data.prepare.reasons import Unusable

RNG = np.random.default_rng(0)
HOW = {"resolution": 32, "fit": "squash", "channels": 3, "filter": "bicubic", "jpeg_quality": None}


def photo(w: int = 50, h: int = 40) -> Image.Image:
    """Smooth colours with some noise."""
    y, x = np.mgrid[:h, :w]
    base = np.stack([255 * x / max(w - 1, 1), 255 * y / max(h - 1, 1), 128 + 60 * np.sin(x / 5)], -1)
    return Image.fromarray((base + RNG.normal(0, 5, base.shape)).clip(0, 255).astype(np.uint8))


def packed(im: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    im.save(out, kind, **options)  # type: ignore[arg-type]
    return out.getvalue()


def through(data: bytes, **how: object) -> np.ndarray:
    im = decode.shape(decode.decode(data)[0], HOW | how)
    a = np.frombuffer(decode.planes(im), np.uint8).reshape(len(im.getbands()), im.height, im.width)
    return a.transpose(1, 2, 0).squeeze()


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("size", [(50, 40), (7, 90), (32, 32), (3, 3), (200, 1)])
def test_resampling_is_pillows_bit_for_bit(name: str, size: tuple[int, int]) -> None:
    im = photo(*size)
    want = np.asarray(im.resize((32, 32), FILTERS[name]))
    assert np.array_equal(through(packed(im), filter=name), want)


def test_jpeg_quality_reproduces_a_re_encoding() -> None:
    im = photo().resize((32, 32), Image.Resampling.BICUBIC)
    want = np.asarray(Image.open(io.BytesIO(packed(im, "JPEG", quality=75))))
    got = through(packed(photo()), jpeg_quality=75)
    assert got.shape == want.shape
    source = photo()
    want = np.asarray(
        Image.open(io.BytesIO(packed(source.resize((32, 32), Image.Resampling.BICUBIC), "JPEG", quality=75)))
    )
    assert np.array_equal(through(packed(source), jpeg_quality=75), want)


def test_crop_and_pad() -> None:
    im = photo(60, 40)
    want = np.asarray(im.crop((10, 0, 50, 40)).resize((32, 32), Image.Resampling.BICUBIC))
    assert np.array_equal(through(packed(im), fit="crop"), want)
    padded = through(packed(im), fit="pad")
    assert (padded[:5] == 255).all()
    assert (padded[-5:] == 255).all()
    assert np.array_equal(padded[5:26], np.asarray(im.resize((32, 21), Image.Resampling.BICUBIC)))
    for fit in ("crop", "pad"):
        assert through(packed(photo(90, 1)), fit=fit).shape == (32, 32, 3)


def convert(mode: str) -> tuple[bytes, Image.Image]:
    im = photo().convert("RGBA") if "A" in mode else photo()
    im = im.quantize(64) if mode == "P" else im.convert(mode)
    kind = "TIFF" if mode in ("CMYK", "YCbCr") else "PNG"
    return packed(im, kind), im.convert("RGB")


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1", "CMYK", "YCbCr"])
def test_modes(mode: str) -> None:
    data, want = convert(mode)
    assert np.array_equal(through(data, resolution=None), np.asarray(want))
    assert through(data, channels=1).shape == (32, 32)


def test_sixteen_bits() -> None:
    v = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    got = through(packed(Image.fromarray(v)), channels=1, resolution=None)
    assert got.tolist() == [0, 0, 1, 1, 128, 255]  # 65535 -> 255, to the nearest


def deep_png() -> bytes:
    """Two RGB pixels of 16 bits a channel, written by hand."""
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    row = b"\0" + struct.pack(">6H", 0, 257, 65535, 256, 512, 65280)
    head = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")


def test_sixteen_bit_colours_are_noted() -> None:
    im, notes = decode.decode(deep_png())
    assert notes == ["16 bits reduced to 8"]
    assert [im.getpixel((x, 0)) for x in (0, 1)] == [(0, 1, 255), (1, 2, 255)]


def test_a_dark_picture_of_sixteen_bits_stays_dark() -> None:
    dark, notes = decode.decode(packed(Image.fromarray(np.array([[0, 100, 255]], np.uint16))))
    assert np.asarray(dark).tolist() == [[0, 0, 1]]
    assert notes == ["16 bits reduced to 8", decode.DARK]


def test_transparency_over_white() -> None:
    im = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    im.putpixel((0, 0), (0, 0, 255, 255))
    picture, notes = decode.decode(packed(im))
    assert picture.getpixel((0, 0)) == (0, 0, 255)
    assert picture.getpixel((1, 1)) == (255, 255, 255)
    assert notes == ["transparency laid over white"]
    palette = photo().quantize(16)
    palette.info["transparency"] = 0
    assert decode.decode(packed(palette, transparency=0))[0].mode == "RGB"


def test_exif_rotation_is_undone() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = photo(40, 60)
    stored = upright.rotate(90, expand=True)  # the camera's sensor lay on its side
    im, notes = decode.decode(packed(stored, "PNG", exif=exif))
    assert np.array_equal(np.asarray(im), np.asarray(upright))
    assert notes == ["turned upright as its EXIF says"]


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (8, 8), c) for c in ("red", "blue")]
    im, notes = decode.decode(packed(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert im.convert("RGB").getpixel((0, 0)) == (255, 0, 0)
    assert "first frame of an animation" in notes


def bomb() -> bytes:
    """A PNG that claims a hundred thousand pixels a side."""
    data = bytearray(packed(Image.new("1", (8, 8))))
    import struct
    import zlib

    data[16:24] = struct.pack(">II", 100_000, 100_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


UNUSABLE = {
    "empty": (b"", "empty file"),
    "text": (b"hello, I am not a picture", "not a picture"),
    "html": (b"<html><body>quota exceeded</body></html>" * 50, "an HTML page: download it again"),
    "truncated jpeg": (packed(photo(200, 200), "JPEG")[:1500], "damaged"),
    "truncated png": (packed(photo())[:300], "damaged"),
    "bomb": (bomb(), "too large"),
    "float": (packed(Image.fromarray(RNG.normal(size=(4, 4)).astype(np.float32)), "TIFF"), "without a stated range"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PDF or PostScript: convert"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_unusable_files_say_why(kind: str) -> None:
    data, says = UNUSABLE[kind]
    with pytest.raises(Unusable, match=says):
        decode.decode(data)


def test_one_pixel_and_one_row() -> None:
    for size in ((1, 1), (1, 300), (300, 1)):
        assert through(packed(photo(*size))).shape == (32, 32, 3)
