"""Pictures of more than 8 bits, and TIFFs, that arrived as others: read right, or refused with the reason."""

import struct
from pathlib import Path

import numpy as np
import pytest
from encoded import chunk, packed, photo, png, tiff
from PIL import Image, TiffImagePlugin

from triptych import data
from triptych.data.prepare import decode
from triptych.data.prepare.reasons import Unusable
from triptych.errors import UserError

COLOURS = np.asarray(photo(12, 9))
GREY = np.array([[[0], [2048], [4095]]])


def read(raw: bytes, limits: tuple[float, float] | None = None) -> tuple[np.ndarray, list[str]]:
    im, notes = decode.decode(raw, limits)
    return np.asarray(im), notes


# --------------------------------------------------------------------------------------------- TIFF


@pytest.mark.parametrize("planar", [False, True])
def test_eight_bit_colours_in_both_orders(planar: bool) -> None:
    got, notes = read(tiff(COLOURS, planar=planar))
    assert np.array_equal(got, COLOURS)
    assert notes == []


def test_sixteen_bit_colours_plane_by_plane_are_refused() -> None:
    deep = COLOURS.astype(np.uint16) * 257
    assert np.array_equal(read(tiff(deep))[0], COLOURS)
    with pytest.raises(Unusable, match="16-bit colours stored plane by plane: save it"):
        decode.decode(tiff(deep, planar=True))


@pytest.mark.parametrize("channels", [5, 6, 8])
@pytest.mark.parametrize("planar", [False, True])
def test_more_than_four_channels_are_refused(channels: int, planar: bool) -> None:
    a = np.dstack([COLOURS] * 3)[..., :channels]
    with pytest.raises(Unusable, match=f"more than four channels: {channels}; keep"):
        decode.decode(tiff(a, planar=planar, t338=(0,) * (channels - 3)))


def test_a_channel_without_meaning_is_said() -> None:
    got, notes = read(tiff(np.dstack([COLOURS, COLOURS[..., :1]]), t338=0))
    assert np.array_equal(got, COLOURS)
    assert notes == ["channel without a stated meaning left out"]


def pages(first: dict[int, int]) -> bytes:
    thumb = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in first.items():
        thumb[tag] = value
    small = photo().resize((16, 12))
    return packed(small, "TIFF", tiffinfo=thumb, save_all=True, append_images=[photo()])


def test_raw_camera_files_are_not_their_thumbnails() -> None:
    with pytest.raises(Unusable, match="its first page is a preview: export"):
        decode.decode(pages({254: 1}))
    cr2 = tiff(COLOURS, lead=b"CR\2\0\0\0\0\0")
    for raw in (cr2, tiff(COLOURS, t50706=(1, 4)), tiff(COLOURS[..., :1], photometric=32803)):
        with pytest.raises(Unusable, match="a raw camera file: develop it"):
            decode.decode(raw)
    assert read(pages({254: 0}))[1] == ["first of several pages"]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_white_is_zero(kind: type) -> None:
    v = np.arange(256, dtype=kind)[None, :, None] * (257 if kind is np.uint16 else 1)
    got, notes = read(tiff(v, photometric=0))
    assert got[0].tolist() == list(range(255, -1, -1))
    assert notes == ([] if kind is np.uint8 else ["16 bits reduced to 8", decode.INVERTED])


# ------------------------------------------------------------------------------- transparent colours


def test_a_transparent_grey_of_sixteen_bits() -> None:
    rows = [struct.pack(">4H", 0, 40_000, 0, 1)]
    got, notes = read(png(rows, 4, 16, 0, chunk(b"tRNS", b"\0\0")))
    assert got[0].tolist() == [255, 156, 255, 0]
    assert notes == ["16 bits reduced to 8", "transparent colour laid over white"]


def test_a_transparent_colour_that_no_pixel_has_is_not_noted() -> None:
    assert read(png([struct.pack(">2H", 0, 40_000)], 2, 16, 0, chunk(b"tRNS", b"\0\1")))[1] == ["16 bits reduced to 8"]
    assert read(png([b"\x1b"], 4, 2, 0, chunk(b"tRNS", b"\0\7")))[1] == []


@pytest.mark.parametrize(("bits", "row", "key"), [(2, 0b00011011, 1), (4, 0x0F, 15)])
def test_a_transparent_grey_of_few_bits(bits: int, row: int, key: int) -> None:
    got, notes = read(png([bytes([row])], 8 // bits, bits, 0, chunk(b"tRNS", struct.pack(">H", key))))
    assert notes == ["transparent colour laid over white"]
    grey = [[0, 255, 170, 255], [0, 255]][bits == 4]
    assert got[0, :, 0].tolist() == grey


def test_a_transparent_colour_of_sixteen_bits_is_refused() -> None:
    rows = [struct.pack(">6H", 0, 257, 65535, 256, 512, 65280)]
    with pytest.raises(Unusable, match="transparent colour of 16 bits a channel: save it with an alpha"):
        decode.decode(png(rows, 2, 16, 2, chunk(b"tRNS", rows[0][:6])))


# --------------------------------------------------------------------------------------------- range


@pytest.mark.parametrize(
    "a",
    [*map(GREY.astype, (np.int16, np.int32, np.uint32, np.float32)), -GREY.astype(np.int16)],
)  # fmt: skip
def test_values_without_a_stated_range_ask_for_it(a: np.ndarray) -> None:
    with pytest.raises(Unusable, match=r"values without a stated range: .* give --range LOW HIGH"):
        decode.decode(tiff(a))


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.int32, np.float32])
def test_a_range_maps_and_counts_what_it_clips(kind: type) -> None:
    got, notes = read(tiff(GREY.astype(kind)), (0, 4095))
    assert (got.tolist(), notes) == ([[0, 128, 255]], [])
    got, notes = read(tiff(GREY.astype(kind)), (1024, 3072))
    assert (got.tolist(), notes) == ([[0, 128, 255]], ["values beyond --range clipped"])
    if kind is not np.uint16:
        assert read(tiff((GREY - 2048).astype(kind)), (-2048, 2047))[0].tolist() == [[0, 128, 255]]


def test_a_range_of_floats_and_what_is_no_number() -> None:
    got, notes = read(tiff(np.array([[[0.0], [0.5], [np.nan], [np.inf]]], np.float32)), (0.0, 1.0))
    assert got.tolist() == [[0, 128, 0, 255]]
    assert notes == ["values beyond --range clipped", "values that are no number taken as the lowest"]


def test_a_range_leaves_eight_bits_alone_and_refuses_deep_colours() -> None:
    assert np.array_equal(read(packed(photo()), (0, 4095))[0], np.asarray(photo()))
    with pytest.raises(Unusable, match="16-bit colours have no --range"):
        decode.decode(tiff(COLOURS.astype(np.uint16) * 257), (0, 4095))


def test_twelve_bits_by_their_own_word() -> None:
    flat = [0, 4095, 2048, 1024]
    row = bytes([0x00, 0x0F, 0xFF, 0x80, 0x04, 0x00])
    raw = bytearray(tiff(np.zeros((1, 3, 1), np.uint16)))
    raw = raw[:-6] + row
    raw = raw.replace(struct.pack("<HHIH", 256, 3, 1, 3), struct.pack("<HHIH", 256, 3, 1, 4))
    raw = raw.replace(struct.pack("<HHIH", 258, 3, 1, 16), struct.pack("<HHIH", 258, 3, 1, 12))
    got, notes = read(bytes(raw))
    assert got[0].tolist() == [round(v * 255 / 4095) for v in flat]
    assert notes == ["12 bits reduced to 8"]


def test_a_range_on_the_way_to_a_set(tmp_path: Path) -> None:
    for i in range(4):
        (tmp_path / f"{i}.tif").write_bytes(tiff((GREY - 100 * i).astype(np.int16)))
    with pytest.raises(UserError, match=r"all 4 were left aside as 'values without a stated range': give --range LOW"):
        data.load(tmp_path)
    d = data.load(tmp_path, range=(0, 4095), channels=1)
    assert d.x[0].flatten().tolist() == [0, 128, 255]
    assert d.about["notes"] == {"values beyond --range clipped": 3}
    assert d.about["preparation"]["range"] == [0, 4095]
    assert data.load(tmp_path, range=(0, 5000), channels=1).fingerprint != d.fingerprint
    np.save(tmp_path / "a.npy", np.zeros((4, 8, 8), np.uint8))
    with pytest.raises(UserError, match="--range is for picture files"):
        data.load(tmp_path / "a.npy", range=(0, 4095))


def test_pictures_of_sixteen_bits_in_a_format_that_says_so() -> None:
    v = np.array([[0, 257, 65535]], np.uint16)
    pgm = b"P5 3 1 65535\n" + v.astype(">u2").tobytes()
    assert read(pgm)[0].tolist() == [[0, 1, 255]]
    assert read(packed(Image.fromarray(v), "TIFF"))[0].tolist() == [[0, 1, 255]]


@pytest.mark.parametrize("a", [COLOURS.astype(np.int16), COLOURS.astype(np.uint32), COLOURS.astype(np.float64)])
def test_a_tiff_that_nobody_reads_says_what_it_is(a: np.ndarray) -> None:
    with pytest.raises(
        Unusable, match=f"a kind of TIFF that is not read: 3 of {a.dtype.itemsize * 8} bits, .*; save it"
    ):
        decode.decode(tiff(a))
