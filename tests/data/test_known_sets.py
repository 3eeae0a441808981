"""Published sets in the layouts that people have them in: idx under other names, CIFAR, MedMNIST, digit tables."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from loopback import BODY, serving

from triptych import data
from triptych.cli import main
from triptych.data.sources import cifar
from triptych.data.sources.array_sets import ArraySet
from triptych.data.sources.mnist import read_idx
from triptych.errors import UserError
from triptych.system import download
from triptych.system.download import Remote

RNG = np.random.default_rng(0)


def idx(a: np.ndarray) -> bytes:
    return struct.pack(f">{1 + a.ndim}I", 0x800 | a.ndim, *a.shape) + a.astype(np.uint8).tobytes()


def idx_set(folder: Path, train: str, test: str, low: int = 0, classes: int = 10) -> np.ndarray:
    """Two splits of 26 and 13 pictures whose names begin with these; returns the training pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    first = np.empty(0)
    for stem, n in ((train, 26), (test, 13)):
        x = RNG.integers(0, 256, (n, 28, 28), np.uint8)
        first = first if first.size else x
        (folder / f"{stem}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(x), 1))
        (folder / f"{stem}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(low + np.arange(n) % classes)))
    return first


# ---------------------------------------------------------------------------------------------- idx


def test_letters_that_count_from_0_keep_their_numbers(tmp_path: Path) -> None:
    """Copies are shared that were made to count so; both sides are looked at, since one may lack the first class."""
    idx_set(tmp_path / "e", "emnist-letters-train", "emnist-letters-test", low=0, classes=26)
    for split in ("train", "test"):
        d = data.load(tmp_path / "e", split=split)
        assert d.labels is not None
        assert int(d.labels.min()) >= 0
        assert int(d.labels.max()) <= 25
        assert "labels count from 0 in these files, not from 1 as in the original" in d.about["taken"]
    assert main(["data", "info", str(tmp_path / "e")]) == 0


@pytest.mark.parametrize("name", ["letters", "emnist-letters"])
def test_emnist_is_turned_and_counts_from_zero(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    x = idx_set(tmp_path / "e", "emnist-letters-train", "emnist-letters-test", low=1, classes=26)
    d = data.load(tmp_path / "e")
    assert torch.equal(d.x[:, 0], torch.from_numpy(x).mT)
    assert d.labels is not None
    assert d.labels.tolist() == list(range(26))
    assert d.classes[:2] == ("A", "B")
    assert "they were turned" in capsys.readouterr().err
    assert len(data.load(tmp_path / "e", split="test")) == 13
    idx_set(tmp_path / "e", "emnist-digits-train", "emnist-digits-test")
    with pytest.raises(UserError, match="several sets of idx files: emnist-digits, emnist-letters; name one"):
        data.load(tmp_path / "e")
    assert torch.equal(data.load(f"{tmp_path}/e:{name}").x, d.x)
    with pytest.raises(UserError, match="no idx files named 'nothing'; it has emnist-digits, emnist-letters"):
        data.load(f"{tmp_path}/e:nothing")


def test_emnist_from_its_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = idx_set(tmp_path / "e", "emnist-balanced-train", "emnist-balanced-test", classes=47)
    with zipfile.ZipFile(tmp_path / "gzip.zip", "w") as z:
        for p in (tmp_path / "e").iterdir():
            z.write(p, f"gzip/{p.name}")
        z.writestr("gzip/../emnist-balanced-train-evil", b"x")
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "gzip.zip").rename(home / "gzip.zip")
    monkeypatch.setattr("triptych.data.sources.emnist.fetch", lambda folder, remotes: home)
    assert torch.equal(data.load("emnist-balanced").x[:, 0], torch.from_numpy(x).mT)
    assert len(list(home.glob("emnist-*"))) == 4


@pytest.mark.parametrize(
    ("below", "classes"), [("MNIST/raw", "0"), ("FashionMNIST/raw", "T-shirt"), ("KMNIST/raw", "o"), ("gzip", "0")]
)
def test_where_libraries_put_them(tmp_path: Path, below: str, classes: str) -> None:
    x = idx_set(tmp_path / "d" / below, "train", "t10k")
    for place in {tmp_path / "d", (tmp_path / "d" / below).parent}:
        d = data.load(place)
        assert torch.equal(d.x[:, 0], torch.from_numpy(x))
        assert d.classes[0] == classes


def test_two_sets_below_one_folder_are_asked(tmp_path: Path) -> None:
    idx_set(tmp_path / "d/MNIST/raw", "train", "t10k")
    fashion = idx_set(tmp_path / "d/FashionMNIST/raw", "train", "t10k")
    with pytest.raises(UserError, match="several sets of idx files: fashionmnist, mnist"):
        data.load(tmp_path / "d")
    assert torch.equal(data.load(f"{tmp_path}/d:FashionMNIST").x[:, 0], torch.from_numpy(fashion))


def test_idx_files_that_claim_what_they_do_not_hold(tmp_path: Path) -> None:
    for name, pack in (("plain", bytes), ("packed", gzip.compress)):
        (tmp_path / name).write_bytes(pack(struct.pack(">4I", 0x803, 1_000_000, 30, 30) + bytes(100)))
        with pytest.raises(UserError, match="claims 1000000 x 30 x 30 values"):
            read_idx(tmp_path / name, 0x803)


# -------------------------------------------------------------------------------------------- CIFAR


def binary(n: int, labels: int, most: int) -> tuple[bytes, np.ndarray, np.ndarray]:
    x, y = RNG.integers(0, 256, (n, 3072), np.uint8), np.arange(n) % most
    head = np.stack([np.zeros(n), y], 1)[:, 2 - labels :].astype(np.uint8)
    return np.concatenate([head, x], 1).tobytes(), x.reshape(-1, 3, 32, 32), y


def test_binary_cifar10(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    parts = [binary(4, 1, 10) for _ in range(6)]
    for name, part in zip(cifar.BINARY_10.members, parts, strict=True):
        (folder / name).write_bytes(part[0])
    train, test = data.load(folder), data.load(tmp_path, split="test")
    assert torch.equal(train.x, torch.from_numpy(np.concatenate([p[1] for p in parts[:5]])))
    assert torch.equal(test.x, torch.from_numpy(parts[5][1]))
    assert train.labels is not None
    assert train.labels.tolist() == [0, 1, 2, 3] * 5
    assert train.classes[0] == "airplane"
    (folder / "test_batch.bin").write_bytes(parts[5][0][:-1])
    with pytest.raises(UserError, match=r"not a multiple of 3,073"):
        data.load(folder)


def test_binary_cifar100_from_its_archive(tmp_path: Path) -> None:
    raw, x, y = binary(9, 2, 100)
    names = "\n".join(f"class{i}" for i in range(100)).encode()
    with tarfile.open(tmp_path / "cifar-100-binary.tar.gz", "w:gz") as t:
        for name, content in (("train.bin", raw), ("test.bin", raw), ("fine_label_names.txt", names)):
            info = tarfile.TarInfo(f"cifar-100-binary/{name}")
            info.size = len(content)
            t.addfile(info, io.BytesIO(content))
    for place in (tmp_path, tmp_path / "cifar-100-binary.tar.gz"):
        d = data.load(place)
        assert torch.equal(d.x, torch.from_numpy(x))
        assert d.labels is not None
        assert d.labels.tolist() == y.tolist()
        assert d.classes[99] == "class99"


def test_cifar100_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    x = RNG.integers(0, 256, (5, 3072), np.uint8)
    names = [f"n{i}".encode() for i in range(100)]
    content = {
        "train": {b"data": x, b"fine_labels": [99, 0, 1, 2, 3], b"coarse_labels": [0] * 5},
        "test": {b"data": x[:2], b"fine_labels": [4, 5]},
        "meta": {b"fine_label_names": names},
    }
    sums = {}
    for name, value in content.items():
        raw = pickle.dumps(value, protocol=3).replace(b"numpy._core", b"numpy.core")
        (folder / name).write_bytes(raw)
        sums[name] = hashlib.md5(raw).hexdigest()
    with pytest.raises(UserError, match="not the official file"):
        data.load(folder)
    known = replace(cifar.CIFAR100, versions=(replace(cifar.PYTHON_100, sums=sums), cifar.BINARY_100))
    monkeypatch.setattr("triptych.data.sources.cifar.KNOWN", (known,))
    d = data.load(folder)
    assert d.labels is not None
    assert d.labels.tolist() == [99, 0, 1, 2, 3]
    assert d.classes[99] == "n99"
    assert len(data.load(folder, split="test")) == 2


# -------------------------------------------------------------------------------------------- named


def test_sets_of_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path / "sets"))
    (tmp_path / "sets" / "medmnist").mkdir(parents=True)
    parts = {}
    for side, n in (("train", 8), ("val", 3), ("test", 4)):
        parts[f"{side}_images"] = RNG.integers(0, 256, (n, 28, 28, 3), np.uint8)
        parts[f"{side}_labels"] = (np.arange(n) % 8)[:, None].astype(np.uint8)
    np.savez(tmp_path / "sets" / "medmnist" / "bloodmnist.npz", **parts)
    d = data.load("bloodmnist")
    assert d.x.shape == (8, 3, 28, 28)
    assert d.classes[-1] == "platelet"
    assert d.about["licence"] == "CC BY 4.0"
    assert len(data.load("bloodmnist", split="test")) == 4


def test_named_sets_are_listed_with_terms(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list"]) == 0
    out = capsys.readouterr().out
    for name in ("kmnist", "emnist-letters", "cifar100", "dsprites", "bloodmnist"):
        assert name in out
    for source in data.all_sources().values():
        for remote in [*getattr(source, "remotes", ()), getattr(source, "remote", None)]:
            assert remote is None or remote.url.startswith("https://")


# ------------------------------------------------------------------------------------ digit tables


def digits(path: Path, n: int, label: bool = True) -> np.ndarray:
    x = RNG.integers(0, 256, (n, 64))
    columns = (["label"] if label else []) + [f"pixel{i}" for i in range(64)]
    table = np.c_[np.arange(n) % 3, x] if label else x
    np.savetxt(path, table, "%d", ",", header=",".join(columns), comments="")
    return x


def test_a_folder_of_digit_tables(tmp_path: Path) -> None:
    folder = tmp_path / "k"
    folder.mkdir()
    x = digits(folder / "train.csv", 9)
    assert data.load(folder).labels is not None
    with pytest.raises(UserError, match="no test split"):
        data.load(folder, split="test")
    digits(folder / "test.csv", 5, label=False)
    (folder / "sample_submission.csv").write_text("ImageId,Label\n1,0\n")
    train, test, both = (data.load(folder, split=s) for s in ("train", "test", "all"))
    assert torch.equal(train.x.flatten(1), torch.from_numpy(x.astype(np.uint8)))
    assert train.labels is not None
    assert test.labels is None
    assert (len(test), len(both)) == (5, 14)
    assert "labels left out, since one table has none" in both.about["taken"]


# --------------------------------------------------------------------------------- trust on first use


def test_a_file_without_a_checksum_is_trusted_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as server:
        remote = Remote(server.address("set.tar"))
        download.download(remote, tmp_path / "set.tar", pause=0.01)
        assert "trusted on first use" in capsys.readouterr().err
        download.check_trusted(tmp_path / "set.tar")
        (tmp_path / "set.tar").write_bytes(BODY[:-1])
        with pytest.raises(UserError, match="changed since it was fetched"):
            download.check_trusted(tmp_path / "set.tar")
        (tmp_path / "set.tar").unlink()
        (tmp_path / "set.tar.sha256").write_text("sha256:" + "0" * 64 + "\n")
        with pytest.raises(UserError, match="another file than the one first fetched"):
            download.download(remote, tmp_path / "set.tar", pause=0.01)
        assert not (tmp_path / "set.tar").exists()
        whole = replace(remote, checksum="sha256:" + hashlib.sha256(BODY).hexdigest(), name="b")
        download.download(whole, tmp_path / "b", pause=0.01)
        assert not (tmp_path / "b.sha256").exists()


def test_a_set_that_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path))
    (tmp_path / "d").mkdir()
    np.savez(tmp_path / "d" / "d.npz", imgs=RNG.integers(0, 2, (9, 8, 8), np.uint8))
    (tmp_path / "d" / "d.npz.sha256").write_text("sha256:" + "1" * 64)
    source = ArraySet("D", "d", "", "", "", Remote("https://127.0.0.1/d.npz"))
    with pytest.raises(UserError, match="changed since it was fetched"):
        source.load("d", "train", data.Preparation())
