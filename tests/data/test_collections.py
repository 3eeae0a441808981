"""What a person's own collections do to names, splits and the cache."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from triptych import data
from triptych.cli import main
from triptych.data.prepare.prepared import read_index
from triptych.errors import NoSplit, UserError


def save(path: Path, seed: int = 0, size: tuple[int, int] = (20, 16)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)).save(path)
    return path


def index(d: data.Data) -> dict:
    sources, skipped = read_index(Path(d.about["folder"]))
    return {"sources": sources, "skipped": skipped}


# ------------------------------------------------------------------------------------------- names


def idx(path: Path, x: np.ndarray) -> None:
    path.write_bytes(b"\0\0\x08" + bytes([x.ndim]) + b"".join(n.to_bytes(4, "big") for n in x.shape) + x.tobytes())


def test_the_contact_sheet_lies_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "digits"
    home.mkdir()
    for part, n in (("train", 12), ("t10k", 6)):
        idx(home / f"{part}-images-idx3-ubyte", np.random.default_rng(n).integers(0, 256, (n, 28, 28), np.uint8))
        idx(home / f"{part}-labels-idx1-ubyte", np.zeros(n, np.uint8))
    mine = tmp_path / "digits.png"
    mine.write_bytes(b"my own")
    (home / "inner").mkdir()
    monkeypatch.chdir(home / "inner")
    for i, name in enumerate((str(home), "..")):
        assert main(["data", "info", name]) == 0
        assert mine.read_bytes() == b"my own"
        assert len(list((tmp_path / "cache" / "sheets").glob("*.png"))) == i + 1
    assert not list(home.rglob("*.png"))


def test_a_sheet_without_an_extension_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "info", "moons", "--sheet", str(tmp_path / "sheet")]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'sheet'} has no picture's suffix; give --sheet NAME.png\n"


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
def test_member_names_that_are_no_text(tmp_path: Path, kind: str) -> None:
    picture = save(tmp_path / "a.png").read_bytes()
    with tarfile.open(tmp_path / f"a.{kind}", "w:gz" if kind == "tar.gz" else "w", errors="surrogateescape") as t:
        for name in (b"caf\xe9.png", b"plain.png"):
            member = tarfile.TarInfo(os.fsdecode(name))
            member.size = len(picture)
            t.addfile(member, io.BytesIO(picture))
    d = data.load(tmp_path / f"a.{kind}", resolution=8)
    assert sorted(s["name"] for s in index(d)["sources"]) == ["caf\\udce9.png", "plain.png"]


def test_a_zip_with_a_name_that_is_no_text(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as z:
        z.writestr("é.png", b"")
    raw = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(raw.replace("é".encode(), b"\xe9\xe9"))
    with pytest.raises(UserError, match="damaged zip"):
        data.load(tmp_path / "a.zip", resolution=8)


# ------------------------------------------------------------------------------------------ splits


@pytest.mark.parametrize("val", ["val", "Valid", "VALIDATION"])
def test_validation_is_the_test_side_where_there_is_no_other(tmp_path: Path, val: str) -> None:
    for i in range(6):
        save(tmp_path / "s" / ("Train" if i < 4 else val) / "ab"[i % 2] / f"{i}.png", i)
    found = {s: data.load(tmp_path / "s", split=s, resolution=8) for s in ("train", "test", "all")}
    assert {s: len(d) for s, d in found.items()} == {"train": 4, "test": 2, "all": 6}
    assert found["train"].classes == ("a", "b")


def test_validation_beside_a_test_side_is_in_neither(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(9):
        save(tmp_path / "s" / ("train", "val", "test")[i % 3] / "ab"[i % 2] / f"{i}.png", i)
    found = {s: data.load(tmp_path / "s", split=s, resolution=8) for s in ("train", "test", "all")}
    assert {s: len(d) for s, d in found.items()} == {"train": 3, "test": 3, "all": 9}
    assert found["all"].about["notes"]["validation, in neither train nor test"] == 3
    assert "3 validation, in neither train nor test" in capsys.readouterr().err
    assert found["all"].classes == ("a", "b")


def test_other_folders_beside_train_are_classes(tmp_path: Path) -> None:
    for i, name in enumerate(("train", "val", "bus")):
        save(tmp_path / "s" / name / f"{i}.png", i)
    assert data.load(tmp_path / "s", resolution=8).classes == ("bus", "train", "val")


def test_a_picture_of_another_suffix_outside_the_classes(tmp_path: Path) -> None:
    for i in range(4):
        save(tmp_path / "s" / "ab"[i % 2] / f"{i}.png", i)
    save(tmp_path / "s" / "x.png").rename(tmp_path / "s" / "backup.dat")
    d = data.load(tmp_path / "s", resolution=8)
    assert d.labels is not None
    assert d.labels.tolist() == [0, 0, 1, 1]
    assert index(d)["skipped"] == [{"name": "backup.dat", "reason": "in no class folder"}]
    assert main(["data", "info", str(tmp_path / "s"), "--resolution", "8"]) == 0


# --------------------------------------------------------------------------------- tables and cache


def faces(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four faces in a zip, without tables."""
    monkeypatch.setenv("TRIPTYCH_DATA", str(home.parent))
    home.mkdir(parents=True)
    with zipfile.ZipFile(home / "img_align_celeba.zip", "w") as z:
        for i in range(4):
            z.write(save(home.parent.parent / "one.png", i), f"{i + 1:06d}.png")
    return home


def partition(home: Path, sides: str) -> None:
    lines = (f"{i + 1:06d}.png {side}" for i, side in enumerate(sides))
    (home / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")


def attributes(home: Path, values: str) -> None:
    rows = "".join(f"{i + 1:06d}.png {'1' if v == '+' else '-1'}\n" for i, v in enumerate(values))
    (home / "list_attr_celeba.txt").write_text(f"4\nBald\n{rows}")


def test_a_partition_with_an_empty_test_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = faces(tmp_path / "sets" / "celeba", monkeypatch)
    partition(home, "0001")
    assert len(data.load("celeba", resolution=8)) == 3  # validation is not trained on
    with pytest.raises(NoSplit, match="no test split"):
        data.load("celeba", "test", resolution=8)
    parts = [data.load("celeba", s, resolution=8, holdout=0.5) for s in ("train", "test")]
    assert sum(map(len, parts)) == 3
    assert all(map(len, parts))
    with pytest.raises(UserError, match="another --holdout"):
        data.load("celeba", resolution=8, holdout=1e-9)


def test_tables_beside_an_archive_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = faces(tmp_path / "sets" / "celeba", monkeypatch)
    assert len(data.load("celeba", resolution=8)) == 4
    partition(home, "0102")
    assert len(data.load("celeba", resolution=8)) == 2
    attributes(home, "++--")
    first = data.load("celeba", "all", resolution=8)
    attributes(home, "-+-+--")
    second = data.load("celeba", "all", resolution=8)
    assert first.factors["Bald"].tolist() == [1, 1, 0, 0]
    assert second.factors["Bald"].tolist() == [0, 1, 0, 1]
    assert first.fingerprint != second.fingerprint


def test_the_index_follows_what_is_skipped(tmp_path: Path) -> None:
    for i in range(4):
        save(tmp_path / "s" / f"{i}.png", i)
    (tmp_path / "s" / "bad.png").write_bytes(b"<html>")
    one = data.load(tmp_path / "s", resolution=8)
    (tmp_path / "s" / "worse.png").write_bytes(b"")
    two = data.load(tmp_path / "s", resolution=8)
    assert (one.fingerprint, one.about["folder"]) == (two.fingerprint, two.about["folder"])
    assert one.about["skipped"] == {"an HTML page": 1}
    assert two.about["skipped"] == {"an HTML page": 1, "empty file": 1}
    assert {s["name"] for s in index(two)["skipped"]} == {"bad.png", "worse.png"}
    assert torch.equal(one.x, two.x)


@pytest.mark.parametrize("suffix", [".heic", ".heif", ".jxl", ".svg", ".psd", ".tga"])
def test_pictures_of_formats_that_are_not_read_count(tmp_path: Path, suffix: str) -> None:
    save(tmp_path / "s" / "a.png")
    for i in range(3):
        (tmp_path / "s" / f"{i}{suffix}").write_bytes(b"\0" * 50)
    with pytest.raises(UserError, match=r"3 of 4 pictures .* unreadable"):
        data.load(tmp_path / "s", resolution=8)


@pytest.mark.parametrize("how", [{"fit": "crop"}, {"filter": "box"}])
def test_fitting_needs_a_size(tmp_path: Path, how: dict[str, str]) -> None:
    save(tmp_path / "s" / "a.png")
    with pytest.raises(UserError, match="add --resolution"):
        data.load(tmp_path / "s", **how)  # type: ignore[arg-type]


def test_an_export_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(4):
        save(tmp_path / "s" / f"{i}.png", i)
    real, calls = Image.Image.save, []

    def full(self: Image.Image, *args: object, **options: object) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        real(self, *args, **options)  # type: ignore[arg-type]

    before = sorted(p.name for p in tmp_path.iterdir())
    args = ["data", "prepare", str(tmp_path / "s"), "--resolution", "8", "--export", str(tmp_path / "out")]
    with monkeypatch.context() as m:
        m.setattr(Image.Image, "save", full)
        assert main(args) == 2
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "cache") == [n for n in before if n != "cache"]
    (tmp_path / "out").mkdir()
    assert main(args) == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 4


# ------------------------------------------------------------------------------------------ labels


@pytest.mark.parametrize(
    ("labels", "says"),
    [(np.array([0, -1, 1]), "negative"), (np.arange(9).reshape(3, 3), "shape"), (np.array([0, 0.5, 1]), "float64")],
)
def test_labels_that_name_no_class(tmp_path: Path, labels: np.ndarray, says: str) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 8, 8), np.uint8), labels=labels)
    with pytest.raises(UserError, match=says) as e:
        data.load(tmp_path / "a.npz")
    assert "\n" not in str(e.value)
