"""Array files: which arrays are examples, what the file is, and that headers may lie."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from triptych import data
from triptych.cli import main
from triptych.errors import UserError

RNG = np.random.default_rng(0)


def grey(n: int) -> np.ndarray:
    return RNG.integers(0, 256, (n, 8, 8), np.uint8)


def save(path: Path, arrays: Mapping[str, Any]) -> None:
    np.savez(path, **arrays)


def said(name: str, path: Path) -> str:
    return " | ".join(data.load(f"{path}:{name}" if name else path, split="all").about.get("taken", []))


# --------------------------------------------------------------------------------------------- names

TRAIN, TEST, VAL = grey(12), grey(5), grey(4)
Y, Y_TEST, Y_VAL = np.arange(12) % 3, np.arange(5) % 3, np.arange(4) % 3


@pytest.mark.parametrize(
    "names",
    [
        ("x_test", "y_test", "x_train", "y_train"),
        ("X_TRAIN", "Y_TRAIN", "X_TEST", "Y_TEST"),
        ("test_images", "train_images", "test_labels", "train_labels"),
        ("trainX", "trainY", "testX", "testY"),
        ("xtrain", "ytrain", "xtest", "ytest"),
        ("images_train", "images_test", "labels_train", "labels_test"),
    ],
)
def test_sides_by_their_names(tmp_path: Path, names: tuple[str, ...]) -> None:
    parts = {("x", 0): TRAIN, ("x", 1): TEST, ("y", 0): Y, ("y", 1): Y_TEST}
    arrays = {}
    for name in names:
        low = name.lower()
        is_label = "label" in low or low.startswith("y") or low.endswith("y")
        arrays[name] = parts["y" if is_label else "x", 1 if "test" in low else 0]
    save(tmp_path / "d.npz", arrays)
    train, test = (data.load(tmp_path / "d.npz", split=s) for s in ("train", "test"))
    assert torch.equal(train.x[:, 0], torch.from_numpy(TRAIN))
    assert torch.equal(test.x[:, 0], torch.from_numpy(TEST))
    assert train.labels is not None
    assert train.labels.tolist() == Y.tolist()
    assert test.labels is not None
    assert test.labels.tolist() == Y_TEST.tolist()
    assert "is test" in said("", tmp_path / "d.npz")
    with pytest.raises(UserError, match="test split of its own"):
        data.load(tmp_path / "d.npz", holdout=0.1)


def test_validation_is_in_neither(tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    x = {"train_images": TRAIN, "val_images": VAL, "test_images": TEST}
    y = {"train_labels": Y[:, None], "val_labels": Y_VAL[:, None], "test_labels": Y_TEST[:, None]}
    save(path, x | y)
    sizes = [len(data.load(path, split=s)) for s in ("train", "test", "all")]
    assert sizes == [12, 5, 21]
    assert "val_images is in neither" in said("", path)
    del x["test_images"], y["test_labels"]
    save(path, x | y)  # beside train alone it is the test side, as folders are
    assert len(data.load(path, split="test")) == 4


def test_several_labels_become_factors(tmp_path: Path) -> None:
    np.savez(tmp_path / "c.npz", x=TRAIN, labels=RNG.integers(0, 2, (12, 5)))
    d = data.load(tmp_path / "c.npz")
    assert d.labels is None
    assert list(d.factors) == [f"label {j}" for j in range(5)]
    assert "kept as factors" in said("", tmp_path / "c.npz")


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    about = np.array({"author": "nobody"}, dtype=object)
    np.savez(tmp_path / "m.npz", mask=(TRAIN > 128).astype(np.uint8), about=about, imgs=TRAIN)
    assert torch.equal(data.load(tmp_path / "m.npz").x[:, 0], torch.from_numpy(TRAIN))
    text = said("", tmp_path / "m.npz")
    assert "left out: mask 12 x 8 x 8 uint8, about (Python objects)" in text
    mask = data.load(f"{tmp_path}/m.npz:mask")
    assert set(mask.x.unique().tolist()) == {0, 255}
    assert "0 and 255" in said("mask", tmp_path / "m.npz")


def test_sprites_keep_their_factors(tmp_path: Path) -> None:
    classes = RNG.integers(0, 3, (12, 6))
    arrays = {"imgs": (TRAIN > 99).astype(np.uint8), "latents_values": classes / 3.0, "latents_classes": classes}
    save(tmp_path / "s.npz", {"metadata": np.array({}, dtype=object)} | arrays)
    d = data.load(tmp_path / "s.npz", holdout=0.4)
    assert list(d.factors) == ["color", "shape", "scale", "orientation", "posX", "posY"]
    assert {len(v) for v in d.factors.values()} == {len(d)}
    assert not d.factors["shape"].is_floating_point()
    assert set(d.x.unique().tolist()) == {0, 255}


@pytest.mark.parametrize(
    "arrays",
    [
        {"a": TRAIN, "b": TEST},
        {"images": TRAIN, "data": TEST},
        {"x_test": TEST, "x_val": VAL},
        {"arr_0": TRAIN, "arr_1": TEST},
        {"x": TRAIN, "x_test": TEST},
    ],
)
def test_what_the_names_leave_open_is_asked(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    save(tmp_path / "d.npz", arrays)
    with pytest.raises(UserError, match="holds several arrays") as e:
        data.load(tmp_path / "d.npz")
    for name in arrays:
        assert name in str(e.value)
        assert len(data.load(f"{tmp_path}/d.npz:{name}")) == len(arrays[name])


@pytest.mark.parametrize("name", ["arr_0", "faces", "X", "x_test", "latent"])
def test_one_array_is_taken_whatever_its_name(tmp_path: Path, name: str) -> None:
    save(tmp_path / "d.npz", {name: TRAIN})
    assert len(data.load(tmp_path / "d.npz")) == 12


def test_unnamed_samples_with_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", TRAIN, Y)
    d = data.load(tmp_path / "d.npz")
    assert d.labels is not None
    assert d.labels.tolist() == Y.tolist()


def test_statistics_are_no_examples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "a.npz", sigma=np.eye(64), mu=np.zeros(64))
    np.save(tmp_path / "b.npy", grey(4))
    for side in (["--real", "a.npz", "--fake", "b.npy"], ["--real", "b.npy", "--fake", "a.npz"]):
        assert main(["evaluate", *(str(tmp_path / w) if w.endswith("z") or w.endswith("y") else w for w in side)]) == 2
        assert "give it as --stats" in capsys.readouterr().err


def test_a_path_that_exists_comes_first(tmp_path: Path) -> None:
    save(tmp_path / "d.npz", {"x": TRAIN, "t.csv": TEST})
    assert len(data.load(f"{tmp_path}/d.npz:t.csv")) == 5
    (tmp_path / "d.npz:t.csv").write_text("1,2\n3,4\n")
    assert data.load(f"{tmp_path}/d.npz:t.csv").shape == (2,)
    with pytest.raises(UserError, match="has no array 'nothing' of numbers; it has x 12 x 8 x 8 uint8"):
        data.load(f"{tmp_path}/d.npz:nothing")
    np.save(tmp_path / "one.npy", VAL)
    with pytest.raises(UserError, match="holds one array"):
        data.load(f"{tmp_path}/one.npy:x")


# ------------------------------------------------------------------------------------- what it is


def test_opened_by_content(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=TRAIN)
    np.save(tmp_path / "b.npy", TRAIN)
    (tmp_path / "a.npz").rename(tmp_path / "c.npy")
    (tmp_path / "b.npy").rename(tmp_path / "d.npz")
    for name in ("c.npy", "d.npz"):
        assert torch.equal(data.load(tmp_path / name).x[:, 0], torch.from_numpy(TRAIN))


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".txt"])
@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"<!DOCTYPE html><title>404</title>", "web page"),
        (b"\n<HTML lang=en>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"", "is empty"),
        (b"\x80\x04\x95pickled", "pickle, which is never opened"),
        (b"\x1f\x8b\x08" + bytes(30), "unpack it first"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
    ],
)
def test_the_true_reason(tmp_path: Path, suffix: str, raw: bytes, says: str) -> None:
    path = tmp_path / f"f{suffix}"
    path.write_bytes(raw)
    with pytest.raises(UserError, match=says) as e:
        data.load(path)
    assert "objects" not in str(e.value)


# ------------------------------------------------------------------------------------- headers that lie


def npy(shape: str, dtype: str = "|u1", body: bytes = b"") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(118) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + body


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ("(-1, 8, 8)", "claims the shape"),
        ("(4000000000, 4000000000)", "claims 16,000,000,000,000,000,000 bytes"),
        ("(True, 8)", "damaged|cannot|can be read"),
        ("(100, 8, 8)", "cut off|damaged"),
        ("'x'", "can be read"),
        ("(" + "1," * 40 + ")", "damaged|can be read"),
    ],
)
def test_lying_headers(tmp_path: Path, shape: str, says: str) -> None:
    raw = npy(shape, body=bytes(64))
    (tmp_path / "a.npy").write_bytes(raw)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as z:
        z.writestr("x.npy", raw)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(UserError, match=says) as e:
            data.load(tmp_path / name)
        assert "\n" not in str(e.value)


def test_a_member_that_swells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triptych.data.sources.numpy_files.SWOLLEN", 1 << 20)
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((4096, 32, 32), np.uint8))
    with pytest.raises(UserError, match=r"would grow .*-fold"):
        data.load(tmp_path / "a.npz")


def test_more_than_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "a.npz", x=RNG.normal(size=(100, 4)))
    monkeypatch.setattr("triptych.data.sources.numpy_files.memory", lambda: 4000)
    with pytest.raises(UserError, match="of memory"):
        data.load(tmp_path / "a.npz")


def test_a_large_array_is_mapped_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "a.npz", x_train=TRAIN, x_test=TEST)
    whole = data.load(tmp_path / "a.npz", split="all")
    monkeypatch.setattr("triptych.data.sources.numpy_files.IN_MEMORY", 100)
    again = data.load(tmp_path / "a.npz", split="all")
    assert torch.equal(again.x, whole.x)
    assert again.fingerprint == whole.fingerprint
    assert list((tmp_path / "cache" / "prepared").glob("a-*/array.npy"))
    assert again.file is not None
    for d in (again, data.load(tmp_path / "a.npz", split="test")):
        assert d.file is not None
        raw = d.file[0].read_bytes()[d.file[1] : d.file[1] + d.x.numel()]
        assert raw == d.x.numpy().tobytes()
    np.savez_compressed(tmp_path / "b.npz", imgs=(TRAIN > 99).astype(np.uint8))
    assert set(data.load(tmp_path / "b.npz").x.unique().tolist()) == {0, 255}
    assert "0 and 255" in said("", tmp_path / "b.npz")
    np.savez_compressed(tmp_path / "a.npz", x_train=VAL, x_test=TEST)
    assert len(data.load(tmp_path / "a.npz")) == 4


@pytest.mark.parametrize("cut", [30, 200, 500])
def test_cut_off_archives(tmp_path: Path, cut: int) -> None:
    np.savez(tmp_path / "a.npz", x=TRAIN)
    raw = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(raw[:-cut])
    with pytest.raises(UserError, match="can be read"):
        data.load(tmp_path / "a.npz")
    spoilt = bytearray(raw)
    spoilt[len(raw) // 2] ^= 255
    (tmp_path / "a.npz").write_bytes(bytes(spoilt))
    with pytest.raises(UserError, match="can be read"):
        data.load(tmp_path / "a.npz")
