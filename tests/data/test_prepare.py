"""Collections of pictures: layouts, archives, the cache, and what damaged files do (nothing worse than a line)."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from prepared_folders import as_tar, as_zip, index, pets, save

import triptych
from triptych import data
from triptych.core.preparation import Preparation
from triptych.data.prepare import prepared, workers
from triptych.errors import UserError
from triptych.system.cache import root

__all__ = ["pets"]  # a fixture


def test_classes_from_folders(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    d = data.load(folder, resolution=8)
    assert d.x.shape == (10, 3, 8, 8)
    assert d.x.dtype == torch.uint8
    assert d.classes == ("cat", "dog")
    assert d.labels is not None
    assert d.labels.tolist() == [0] * 5 + [1] * 5
    want = Image.open(folder / "dog" / "7.png").resize((8, 8), Image.Resampling.BICUBIC)
    assert np.array_equal(d.x[7].permute(1, 2, 0).numpy(), np.asarray(want))
    assert [s["name"] for s in index(d)["sources"]] == [f"{'cat' if i < 5 else 'dog'}/{i}.png" for i in range(10)]
    assert "10 of 10 files prepared; 1 grey made RGB" in capsys.readouterr().err
    assert index(d)["sources"][3]["notes"] == ["grey made RGB"]
    assert torch.equal(data.load(folder, resolution=8).x, d.x)
    assert capsys.readouterr().err == ""


def test_zip_and_tars_equal_the_folder(folder: Path, tmp_path: Path) -> None:
    want = data.load(folder, resolution=8)
    archives = [as_zip(folder, tmp_path / "a.zip"), as_tar(folder, tmp_path / "a.tar")]
    archives += [as_tar(folder, tmp_path / f"a.tar.{kind}", f"w:{kind}") for kind in ("gz", "xz", "bz2")]
    for archive in archives:
        d = data.load(archive, resolution=8)
        order = sorted(range(10), key=lambda i: index(d)["sources"][i]["name"])
        assert torch.equal(d.x[order], want.x), archive
        assert d.labels is not None
        assert torch.equal(d.labels[order], want.labels)  # type: ignore[arg-type]


def test_native_size_needs_equal_sizes(folder: Path) -> None:
    for path in (folder, as_zip(folder, folder.parent / "a.zip"), as_tar(folder, folder.parent / "a.tgz", "w:gz")):
        assert data.load(path).shape == (3, 16, 20)
    save(folder / "cat" / "odd.png", 1, (21, 16))
    with pytest.raises(UserError, match="differ in size; give the size wanted: --resolution"):
        data.load(folder)


def test_split_folders(tmp_path: Path) -> None:
    for i in range(6):
        save(tmp_path / "s" / ("train" if i < 4 else "test") / "ab"[i % 2] / f"{i}.png", i)
    train, test, both = (data.load(tmp_path / "s", split=s, resolution=8) for s in ("train", "test", "all"))
    assert (len(train), len(test), len(both)) == (4, 2, 6)
    assert train.classes == ("a", "b")
    with pytest.raises(UserError, match="test split of its own"):
        data.load(tmp_path / "s", resolution=8, holdout=0.5)


def test_no_split_unless_asked_for(folder: Path) -> None:
    with pytest.raises(UserError, match="--holdout"):
        data.load(folder, split="test", resolution=8)
    sides = [data.load(folder, split=s, resolution=8, holdout=0.4) for s in ("train", "test")]
    assert sum(map(len, sides)) == 10
    assert all(len(s) for s in sides)
    assert len({s.fingerprint for s in sides}) == 2
    # The side is a matter of the content alone: it survives renaming.
    (folder / "cat" / "0.png").rename(folder / "cat" / "renamed.png")
    again = data.load(folder, split="test", resolution=8, holdout=0.4)
    assert {x.numpy().tobytes() for x in again.x} == {x.numpy().tobytes() for x in sides[1].x}


def test_options_and_content_make_the_identity(folder: Path) -> None:
    marks = {
        data.load(folder, **how).fingerprint  # type: ignore[arg-type]
        for how in (
            {"resolution": 8},
            {"resolution": 9},
            {"resolution": 8, "fit": "crop"},
            {"resolution": 8, "channels": 1},
            {"resolution": 8, "filter": "box"},
            {"resolution": 8, "jpeg_quality": 75},
        )
    }
    assert len(marks) == 6
    save(folder / "cat" / "0.png", 99)
    assert data.load(folder, resolution=8).fingerprint not in marks


def test_a_touched_copy_is_the_same_set(folder: Path, tmp_path: Path) -> None:
    import shutil

    one = data.load(folder, resolution=8)
    copy = Path(shutil.copytree(folder, tmp_path / "elsewhere" / "pets", copy_function=shutil.copyfile))
    assert data.load(copy, resolution=8).about["folder"] == one.about["folder"]


ODD = {
    "cat/empty.jpg": (b"", "empty file"),
    "cat/text.jpg": (b"not a picture at all", "not a picture"),
    "cat/notes.txt": (b"a caption", "not a picture"),
    ".DS_Store": (b"x", "hidden file"),
    "cat/Thumbs.db": (b"x", "left there by a system or a drive"),
}


def test_odd_files_are_left_aside_and_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, (content, _) in ODD.items():
        (folder / name).write_bytes(content)
    whole = (folder / "dog" / "7.png").read_bytes()
    (folder / "dog" / "cut.png").write_bytes(whole[:200])
    (folder / "dog" / "loop.png").symlink_to("loop.png")
    os.mkfifo(folder / "dog" / "pipe.png")
    d = data.load(folder, resolution=8)
    assert len(d) == 10
    listed = {s["name"]: s["reason"] for s in index(d)["skipped"]}
    assert set(listed) == {*ODD, "dog/cut.png", "dog/loop.png", "dog/pipe.png"}
    for name, (_, why) in ODD.items():
        assert listed[name].partition(":")[0] == why
    assert listed["dog/cut.png"].startswith("damaged")
    assert sum(d.about["skipped"].values()) == len(listed)
    assert "8 skipped" in capsys.readouterr().err
    assert d.labels is not None
    assert d.labels.tolist() == [0] * 5 + [1] * 5


def test_linked_folders_count_once(folder: Path, tmp_path: Path) -> None:
    save(tmp_path / "elsewhere" / "0.png", 50)
    (folder / "fox").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder / "dog" / "again").symlink_to(folder, target_is_directory=True)
    d = data.load(folder, resolution=8)
    assert len(d) == 11
    assert d.classes == ("cat", "dog", "fox")
    assert index(d)["skipped"] == [{"name": "dog/again", "reason": "a link to a folder that is listed already"}]


def test_mostly_unreadable_stops(folder: Path) -> None:
    for i in range(11):
        (folder / "cat" / f"bad{i}.jpg").write_bytes(b"<html>")
    with pytest.raises(UserError, match=r"11 of 21 pictures .* unreadable"):
        data.load(folder, resolution=8)
    assert not [p for p in (root() / "prepared").iterdir() if p.name not in ("locks", "stamps")]


def test_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "void").mkdir()
    with pytest.raises(UserError, match="holds no pictures"):
        data.load(tmp_path / "void", resolution=8)
    (tmp_path / "void" / "readme.txt").write_text("hello")
    with pytest.raises(UserError, match="no readable picture"):
        data.load(tmp_path / "void", resolution=8)
    with pytest.raises(UserError, match="no such file or folder"):
        data.load(tmp_path / "absent", resolution=8)
    (tmp_path / "file.xyz").write_text("hello")
    with pytest.raises(UserError, match="not a folder, a zip or a tar"):
        data.load(tmp_path / "file.xyz", resolution=8)


@pytest.mark.parametrize("options", [{"resolution": 0}, {"resolution": -3}, {"channels": 2}, {"holdout": 1.0}])
def test_senseless_options(folder: Path, options: dict) -> None:
    with pytest.raises(UserError):
        data.load(folder, **{"resolution": 8} | options)


def test_twin_classes(folder: Path, tmp_path: Path) -> None:
    save(folder / "Cat" / "1.png", 1)
    for path in (folder, as_zip(folder, tmp_path / "a.zip")):
        with pytest.raises(UserError, match="two classes of the same name, 'Cat' and 'cat'"):
            data.load(path, resolution=8)


@pytest.mark.parametrize("up", [-1, 0, 1])
def test_a_link_to_a_folder_above_is_left_aside(folder: Path, up: int) -> None:
    (folder.parent / "other.png").write_bytes((folder / "cat" / "2.png").read_bytes())
    (folder / "dog" / "all").symlink_to(folder.parents[up])
    d = data.load(folder, resolution=8)
    assert len(d) == 10
    assert index(d)["skipped"] == [{"name": "dog/all", "reason": "a link to a folder that holds this one"}]


def test_a_worker_that_dies_costs_one_picture(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deadly = (folder / "cat" / "2.png").read_bytes()
    script = tmp_path / "worker.py"
    script.write_text(
        "import os, sys\n"
        f"sys.path.insert(0, {str(Path(triptych.__file__).parents[1])!r})\n"
        "from triptych.data.prepare import decode, worker\n"
        "real = decode.decode\n"
        f"decode.decode = lambda d, limits: os.abort() if d == {deadly!r} else real(d, limits)\n"
        "worker.serve(sys.stdin.buffer, sys.stdout.buffer)\n"
    )
    monkeypatch.setattr(workers.WorkerPool, "program", str(script))
    d = data.load(folder, resolution=8)
    assert len(d) == 9
    assert index(d)["skipped"] == [{"name": "cat/2.png", "reason": "the decoder died of it"}]


def test_goes_on_after_a_kill(tmp_path: Path) -> None:
    for i in range(400):
        save(tmp_path / "many" / f"{i:03d}.png", i)
    (tmp_path / "many" / "050.png").write_bytes(b"")
    code = f"""
import threading, time
from triptych import data
from triptych.data.prepare import workers
real, calls = workers.WorkerPool._ask, threading.Semaphore(3)
def slow(self, worker, task):
    if not calls.acquire(blocking=False):
        time.sleep(600)
    return real(self, worker, task)
workers.WorkerPool._ask = slow
data.load({str(tmp_path / "many")!r}, resolution=8)
"""
    p = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    home = root() / "prepared"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and p.poll() is None:
        if any(j.read_text().count("\n") == 3 for j in home.glob(".*.partial/journal.jsonl")):
            break
        time.sleep(0.02)
    p.send_signal(signal.SIGKILL)
    p.wait()
    (journal,) = home.glob(".*.partial/journal.jsonl")
    finished = sum(len(json.loads(line)) for line in journal.read_text().splitlines())
    assert finished == 3 * 64
    with journal.open("a") as f:
        f.write("[[390, {")  # as if the kill had cut a line
    seen = []
    monkey = pytest.MonkeyPatch()
    real = workers.WorkerPool._ask
    monkey.setattr(
        workers.WorkerPool, "_ask", lambda self, w, order: (seen.extend(i for i, _ in order), real(self, w, order))[1]
    )
    resumed = data.load(tmp_path / "many", resolution=8)
    monkey.undo()
    assert len(seen) == 400 - finished
    cache_two = root().with_name("fresh")
    monkey.setenv("TRIPTYCH_CACHE", str(cache_two))
    fresh = data.load(tmp_path / "many", resolution=8)
    monkey.undo()
    assert len(fresh) == 399
    assert torch.equal(resumed.x, fresh.x)
    assert resumed.fingerprint == fresh.fingerprint


def test_two_processes_at_once(folder: Path) -> None:
    code = f"from triptych import data; d = data.load({str(folder)!r}, resolution=8); print(len(d), d.fingerprint)"
    command = [sys.executable, "-c", code]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, env=env, text=True) for _ in range(2)]
    out = {p.communicate(timeout=120)[0] for p in both}
    assert len(out) == 1
    assert out.pop().startswith("10 ")


def left() -> list[str]:
    """What lies in the cache beside locks and stamps."""
    home = root() / "prepared"
    return sorted(p.name for p in home.iterdir() if p.name not in ("locks", "stamps") and p.suffix != ".lock")


def test_full_disk_leaves_nothing_behind(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    np.save(tmp_path / "a.npy", np.zeros((4, 8, 8), np.uint8))
    with monkeypatch.context() as m:
        m.setattr(workers.WorkerPool, "_ask", full)
        m.setattr(prepared, "write_json", full)  # of arrays: the pictures are written, their description is not
        for source in (folder, tmp_path / "a.npy"):
            with pytest.raises(UserError, match="disk is full"):
                data.load(source, resolution=4)
            assert left() == []
    assert len(data.load(folder, resolution=4)) == 10
    assert len(data.load(tmp_path / "a.npy", resolution=4)) == 4
    assert len(left()) == 2


def test_damaged_cache_is_named(folder: Path) -> None:
    d = data.load(folder, resolution=8)
    home = Path(d.about["folder"])
    (home / "images.npy").write_bytes((home / "images.npy").read_bytes()[:300])
    with pytest.raises(UserError, match="delete"):
        data.load(folder, resolution=8)


def test_header_is_numpys(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(prepared.header(2, [1, 2, 3]) + bytes(range(12)))
    a = np.load(tmp_path / "a.npy")
    assert a.shape == (2, 1, 2, 3)
    assert a.flatten().tolist() == list(range(12))


def test_preparation_is_plain() -> None:
    assert json.loads(Preparation(resolution=8).identity())["resolution"] == 8
