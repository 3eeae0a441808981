"""Every format that is listed, metadata that decide nothing, and files that are no pictures, each with its reason."""

import json
import os
import struct
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from encoded import chunk, packed, photo, png, tiff, with_chunk
from PIL import Image, PngImagePlugin

import triptych
from triptych import data
from triptych.data.prepare import decode, reasons, worker, workers
from triptych.data.prepare.reasons import Unusable
from triptych.errors import UserError


def pixels(raw: bytes) -> tuple[np.ndarray, list[str]]:
    im, notes = decode.decode(raw)
    return np.asarray(im), notes


# ------------------------------------------------------------------------------------------- formats


@pytest.mark.parametrize("kind", [*decode.USUAL, *decode.OTHERS, "MPO"])
def test_every_listed_format_is_read(kind: str) -> None:
    how = {"lossless": True} if kind == "WEBP" else {}
    im = photo() if kind != "ICO" else photo().resize((32, 32))
    try:
        raw = packed(im, kind, **how)
    except (KeyError, OSError):
        pytest.skip(f"this Pillow does not write {kind}")
    got, notes = pixels(raw)
    close = kind in ("JPEG", "MPO", "AVIF", "JPEG2000")
    wanted = np.asarray(im.quantize().convert("RGB")) if kind == "GIF" else np.asarray(im)
    assert np.abs(got.astype(int) - wanted).mean() < (6 if close else 1e-9)
    assert notes in ([], ["mode P converted"])


def test_a_mixed_folder_keeps_all(tmp_path: Path) -> None:
    for i, kind in enumerate(("avif", "jp2", "pcx", "png", "png")):
        photo().save(tmp_path / f"{i}.{kind}")
    assert len(data.load(tmp_path, resolution=16)) == 5


# The worker inherits nothing of the test's, so the fault is put into the file of a copy of the package.
def test_a_fault_of_the_program_ends_the_work_and_blames_no_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    home, copy = Path(triptych.__file__).parent, tmp_path / "copy" / "triptych"
    shutil.copytree(home, copy, ignore=shutil.ignore_patterns("__pycache__"))
    program, decoder = (copy / Path(m.__file__).relative_to(home) for m in (worker, decode))
    text = decoder.read_text()
    decoder.write_text(text.replace('mode = {1: "L"', 'mode = {7: "L"'))
    for i in range(3):
        (tmp_path / "pics").mkdir(exist_ok=True)
        photo().save(tmp_path / "pics" / f"{i}.png")
    monkeypatch.setattr(workers.WorkerPool, "program", str(program))
    with pytest.raises(RuntimeError, match=r"(?s)an error of the program itself.*KeyError"):
        data.load(tmp_path / "pics", resolution=8, channels=1)
    program.write_text("raise SystemExit(1)")
    with pytest.raises(RuntimeError, match="a decoding process ended by an error"):
        data.load(tmp_path / "pics", resolution=8, channels=1)


@pytest.mark.parametrize("wrong", [KeyError("x"), AttributeError("x"), TypeError("x")])
def test_only_what_a_decoder_raises_counts_against_a_picture(wrong: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object) -> None:
        raise wrong

    monkeypatch.setattr("triptych.data.prepare.decode.eight_bits", faulty)
    with pytest.raises(type(wrong)):
        decode.decode(packed(photo()))


# ------------------------------------------------------------------------------------------ metadata


def texts(how: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    long = "x" * 1_500_000
    info.add_itxt("workflow", long, zip=True) if how == "iTXt" else info.add_text("workflow", long, zip=True)
    return packed(photo(), "PNG", pnginfo=info)


def damaged_crc() -> bytes:
    sound = with_chunk(packed(photo()), chunk(b"tEXt", b"Title\0a"))
    return sound.replace(b"Title\0a", b"Title\0b")


def long_profile() -> bytes:
    import zlib

    return with_chunk(packed(photo()), chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(2_000_000))))


BARE, EXIF = "metadata unreadable and left out", "EXIF unreadable and left out"
ODD = {
    "zTXt": (lambda: texts("zTXt"), BARE),
    "iTXt": (lambda: texts("iTXt"), BARE),
    "bad checksum": (damaged_crc, BARE),
    "long profile": (long_profile, BARE),
    "text behind the pixels": (
        lambda: with_chunk(packed(photo()), texts("zTXt")[33:].partition(b"IDAT")[0][:-4], b"IEND"), BARE
    ),
    "eXIf": (lambda: with_chunk(packed(photo()), chunk(b"eXIf", b"\0\x08\0\x02\1\x12\0\3")), EXIF),
    "hex": (
        lambda: with_chunk(packed(photo()), chunk(b"tEXt", b"Raw profile type exif\0\nexif\n 4\nzzzz")), EXIF
    ),
    "webp": (lambda: packed(photo(), "WEBP", lossless=True, exif=b"\xff\xe1garbage"), EXIF),
    "jpeg": (lambda: packed(photo(), "JPEG", exif=b"Exif\0\0garbage"), EXIF),
    "profile": (lambda: packed(photo(), icc_profile=b"garbage"), "colour profile unreadable and left out"),
    "profile not packed": (
        lambda: with_chunk(packed(photo()), chunk(b"iCCP", b"x\0\0garbage")), "colour profile unreadable and left out"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_metadata_decide_nothing(name: str) -> None:
    make, note = ODD[name]
    got, notes = pixels(make())
    want = pixels(packed(photo(), "JPEG"))[0] if name == "jpeg" else np.asarray(photo())
    assert np.array_equal(got, want)
    assert notes == [note]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_tiff_whose_metadata_lead_nowhere_keeps_its_pixels() -> None:
    wanted = np.asarray(photo(12, 9))
    for tag in (34665, 34853):  # EXIF, GPS
        got, notes = pixels(tiff(wanted, **{f"t{tag}": 60_000}))
        assert np.array_equal(got, wanted)
        assert notes in ([], [BARE])


def test_damage_to_the_pixels_stays_damage() -> None:
    raw = bytearray(with_chunk(packed(photo()), chunk(b"tEXt", b"Title\0a")))
    raw[raw.index(b"IDAT") + 40] ^= 1
    with pytest.raises(Unusable, match="damaged"):
        decode.decode(bytes(raw))


@pytest.mark.parametrize("value", [2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
def test_exif_turns(kind: str, value: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = value
    raw = packed(photo(), kind, exif=exif)
    plain = Image.open(__import__("io").BytesIO(raw))
    want = ImageOps.exif_transpose(plain)
    got, notes = pixels(raw)
    assert np.array_equal(got, np.asarray(want))
    assert notes == ["turned upright as its EXIF says"]


def test_xmp_turns_where_exif_says_nothing() -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    words = b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>'
    raw = packed(photo(), "JPEG", exif=exif)
    raw = raw[:2] + b"\xff\xe1" + struct.pack(">H", len(words) + 2) + words + raw[2:]
    im, notes = decode.decode(raw)
    assert im.size == (48, 64)
    assert notes == [decode.TURNED]


@pytest.mark.parametrize("value", [0, 9, 300, "top"])
def test_an_orientation_that_means_nothing_is_no_turn(value: int | str) -> None:
    kind, count, body = (3, 1, value) if isinstance(value, int) else (2, 4, int.from_bytes(b"top", "little"))
    exif = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x0112, kind, count, body, 0)
    got, notes = pixels(with_chunk(packed(photo()), chunk(b"eXIf", exif)))
    assert np.array_equal(got, np.asarray(photo()))
    assert notes == ["EXIF orientation that means nothing"]


# ----------------------------------------------------------------------------- what is no picture


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(range(200))
NONE = {
    "HEIC": HEIC,
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n",
    "an HTML page": b"\xef\xbb\xbf\n<!-- a --><!DOCTYPE HTML><title>404</title>",
    "an XML or JSON text": b'{"error": "quota exceeded"}',
    "empty file": b"",
    "only zeros": bytes(5000),
    "DICOM": bytes(128) + b"DICM" + bytes(range(200)),
    "JPEG XL": b"\xff\x0a" + bytes(range(40)),
    "SVG": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "Photoshop": b"8BPS\0\1" + bytes(30),
    "PDF or PostScript": b"%PDF-1.7",
    "a raw camera file": b"FUJIFILMCCD-RAW 0201",
    "a video": b"\0\0\0\x20ftypisom" + bytes(20),
    "a zip archive": b"PK\3\4" + bytes(40),
    "a compressed file": b"\x1f\x8b\x08" + bytes(20),
    "a NumPy array": b"\x93NUMPY\1\0" + bytes(20),
    "an idx file": b"\0\0\x08\x03\0\0\0\1" + bytes(20),
    "a tar archive": b"name".ljust(257, b"\0") + b"ustar" + bytes(300),
    "an HDF5 or MATLAB file": b"\x89HDF\r\n\x1a\n" + bytes(30),
    "not a picture": b"hello, I am not a picture",
}


@pytest.mark.parametrize("kind", NONE)
def test_files_that_are_no_pictures_are_known_by_their_first_bytes(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triptych.data.prepare.decode.heif", lambda: False)
    with pytest.raises(Unusable) as said:
        decode.decode(NONE[kind])
    assert str(said.value).partition(":")[0] == kind
    assert (kind in reasons.ADVICE) == (":" in str(said.value))


def save(path: Path, raw: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(raw)


def test_the_error_names_the_commonest_reason_and_what_to_do(tmp_path: Path) -> None:
    for i in range(5):
        save(tmp_path / "f" / f"{i}.jpg", NONE["an HTML page"])
    save(tmp_path / "f" / "5.jpg", b"")
    for size in ({"resolution": 8}, {}):
        with pytest.raises(UserError, match=r"among 6 files; 5 of 6 were left aside as 'an HTML .*: download it again"):
            data.load(tmp_path / "f", **size)  # type: ignore[arg-type]
    photo().save(tmp_path / "f" / "6.png")
    with pytest.raises(UserError, match=r"6 of 7 pictures .* unreadable, 0\.jpg the first; 5 of 6 .*: download"):
        data.load(tmp_path / "f", resolution=8)


@pytest.mark.parametrize(
    ("at", "value", "says"), [(2, 9, "unpack it with another program"), (0, 1, "needs its password")]
)
def test_zips_that_are_not_read_say_why(tmp_path: Path, at: int, value: int, says: str) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as z:
        for i in range(3):
            z.writestr(f"{i}.png", packed(photo()))
    raw = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # the method of every member, or its flags
        i = raw.find(mark)
        while i >= 0:
            raw[i + offset + at] = value
            i = raw.find(mark, i + 4)
    path.write_bytes(raw)
    with pytest.raises(UserError, match=says):
        data.load(path, resolution=8)


def test_advice_counts_by_kind() -> None:
    said = reasons.advice(Counter({"damaged: a": 2, "damaged: b": 1, "HEIC: x": 2}))
    assert said == "3 of 5 were left aside as 'damaged': check what it is"
    assert reasons.advice(Counter({"empty file": 1})).startswith("it was left aside as 'empty file': copy")


def test_heic_by_the_extra(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif", reason="the extra heif is not installed")
    exif = Image.Exif()
    exif[0x0112] = 6
    for i in range(2):
        heif.from_pillow(photo()).save(tmp_path / f"{i}.heic", quality=95, exif=exif.tobytes() if i else None)
    d = data.load(tmp_path, resolution=16)
    assert len(d) == 2
    got, _ = pixels((tmp_path / "0.heic").read_bytes())
    assert np.abs(got.astype(int) - np.asarray(photo())).mean() < 6
    got, _ = pixels((tmp_path / "1.heic").read_bytes())
    assert got.shape == (64, 48, 3)
    with pytest.raises(Unusable, match="damaged"):
        decode.decode(HEIC)


# -------------------------------------------------------------------------------------- too large


def ico(inner: bytes) -> bytes:
    return struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(inner), 22) + inner


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_sizes_are_refused_by_the_header_within_others_too() -> None:
    large = png([], 30_000, 8, 2)
    large = large.replace(large[8:33], chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)))
    gif = bytearray(packed(Image.new("P", (8, 8)), "GIF"))
    at = gif.index(b"\x2c", 13 + 3 * (2 << (gif[10] & 7)) if gif[10] & 128 else 13)
    gif[at + 5 : at + 9] = struct.pack("<HH", 60_000, 60_000)  # a frame that is larger than its screen
    tiles = tiff(np.asarray(photo()), t322=40_000, t323=40_000)
    for raw in (large, ico(large), bytes(gif), tiles):
        with pytest.raises(Unusable, match="too large"):
            decode.decode(raw)


def test_the_limit_of_the_process_is_left_alone() -> None:
    assert Image.MAX_IMAGE_PIXELS is not None


def test_the_worker_starts_without_the_heavy_libraries() -> None:
    order = [sys.executable, "-X", "importtime", "-P", workers.WorkerPool.program]
    said = subprocess.run(
        order, input=json.dumps({"out": os.devnull}).encode() + b"\n", capture_output=True, check=False
    ).stderr.decode()
    assert "triptych.data.prepare.decode" in said
    assert not {"torch", "numpy", "PIL.ImageCms"} & {line.rpartition("|")[2].strip() for line in said.splitlines()}
