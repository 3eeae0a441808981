"""idx files, strictly; the sets made of MNIST."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from idx_files import digits, idx
from PIL import Image

from triptych import data
from triptych.data.sources.mnist import binarise, read_idx
from triptych.errors import UserError


@pytest.fixture
def mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path / "sets"))
    return digits(tmp_path / "sets" / "mnist")


def test_named_set_from_the_collection(mnist: Path) -> None:
    train, test, both = (data.load("mnist", split=s) for s in ("train", "test", "all"))
    assert train.x.shape == (40, 1, 28, 28)
    assert train.x.dtype == torch.uint8
    assert train.labels is not None
    assert train.labels.dtype == torch.int64
    assert len(test) == 20
    assert torch.equal(both.x, torch.cat([train.x, test.x]))
    assert len({train.fingerprint, test.fingerprint, both.fingerprint}) == 3


def test_shared_data_beside_the_working_folder_is_found(tmp_path: Path) -> None:
    digits(tmp_path / "shared" / "data" / "mnist")
    assert len(data.load("mnist")) == 40


@pytest.mark.parametrize("zipped", [True, False])
def test_a_folder_given_by_path(tmp_path: Path, zipped: bool) -> None:
    folder = digits(tmp_path / "mine", zipped)
    assert data.load(folder, split="test").shape == (1, 28, 28)


def test_resized_as_pillow_does(mnist: Path) -> None:
    native, big = data.load("mnist"), data.load("mnist", resolution=64, channels=3)
    assert big.shape == (3, 64, 64)
    for i in (0, 17, 39):
        want = np.asarray(
            Image.fromarray(native.x[i, 0].numpy()).convert("RGB").resize((64, 64), Image.Resampling.BICUBIC)
        )
        assert np.array_equal(big.x[i].permute(1, 2, 0).numpy(), want)
    assert big.fingerprint != native.fingerprint
    assert torch.equal(big.x, data.load("mnist", resolution=64, channels=3).x)  # from the cache


def test_binarised(mnist: Path) -> None:
    d = data.load("binarymnist")
    assert set(d.x.unique().tolist()) == {0, 255}
    assert d.intensities is not None
    assert torch.equal(d.x, data.load("binarymnist").x)
    # Each pixel's share of ones is its grey level: 2,000 draws, 5 standard deviations (3e-7 per pixel).
    levels = torch.tensor([0, 51, 128, 255], dtype=torch.uint8).view(1, 1, 2, 2)
    drawn = binarise(levels.expand(2000, 1, 2, 2), torch.Generator().manual_seed(0)).float().mean(0) / 255
    p = levels[0] / 255
    assert ((drawn - p).abs() <= 5 * (p * (1 - p) / 2000).sqrt()).all()


def test_stacked(mnist: Path) -> None:
    d, grey = data.load("stackedmnist"), data.load("mnist")
    assert d.x.shape == (128_000, 3, 28, 28)
    assert len(data.load("stackedmnist", split="test")) == 26_000
    assert d.labels is not None
    assert grey.labels is not None
    assert int(d.labels.max()) <= 999
    y = int(d.labels[5])
    for channel, digit in enumerate((y // 100, y // 10 % 10, y % 10)):
        same = (grey.x[:, 0] == d.x[5, channel]).flatten(1).all(1)
        assert grey.labels[same].tolist() == [digit]


@pytest.mark.data
def test_real_mnist(real_data: Path) -> None:
    d = data.load("mnist")
    assert d.x.shape == (60_000, 1, 28, 28)
    assert d.labels is not None
    assert d.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert d.x.float().mean().item() / 255 == pytest.approx(0.1307, abs=1e-4)


BAD = {
    "truncated": (lambda raw: raw[:-100], "fewer"),
    "no header": (lambda raw: raw[:3], "no idx header"),
    "header cut": (lambda raw: raw[:9], "header is cut off"),
    "too long": (lambda raw: raw + b"x", "more"),
    "wrong magic": (lambda raw: b"\0\0\x08\x01" + raw[4:], "magic number"),
    "absurd count": (lambda raw: raw[:4] + b"\xff" * 12 + raw[16:], "claims"),
    "empty": (lambda raw: b"", "no idx header"),
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kind", BAD)
def test_damaged_files(mnist: Path, kind: str, zipped: bool) -> None:
    path = mnist / "train-images-idx3-ubyte.gz"
    damage, says = BAD[kind]
    raw = damage(gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(raw) if zipped else raw)
    with pytest.raises(UserError, match=says) as e:
        data.load("mnist")
    assert "\n" not in str(e.value)
    assert ";" in str(e.value)


def test_broken_gzip(mnist: Path) -> None:
    path = mnist / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UserError, match="damaged"):
        data.load("mnist")


def test_counts_that_differ(mnist: Path) -> None:
    (mnist / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.zeros(39, np.uint8))))
    with pytest.raises(UserError, match="40 train images but 39 labels"):
        data.load("mnist")


def test_label_out_of_range(mnist: Path) -> None:
    (mnist / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.full(40, 10, np.uint8))))
    with pytest.raises(UserError, match="label 10"):
        data.load("mnist")


def test_missing_file(mnist: Path) -> None:
    (mnist / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UserError, match="no test labels"):
        data.load("mnist", split="test")


def test_labels_are_not_images(mnist: Path) -> None:
    with pytest.raises(UserError, match="magic"):
        read_idx(mnist / "train-labels-idx1-ubyte.gz", 0x803)


def test_holdout_where_there_is_a_split(mnist: Path) -> None:
    with pytest.raises(UserError, match="test split of its own"):
        data.load("mnist", holdout=0.1)


def test_collection_that_is_not_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_DATA", "/no/such/place")
    with pytest.raises(UserError, match="not a folder"):
        data.load("mnist")
