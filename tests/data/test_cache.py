"""The cache: checked when it is loaded, swept of what kills leave, shared with others."""

import json
import os
import random
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from picture_files import png, write

from triptych import data
from triptych.cli import main
from triptych.data.prepare import prepared
from triptych.errors import UserError
from triptych.metrics.features import extractor as features
from triptych.metrics.features import self_trained
from triptych.system.cache import plain, root
from triptych.system.locks import exclusive


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    files = {f"{'cat' if i < 6 else 'dog'}/{i}.png": png(i) for i in range(12)}
    table = "image_id,Smiling\n" + "".join(f"{i}.png,{1 - 2 * (i % 2)}\n" for i in range(12))
    return write(tmp_path / "pets", files | {"list_attr_celeba.csv": table.encode()})


def home_of(place: Path) -> Path:
    return Path(data.load(place, resolution=8).about["folder"])


def flip(file: Path, rng: random.Random) -> bytes:
    """One bit, with the file's times as they were; the whole content before."""
    before, times = file.read_bytes(), file.stat()
    changed = bytearray(before)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    file.write_bytes(changed)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    return before


def test_a_flipped_bit_is_found_wherever_it_is(pets: Path) -> None:
    home = home_of(pets)
    files = sorted(p for p in home.iterdir() if p.is_file())
    assert {p.name for p in files} == {"about.json", "factors.npz", "hashes.npy", "images.npy", "index.jsonl"}
    rng = random.Random(0)
    for trial in range(150):
        file = files[trial % len(files)]
        before = flip(file, rng)
        with pytest.raises(UserError, match="prepare again"):
            data.load(pets, resolution=8)
        file.write_bytes(before)
    data.load(pets, resolution=8)


def test_a_missing_array_is_found(pets: Path) -> None:
    (pets / "list_attr_celeba.csv").unlink()
    home = home_of(pets)
    assert data.load(pets, resolution=8).classes == ("cat", "dog")
    (home / "labels.npy").unlink()
    with pytest.raises(UserError, match=r"labels\.npy cannot be read"):
        data.load(pets, resolution=8)


def test_large_arrays_are_read_again_when_they_changed(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triptych.data.prepare.prepared.ALWAYS", 0)
    reads: list[str] = []
    real = prepared.checksum
    monkeypatch.setattr(
        "triptych.data.prepare.prepared.checksum", lambda path: (reads.append(path.name), real(path))[1]
    )
    home = home_of(pets)
    for _ in range(3):
        monkeypatch.setattr("triptych.data.prepare.prepared._read", set())  # as in another process
        home_of(pets)
    assert reads.count("images.npy") == 2  # when it was made, and when it was first loaded
    flip(home / "images.npy", random.Random(1))
    with pytest.raises(UserError, match=r"images\.npy is not what was prepared"):
        data.load(pets, resolution=8)


def test_data_info_reads_all_of_it(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triptych.data.prepare.prepared.ALWAYS", 0)
    home_of(pets)
    reads: list[str] = []
    real = prepared.checksum
    monkeypatch.setattr(
        "triptych.data.prepare.prepared.checksum", lambda path: (reads.append(path.name), real(path))[1]
    )
    assert main(["data", "info", str(pets), "--resolution", "8", "--no-duplicates"]) == 0
    assert "images.npy" in reads


def test_scattered_rows_in_a_file_are_checked(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triptych.data.prepare.prepared.IN_MEMORY", 0)
    home = home_of(pets)
    one = data.load(pets, resolution=8, holdout=0.4)
    (rows,) = (p for p in home.glob("rows-train-*.npy"))
    assert torch.equal(data.load(pets, resolution=8, holdout=0.4).x, one.x)
    before = flip(rows, random.Random(2))
    with pytest.raises(UserError, match="is not what was prepared"):
        data.load(pets, resolution=8, holdout=0.4)
    rows.write_bytes(before)
    assert torch.equal(data.load(pets, resolution=8, holdout=0.4).x, one.x)


def test_arrays_made_in_memory_are_checked_too(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8))
    data.load(tmp_path / "a.npy", resolution=4)
    (home,) = (p for p in (root() / "prepared").iterdir() if p.is_dir())
    flip(home / "images.npy", random.Random(3))
    with pytest.raises(UserError, match="prepare again"):
        data.load(tmp_path / "a.npy", resolution=4)


def test_a_set_without_checksums_is_loaded(pets: Path) -> None:
    home = home_of(pets)
    about = json.loads((home / "about.json").read_text())
    del about["sha256"], about["sealed"]
    (home / "about.json").write_text(json.dumps(about))
    assert len(data.load(pets, resolution=8)) == 12


@pytest.mark.parametrize("content", ["[]", "{}", "", "[" * 100_000, '{"sha256": [], "sealed": 1}', '{"sealed": 1}'])
def test_an_about_of_something_else(pets: Path, content: str) -> None:
    home = home_of(pets)
    (home / "about.json").write_text(content)
    with pytest.raises(UserError, match="prepare again"):
        data.load(pets, resolution=8)


def test_what_kills_leave_is_swept_and_what_goes_on_is_not(pets: Path) -> None:
    home = root() / "prepared"
    part = ".images.npy.0123456789abcdef.part"
    write(home, {part: b"x", f"stamps/{part}": b"x", f"old-0/{part}": b"x", "old-0/about.json": b"{}"})
    write(home, {".dead.partial/rows.npy": b"x", ".glyphs-1.partial/images.npy": b"x", ".held.partial/rows.npy": b"x"})
    write(home, {".young.partial/journal.jsonl": b"", ".stale.partial/journal.jsonl": b"", "locks/held": b""})
    os.utime(home / ".stale.partial" / "journal.jsonl", (time.time() - 30 * 86400,) * 2)
    with exclusive(home / "locks" / "held"):
        data.load(pets, resolution=8)
    left = {p.relative_to(home).as_posix() for p in home.rglob("*") if "part" in p.name}
    assert left == {".held.partial", ".young.partial"}
    assert (home / "old-0" / "about.json").is_file()


def test_a_kill_at_its_last_steps_leaves_nothing_behind(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(pets, {"cat/bad.png": b""})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as m:
        m.setattr(prepared, "seal", killed)
        with pytest.raises(KeyboardInterrupt):
            data.load(pets, resolution=8)
    home = home_of(pets)
    names = {p.name for p in home.iterdir()}
    assert names == {"about.json", "factors.npz", "hashes.npy", "images.npy", "index.jsonl"}
    assert "sha256" in json.loads((home / "about.json").read_text())
    assert not [p for p in (root() / "prepared").iterdir() if p.name.endswith(".partial")]


def test_the_cache_is_as_open_as_the_person_wants(pets: Path, tmp_path: Path) -> None:
    if os.name == "nt":
        pytest.skip("there is no umask")
    code = f"""
import os
os.umask(0o002)
import torch
from triptych import data
from triptych.metrics.features import extractor, self_trained as offline
d = data.load({str(pets)!r}, resolution=8)
e = offline.finish(offline.RandomFeatures(3), "random", {{}})
extractor.extract(e, d)
offline.EXAMPLES = (12, 12)
offline.extractor_for(d, kind="autoencoder")
"""
    subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        check=True,
        timeout=120,
    )
    files = [p for p in root().rglob("*") if p.is_file()]
    assert {p.parent.name for p in files} >= {"features", "extractors", "stamps"}
    assert {p.name: oct(stat.S_IMODE(p.stat().st_mode)) for p in files if stat.S_IMODE(p.stat().st_mode) != 0o664} == {}
    folders = [p for p in root().rglob("*") if p.is_dir()]
    assert {stat.S_IMODE(p.stat().st_mode) for p in folders} == {0o775}


def test_a_kept_extractor_is_read_without_a_lock(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triptych.metrics.features.self_trained.EXAMPLES", (12, 12))
    d = data.load(pets, resolution=8)
    one = self_trained.extractor_for(d, kind="autoencoder")

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    for lock in ("exclusive", "hold"):  # another person's cache, to read only
        monkeypatch.setattr(f"triptych.metrics.features.kept.{lock}", refused)
    assert self_trained.extractor_for(d, kind="autoencoder").id == one.id


def test_a_place_that_cannot_be_written_says_what_to_do(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    args = ["data", "prepare", str(pets), "--resolution", "8"]
    assert main([*args, "--export", str(tmp_path / "file")]) == 2
    assert main([*args, "--export", str(tmp_path / "file" / "below")]) == 2
    assert capsys.readouterr().err.count("give another folder to --export") == 2
    assert not (root() / "prepared").exists(), "it is refused before any work"
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "file" / "cache"))
    assert main(args) == 2
    assert "set TRIPTYCH_CACHE to a folder that can" in capsys.readouterr().err
    assert main(["data", "info", "moons", "--sheet", str(tmp_path / "file" / "x.png")]) == 2
    assert "--sheet" in capsys.readouterr().err


def test_features_are_written_whole(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    d = data.load(pets, resolution=8)
    extractor = self_trained.finish(self_trained.RandomFeatures(3), "random", {})
    first = features.extract(extractor, d)
    assert torch.equal(features.extract(extractor, d)["features"], first["features"])
    (file,) = (root() / "features").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    with pytest.warns(UserWarning, match="made anew"):
        again = features.extract(extractor, d)
    assert torch.equal(again["features"], first["features"])


@pytest.mark.parametrize("name", ["東京", "größe", "../x", "a/b", "caf\udce9", "\x1b[2J", "CON", "." * 90])
def test_names_of_files_in_the_cache(name: str) -> None:
    made = plain(name)
    assert made.isascii()
    assert Path(made).name == made
    assert 0 < len(made) <= 60
