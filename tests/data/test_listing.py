"""Folders as people have them: litter of drives, odd names, CelebA's layouts, devices, things that are no pictures."""

import os
import socket
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from picture_files import png, write, write_tar, write_zip

from triptych import data
from triptych.cli import main
from triptych.data.prepare import litter
from triptych.data.prepare.layouts import collection
from triptych.data.prepare.prepared import read_index
from triptych.errors import UserError

LITTER = (
    "@eaDir/0.png/SYNOPHOTO_THUMB_M.jpg",
    "$RECYCLE.BIN/S-1-5-21/$RX.jpg",
    "$Recycle.Bin/x.png",
    "#recycle/old.jpg",
    ".Trash-1000/files/old.png",
    ".Trashes/501/old.png",
    "System Volume Information/x.png",
    "lost+found/#1234.png",
    ".thumbnails/normal/x.png",
    ".ipynb_checkpoints/0-checkpoint.png",
    "@Recycle/x.png",
    "@Recently-Snapshot/x.png",
    ".@__thumb/default0.jpg",
    "__MACOSX/._0.png",
    "#snapshot/0.png",
    "cat/@eaDir/0.png/SYNOPHOTO_THUMB_XL.jpg",
    "cat/._0.png",
    "cat/Thumbs.db",
    "cat/desktop.ini",
    "cat/ehthumbs_vista.db",
)
PETS = {f"{'cat' if i < 3 else 'dog'}/{i}.png": png(i) for i in range(6)}


def odd_names(d: data.Data) -> dict[str, str]:
    return {s["name"]: s["reason"] for s in read_index(Path(d.about["folder"]))[1]}


def test_what_drives_leave_behind_is_left_aside_and_counted(tmp_path: Path) -> None:
    files = PETS | {name: png(50 + i) for i, name in enumerate(LITTER)}
    places = [
        write(tmp_path / "pets", files),
        write_zip(tmp_path / "a.zip", files),
        write_tar(tmp_path / "a.tar", files),
    ]
    for place in places:
        d = data.load(place, resolution=4)
        assert len(d) == 6, place
        assert d.classes == ("cat", "dog")
        assert set(odd_names(d)) == set(LITTER)
        assert set(odd_names(d).values()) == {litter.LEFT, litter.HIDDEN}
        assert sum(d.about["skipped"].values()) == len(LITTER)


@pytest.mark.parametrize("name", ["trash", "recycled", "snapshot", "Recycler", "icon", "tmp"])
def test_a_class_may_be_called(tmp_path: Path, name: str) -> None:
    write(tmp_path / "waste", {f"{name}/0.png": png(0), "paper/1.png": png(1)})
    assert name in data.load(tmp_path / "waste", resolution=4).classes


# ------------------------------------------------------------------------------------------- CelebA

FACES = [f"{i:06d}.jpg" for i in range(1, 9)]
SIDES = dict(zip(FACES, "00001122", strict=True))
TXT = {
    "list_eval_partition.txt": "".join(f"{n} {s}\n" for n, s in SIDES.items()).encode(),
    "list_attr_celeba.txt": b"8\nSmiling Male\n" + "".join(f"{n}  1 -1\n" for n in FACES).encode(),
}
CSV = {
    "list_eval_partition.csv": b"image_id,partition\r\n" + "".join(f"{n},{s}\r\n" for n, s in SIDES.items()).encode(),
    "list_attr_celeba.csv": b"image_id,Smiling,Male\r\n" + "".join(f"{n},1,-1\r\n" for n in FACES).encode(),
    "list_bbox_celeba.csv": b"image_id,x_1,y_1,width,height\n",
    "list_landmarks_align_celeba.csv": b"image_id,lefteye_x\n",
    "identity_CelebA.txt": b"000001.jpg 2880\n",
}
PORTRAITS = {n: png(i) for i, n in enumerate(FACES)}


def under(folder: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{n}": c for n, c in files.items()}


def kaggle(home: Path) -> None:
    write(home, CSV | under("img_align_celeba/img_align_celeba", PORTRAITS))


def kaggle_zip(home: Path) -> None:
    write_zip(home / "archive.zip", CSV | under("img_align_celeba/img_align_celeba", PORTRAITS))


def drive(home: Path) -> None:
    write_zip(home / "Img" / "img_align_celeba.zip", under("img_align_celeba", PORTRAITS))
    write(home, {"Eval/list_eval_partition.txt": TXT["list_eval_partition.txt"]})
    write(home, {"Anno/list_attr_celeba.txt": TXT["list_attr_celeba.txt"], "Anno/identity_CelebA.txt": b"x.jpg 1\n"})


def drive_unpacked(home: Path) -> None:
    drive(home)
    (home / "Img" / "img_align_celeba.zip").unlink()
    write(home, under("Img/img_align_celeba", PORTRAITS))


def torchvision(home: Path) -> None:
    write(home, TXT | under("img_align_celeba", PORTRAITS))


def as_png(home: Path) -> None:
    write(home, TXT | {f"img_align_celeba/{Path(n).stem}.png": c for n, c in PORTRAITS.items()})


@pytest.mark.parametrize("layout", [kaggle, kaggle_zip, drive, drive_unpacked, torchvision, as_png])
def test_faces_as_people_have_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout) -> None:
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path / "sets"))
    layout(tmp_path / "sets" / "celeba")
    d = {s: data.load("celeba", split=s, resolution=4) for s in ("train", "test", "all")}  # type: ignore[arg-type]
    assert {s: len(v) for s, v in d.items()} == {"train": 4, "test": 2, "all": 8}
    assert d["train"].factors["Smiling"].tolist() == [1] * 4
    assert d["train"].factors["Male"].tolist() == [0] * 4
    assert set(d["train"].factors) == {"Smiling", "Male"}
    assert d["train"].labels is None


@pytest.mark.parametrize("inner", ["img_align_celeba", "img_align_celeba/img_align_celeba"])
def test_the_tables_are_found_from_the_folder_of_faces(tmp_path: Path, inner: str) -> None:
    kaggle(tmp_path / "celeba")
    d = data.load(tmp_path / "celeba" / inner, resolution=4)
    assert len(d) == 4
    assert "Smiling" in d.factors
    (tmp_path / "celeba" / "list_eval_partition.csv").unlink()
    assert len(data.load(tmp_path / "celeba" / inner, resolution=4)) == 8  # looked at again


def test_what_lies_there_in_place_of_faces_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path / "sets"))
    write(tmp_path / "sets" / "celeba", {"Img/img_align_celeba_png.7z": b"7z", "Anno/x.txt": b""})
    with pytest.raises(UserError, match=r"holds Anno, Img, none of them the pictures.*by hand; "):
        data.load("celeba", resolution=4)


def test_tables_that_fit_no_face(tmp_path: Path) -> None:
    write(tmp_path / "faces", TXT | {"other.png": png(0)})
    with pytest.raises(UserError, match="name none of the pictures"):
        data.load(tmp_path / "faces", resolution=4)


# -------------------------------------------------------------------------------------------- names

ODD = os.fsdecode(b"caf\xe9")


def odd_folder(tmp_path: Path) -> Path:
    return write(tmp_path / ODD, {f"{ODD}/0.png": png(0), "tea/1.png": png(1), os.fsdecode(b"tea/\xff.png"): png(2)})


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_names_that_are_no_utf8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = odd_folder(tmp_path)
    with tarfile.open(tmp_path / f"{ODD}.tar", "w") as t:
        t.add(folder, ODD)
    for place in (folder, tmp_path / f"{ODD}.tar"):
        assert main(["data", "prepare", str(place), "--resolution", "4"]) == 0
        assert main(["data", "info", str(place), "--resolution", "4"]) == 0
        d = data.load(place, resolution=4)
        assert len(d) == 3
        assert len(d.classes) == 2
        assert "caf" in d.name
        d.name.encode()  # what a run keeps of it is text
        assert len(read_index(Path(d.about["folder"]))[0]) == 3
        out = tmp_path / f"out{place.suffix}"
        assert main(["data", "prepare", str(place), "--resolution", "4", "--export", str(out / ODD)]) == 0
        assert len(data.load(out / ODD, resolution=4)) == 3
    assert "\\udce9" in capsys.readouterr().out


def test_names_with_control_characters_and_brackets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("[lr=0.1]", "[bold]", "a\nb", "\x1b[31mred", "\u202egnp")
    write(tmp_path / "set[v1]\x1b[2J", {f"{name}/{i}.png": png(i) for i, name in enumerate(names)})
    place = str(tmp_path / "set[v1]\x1b[2J")
    assert main(["data", "prepare", place, "--resolution", "4", "--export", str(tmp_path / "out[/x]")]) == 0
    assert main(["data", "info", place, "--resolution", "4"]) == 0
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err
    assert "\u202e" not in told.out + told.err
    assert "set[v1]\\x1b[2J, train: 5 examples" in told.out
    assert "[bold], [lr=0.1]" in told.out
    assert f"written to {tmp_path / 'out[/x]'}" in told.out.replace("\n", "")
    assert set(data.load(place, resolution=4).classes) == set(names)
    assert len(data.load(tmp_path / "out[/x]", resolution=4)) == 5


def test_zip_names_that_are_utf8_unsaid(tmp_path: Path) -> None:
    raw = write_zip(tmp_path / "a.zip", {"größe/0.png": png(0), "zwei/1.png": png(1)}).read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as z:
        assert z.infolist()[0].flag_bits & 0x800
    raw = bytearray(raw)
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        i = raw.find(mark)
        while i >= 0:
            raw[i + at + 1] &= ~0x08
            i = raw.find(mark, i + 4)
    (tmp_path / "a.zip").write_bytes(raw)
    assert data.load(tmp_path / "a.zip", resolution=4).classes == ("größe", "zwei")
    write_zip(tmp_path / "b.zip", {"caf%/0.png": png(0), "tea/1.png": png(1)})
    (tmp_path / "b.zip").write_bytes((tmp_path / "b.zip").read_bytes().replace(b"caf%", b"caf\x82"))  # cp437
    assert data.load(tmp_path / "b.zip", resolution=4).classes == ("café", "tea")


@pytest.mark.skipif(os.name == "nt", reason="an emulation of it elsewhere")
@pytest.mark.parametrize("locale", [pytest.param("cp1252", marks=pytest.mark.long), "ascii"])
def test_names_that_the_locale_cannot_hold(tmp_path: Path, locale: str) -> None:
    write(tmp_path / "東京", {"zażółć/0.png": png(0), "größe/1.png": png(1)})
    code = """
import io, pathlib, sys
plain, wide = io.open, pathlib.Path.open
def opened(self, mode="r", buffering=-1, encoding=None, errors=None, newline=None):
    if "b" not in mode and encoding in (None, "locale"):
        encoding = sys.argv[1]
    return wide(self, mode, buffering, encoding, errors, newline)
pathlib.Path.open = opened
sys.stdout.reconfigure(encoding=sys.argv[1], errors="backslashreplace")
from triptych import data
d = data.load(sys.argv[2], resolution=4)
print(d.fingerprint)
"""
    env = os.environ | {"PYTHONUTF8": "0", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    if locale == "ascii":
        env |= {"LC_ALL": "C"}
    told = [
        subprocess.run(
            [sys.executable, "-c", code, locale, str(tmp_path / "東京")], env=env, capture_output=True, timeout=120
        )
        for _ in range(2)
    ]
    assert [t.returncode for t in told] == [0, 0], told[0].stderr.decode()
    assert told[0].stdout == told[1].stdout
    assert told[1].stderr == b""  # found in the cache
    if locale == "cp1252":
        assert told[0].stdout.decode().strip() == data.load(tmp_path / "東京", resolution=4).fingerprint


# ------------------------------------------------------------------------------ devices, and no pictures


@pytest.mark.skipif(os.name == "nt", reason="there are no such files")
def test_pipes_devices_and_sockets_are_refused_and_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "set", {"0.png": png(0)})
    os.mkfifo(tmp_path / "set" / "1.png")
    (tmp_path / "set" / "2.png").symlink_to("/dev/zero")
    (tmp_path / "set" / "metadata.csv").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.tar")
    with socket.socket(socket.AF_UNIX) as s, socket.socket(socket.AF_UNIX) as named:
        s.bind("set/3.png")
        named.bind("socket.zip")
        d = data.load(tmp_path / "set", resolution=4)
        assert len(d) == 1
        assert d.about["skipped"] == {"not a regular file": 4}
        os.mkfifo("pipe.npy")
        for place in (tmp_path / "pipe.tar", Path("/dev/zero"), Path("socket.zip"), Path("pipe.npy")):
            with pytest.raises(UserError, match="a device, a pipe or a socket; give"):
                data.load(place, resolution=4)


def test_no_permission_is_not_called_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (
        write_tar(tmp_path / "a.tar", PETS),
        write_zip(tmp_path / "a.zip", PETS),
        write(tmp_path / "a", PETS),
    ):
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) == tmp_path)
        with pytest.raises(UserError, match="may not be read by you; change its permissions"):
            data.load(place, resolution=4)


IN_PLACE = {
    "idx": (
        {"a-images-idx3-ubyte.gz": b"x", "a-labels-idx1-ubyte.gz": b"x"},
        r"no pictures but idx files \(a-images-idx3-ubyte\.gz and 1 more\); name",
    ),
    "arrays": (
        {"x_train.npy": b"x", "x_test.npy": b"x", "readme.txt": b"x"},
        r"arrays \(x_test\.npy and 1 more\); give the path of one",
    ),
    "zips": ({"0.zip": b"x", "1.7z": b"x"}, r"archives \(0\.zip and 1 more\); unpack them first"),
    "records": ({"train.tfrecord": b"x"}, r"records \(train\.tfrecord\); save"),
    "films": ({"a.mp4": b"x", "b.MOV": b"x"}, "films .*; save their frames"),
}


@pytest.mark.parametrize("kind", IN_PLACE)
def test_what_lies_there_in_place_of_pictures_is_named(tmp_path: Path, kind: str) -> None:
    files, said = IN_PLACE[kind]
    with pytest.raises(UserError, match=said):
        data.load(write(tmp_path / "set", files), resolution=4)
    with pytest.raises(UserError, match=said):
        data.load(write_zip(tmp_path / "set.zip", files), resolution=4)


def test_encrypted_zips_say_so(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"0.png": png(0), "1.png": png(1)})
    raw = bytearray(path.read_bytes())
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        i = raw.find(mark)
        while i >= 0:
            raw[i + at] |= 1
            i = raw.find(mark, i + 4)
    path.write_bytes(raw)
    with pytest.raises(UserError, match="needs its password; unpack it first"):
        data.load(path, resolution=4)


def test_shards_are_one_set(tmp_path: Path) -> None:
    for kind in ("tar", "tar.gz"):
        home = tmp_path / kind
        for s in range(3):
            files = {f"{i:04d}.png": png(10 * s + i) for i in range(4)}  # the same names in each
            files |= {f"{i:04d}.cls": str(i % 2).encode() for i in range(4)}
            write_tar(home / f"{s:05d}.{kind}", files, "w:gz" if kind == "tar.gz" else "w")
        write(home, {"README.md": b"x"})
        d = data.load(home, resolution=12)
        assert len(d) == 12
        assert d.classes == ("0", "1")
        assert d.labels is not None
        assert d.labels.tolist() == [0, 1] * 6
        assert d.about["notes"] == {"given a class by the .cls files": 12}
        assert {x.numpy().tobytes() for x in d.x} == {
            x.numpy().tobytes()
            for x in data.load(
                write(tmp_path / "flat", {f"{s}{i}.png": png(10 * s + i) for s in range(3) for i in range(4)})
            ).x
        }


def test_shards_say_their_split_or_hold_folders(tmp_path: Path) -> None:
    for s, name in enumerate(("train-000", "train-001", "test-000")):
        write_tar(tmp_path / "split" / f"{name}.tar", {f"{i}.png": png(10 * s + i) for i in range(3)})
        write_tar(tmp_path / "folders" / f"{s}.tar", {f"{'ab'[i % 2]}/{i}.png": png(10 * s + i) for i in range(4)})
    assert [len(data.load(tmp_path / "split", split=s, resolution=4)) for s in ("train", "test")] == [6, 3]  # type: ignore[arg-type]
    assert data.load(tmp_path / "split", resolution=4).labels is None
    assert data.load(tmp_path / "folders", resolution=4).classes == ("a", "b")


def test_a_cut_shard_is_named(tmp_path: Path) -> None:
    write_tar(tmp_path / "s" / "0.tar", {"0.png": png(0)})
    raw = write_tar(tmp_path / "s" / "1.tar", {"1.png": png(1), "2.png": png(2)}).read_bytes()
    (tmp_path / "s" / "1.tar").write_bytes(raw[:1536])
    with pytest.raises(UserError, match=r"1\.tar is a damaged or cut-off tar"):
        collection(tmp_path / "s")
