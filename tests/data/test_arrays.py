"""Array files, tables and CIFAR-10."""

import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from triptych import data
from triptych.data.sources.cifar import unpickle
from triptych.errors import UserError

RNG = np.random.default_rng(0)


def test_pictures_of_every_layout(tmp_path: Path) -> None:
    x = RNG.integers(0, 256, (6, 8, 9, 3), np.uint8)
    for name, a in {"nhwc": x, "nchw": x.transpose(0, 3, 1, 2)}.items():
        np.save(tmp_path / f"{name}.npy", a)
        d = data.load(tmp_path / f"{name}.npy")
        assert torch.equal(d.x, torch.from_numpy(x).permute(0, 3, 1, 2))
    np.save(tmp_path / "grey.npy", x[..., 0])
    assert data.load(tmp_path / "grey.npy").shape == (1, 8, 9)
    assert data.load(tmp_path / "grey.npy", resolution=4, channels=3).shape == (3, 4, 4)


def test_pictures_of_floats_between_0_and_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = RNG.integers(0, 256, (6, 8, 9, 3), np.uint8)
    for kind in (np.float16, np.float32, np.float64):
        np.save(tmp_path / "a.npy", (x / 255).astype(kind))
        assert torch.equal(data.load(tmp_path / "a.npy").x, torch.from_numpy(x).permute(0, 3, 1, 2))
    assert "rounded to 256 greys" in capsys.readouterr().err
    np.savez(tmp_path / "b.npz", x_train=x[:4] / 255, x_test=x[4:] / 255)
    assert torch.equal(data.load(tmp_path / "b.npz", "test").x, torch.from_numpy(x[4:]).permute(0, 3, 1, 2))


def test_npz_with_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=RNG.integers(0, 256, (6, 1, 8, 8), np.uint8), labels=np.arange(6) % 3)
    d = data.load(tmp_path / "a.npz")
    assert d.labels is not None
    assert d.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert d.classes == ("0", "1", "2")
    np.savez(tmp_path / "b.npz", x=np.zeros((6, 8, 8), np.uint8), labels=np.arange(5))
    with pytest.raises(UserError, match="6 examples but 5 labels"):
        data.load(tmp_path / "b.npz")


def test_table_with_names(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("height,weight\n1.5,60\n1.8,80\n\n1.7,70\n")
    d = data.load(path)
    assert d.x.dtype == torch.float32
    assert d.columns == ("height", "weight")
    assert d.x.tolist() == [[1.5, 60.0], [pytest.approx(1.8), 80.0], [pytest.approx(1.7), 70.0]]
    path.write_text("1,2\n3,4\n")
    assert data.load(path).columns == ()


def test_holdout_of_a_table_is_by_content(tmp_path: Path) -> None:
    x = RNG.normal(size=(500, 3)).astype(np.float32)
    np.save(tmp_path / "a.npy", x)
    np.save(tmp_path / "b.npy", x[::-1])
    train, test = (data.load(tmp_path / "a.npy", split=s, holdout=0.2) for s in ("train", "test"))
    assert len(train) + len(test) == 500
    assert 60 < len(test) < 140
    other = data.load(tmp_path / "b.npy", split="test", holdout=0.2)
    assert torch.equal(other.x.flip(0), test.x)
    with pytest.raises(UserError, match="--holdout"):
        data.load(tmp_path / "a.npy", split="test")


BAD = {
    "nan.csv": ("a,b\n1,2\n3,nan\n4,5\n", "NaN or infinite values, the first is row 2 in b"),
    "constant.csv": ("a,b\n1,2\n3,2\n", "b is constant"),
    "empty.csv": ("", "is empty"),
    "header.csv": ("a,b\n", "at least one"),
    "ragged.csv": ("a,b\n1,2\n3\n", "line 3 has 1 cells, not 2"),
}


@pytest.mark.parametrize("name", BAD)
def test_tables_that_cannot_be_learnt(tmp_path: Path, name: str) -> None:
    content, says = BAD[name]
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=says) as e:
        data.load(tmp_path / name)
    assert "\n" not in str(e.value)


ARRAYS = {
    "shape": (np.zeros((2, 2, 2, 2, 2)), "shape"),
    "whole numbers": (np.zeros((4, 8, 8), np.int64), "shape"),
    "floats to 255": (np.full((4, 8, 8), 254.5), r"from 254.5 to 254.5; floats must lie in \[0, 1\]"),
    "floats from -1": (np.linspace(-1, 1, 64).reshape(1, 8, 8), "from -1 to 1"),
    "a float that is none": (np.full((2, 4, 4), np.nan, np.float32), "from nan to nan"),
    "channels": (np.zeros((4, 5, 5, 5), np.uint8), "1 or 3 channels"),
    "infinite": (np.array([[1.0], [np.inf]]), "infinite"),
    "words": (np.array([["a"], ["b"]]), "not numbers"),
    "none": (np.zeros((0, 3)), "at least one"),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_that_are_no_data(tmp_path: Path, kind: str) -> None:
    a, says = ARRAYS[kind]
    np.save(tmp_path / "a.npy", a)
    with pytest.raises(UserError, match=says):
        data.load(tmp_path / "a.npy")


class Evil:
    def __reduce__(self) -> tuple:
        return os.system, ("touch pwned",)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="Python objects"):
        data.load(tmp_path / "a.npy")
    for raw in (b"rubbish", b"\x93NUMPY"):
        (tmp_path / "b.npy").write_bytes(raw)
        with pytest.raises(UserError, match="not an array file"):
            data.load(tmp_path / "b.npy")
    (tmp_path / "c.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(UserError, match="not an array file"):
        data.load(tmp_path / "c.npz")
    assert not Path("pwned").exists()


def test_options_that_do_not_fit_a_table(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", RNG.normal(size=(5, 2)))
    with pytest.raises(UserError, match="table, not pictures"):
        data.load(tmp_path / "a.npy", resolution=32)


def test_only_the_official_batches_are_unpickled() -> None:
    raw = pickle.dumps({b"data": Evil()}, protocol=2)
    with pytest.raises(UserError, match="md5 differs"):
        unpickle(raw, "0" * 32, "data_batch_1")
    # Even behind a right checksum, nothing but arrays is built.
    with pytest.raises(UserError, match="it wants"):
        unpickle(raw, hashlib.md5(raw).hexdigest(), "data_batch_1")
    assert not Path("pwned").exists()


def test_incomplete_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sets" / "cifar10" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path / "sets"))
    (folder / "data_batch_1").write_bytes(b"not a batch")
    with pytest.raises(UserError, match="not the official file"):
        data.load("cifar10")


@pytest.mark.data
def test_real_cifar10(real_data: Path) -> None:
    train = data.load("cifar10")
    assert train.x.shape == (50_000, 3, 32, 32)
    assert train.labels is not None
    assert torch.bincount(train.labels).tolist() == [5000] * 10
    mean = train.x.float().mean((0, 2, 3)) / 255
    assert mean.tolist() == pytest.approx([0.4914, 0.4822, 0.4465], abs=1e-4)
    assert len(data.load("cifar10", split="test")) == 10_000
