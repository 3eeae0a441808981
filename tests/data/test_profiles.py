"""Colour profiles: what they mean in sRGB, counted; sRGB's own and broken ones change nothing."""

import io
from pathlib import Path

import numpy as np
import pytest
from encoded import grey_profile, packed, photo, srgb, swapped
from PIL import Image, ImageCms

from triptych import data
from triptych.data.prepare import decode, profiles

RED = np.zeros((8, 8, 3), np.uint8) + np.array([220, 0, 0], np.uint8)


def read(im: Image.Image, kind: str = "PNG", **how: object) -> tuple[np.ndarray, list[str]]:
    out, notes = decode.decode(packed(im, kind, **how))
    return np.asarray(out), notes


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP", "AVIF"])
def test_red_is_red_whatever_its_profile_calls_it(kind: str) -> None:
    blue = Image.fromarray(RED[..., ::-1].copy())
    got, notes = read(blue, kind, icc_profile=swapped())
    assert np.abs(got.astype(int) - RED).max() <= 6
    assert notes == [profiles.CONVERTED]


def test_srgb_changes_nothing() -> None:
    assert read(photo(), icc_profile=srgb())[1] == []
    assert np.array_equal(read(photo(), icc_profile=srgb())[0], np.asarray(photo()))
    grey, notes = read(photo().convert("L"), "JPEG", quality=95, icc_profile=srgb())
    assert (grey.ndim, notes) == (2, [])


def test_transparent_and_palette_pictures() -> None:
    blue = Image.fromarray(RED[..., ::-1].copy())
    clear = blue.convert("RGBA")
    clear.putpixel((0, 0), (0, 0, 220, 0))
    got, notes = read(clear, icc_profile=swapped())
    assert got[0, 0].tolist() == [255, 255, 255]
    assert np.abs(got[1:].astype(int) - RED[1:]).max() <= 2
    assert notes == ["transparency laid over white", profiles.CONVERTED]
    got, notes = read(blue.quantize(4), icc_profile=swapped())
    assert np.abs(got.astype(int) - RED).max() <= 2
    assert notes == ["mode P converted", profiles.CONVERTED]


def test_grey_profiles() -> None:
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None].repeat(2, 0))
    linear, notes = read(ramp, icc_profile=grey_profile(1.0))
    assert notes == [profiles.CONVERTED]
    assert linear.shape == (2, 256)
    assert linear[0, [0, 55, 255]].tolist() == pytest.approx([0, 128, 255], abs=2)  # linear light 0.216 is half
    alpha = ramp.convert("LA")
    got, notes = read(alpha, icc_profile=grey_profile(1.0))
    assert np.array_equal(got[..., 0], linear)
    assert profiles.CONVERTED in notes
    deep = Image.fromarray(np.asarray(ramp).astype(np.uint16) * 257)
    assert np.array_equal(read(deep, icc_profile=grey_profile(1.0))[0], linear)


def test_a_profile_for_other_colours_is_left_out() -> None:
    got, notes = read(photo(), icc_profile=grey_profile(1.0))
    assert np.array_equal(got, np.asarray(photo()))
    assert notes == ["colour profile for GRAY in a picture of mode RGB left out"]


def test_cmyk_by_its_profile_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    paper = photo().convert("CMYK")
    plain, notes = read(paper, "TIFF")
    assert notes == ["mode CMYK converted"]
    assert np.array_equal(plain, np.asarray(paper.convert("RGB")))
    got, notes = read(paper, "TIFF", icc_profile=b"garbage")
    assert np.array_equal(got, plain)
    assert notes == [profiles.BROKEN, "mode CMYK converted"]
    got, notes = read(paper, "TIFF", icc_profile=srgb())
    assert np.array_equal(got, plain)
    assert notes == ["colour profile for RGB in a picture of mode CMYK left out", "mode CMYK converted"]


def test_the_transform_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    profiles.transform.cache_clear()
    made = []
    build = ImageCms.buildTransform
    monkeypatch.setattr(ImageCms, "buildTransform", lambda *how: made.append(1) or build(*how))
    for _ in range(5):
        read(photo(), icc_profile=swapped())
    assert made == [1]


def test_converted_pictures_are_counted_and_another_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, profile in (("a", swapped()), ("b", None)):
        (tmp_path / name).mkdir()
        for i in range(3):
            photo(20 + i, 20).save(tmp_path / name / f"{i}.png", icc_profile=profile if i else None)
    assert data.load(tmp_path / "a", resolution=8).about["notes"] == {profiles.CONVERTED: 2}
    assert "2 converted from a colour profile to sRGB" in capsys.readouterr().err
    assert data.load(tmp_path / "b", resolution=8).about["notes"] == {}


def test_jpeg_in_memory_is_the_same_as_pillow_shows() -> None:
    """Against a transform made here, from Pillow's own documentation of it."""
    raw = packed(photo(), icc_profile=swapped())
    im = Image.open(io.BytesIO(raw))
    source = ImageCms.ImageCmsProfile(io.BytesIO(im.info["icc_profile"]))
    want = ImageCms.profileToProfile(im, source, ImageCms.createProfile("sRGB"))
    assert np.abs(np.asarray(want).astype(int) - np.asarray(decode.decode(raw)[0])).max() <= 1
