"""`triptych data ...` as a person types it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from triptych import data
from triptych.cli import main
from triptych.data import statistics


def wave(i: int, w: int = 40, h: int = 40) -> np.ndarray:
    """A smooth picture of its own for every i."""
    rng = np.random.default_rng(i)
    y, x = np.mgrid[:h, :w] / 40
    a, b = rng.uniform(-4, 4, (2, 3, 3))
    p = rng.uniform(0, 6, (3, 3))
    return np.stack(
        [sum(np.sin(a[c, k] * x * 3 + b[c, k] * y * 3 + p[c, k]) for k in range(3)) * 40 + 128 for c in range(3)], -1
    ).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(60):
        place = tmp_path / "waves" / "ab"[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(wave(i)).save(place / f"{i}.png")
    (tmp_path / "waves" / "a" / "odd.jpg").write_bytes(b"")
    return tmp_path / "waves"


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines if line} >= {"mnist", "birds", "celeba", "cifar10", "glyphs", "moons"}
    assert any("to be fetched by hand" in line for line in lines if line.startswith("celeba"))


def test_prepare_says_what_it_did(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "prepare", str(folder), "--resolution", "16"]) == 0
    out = capsys.readouterr().out
    assert "60 examples of 3 x 16 x 16" in out
    assert "1 skipped: empty file" in out
    assert (Path(out.split(" in ")[-1].split()[0]) / "index.jsonl").is_file()


def test_exported_pictures_are_the_set(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    args = ["data", "prepare", str(folder), "--resolution", "16", "--holdout", "0.3", "--export", str(out)]
    assert main(args) == 0
    for split in ("train", "test"):
        back, was = data.load(out, split=split), data.load(folder, split=split, resolution=16, holdout=0.3)
        assert back.classes == was.classes
        assert torch.equal(back.x[back.labels == 1], was.x[was.labels == 1])
    assert main(args) == 2  # not over an existing folder


def test_info(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twin = Image.fromarray(wave(7)).resize((80, 80)).point(lambda v: int(v * 0.98))
    twin.save(folder / "b" / "twin.jpg", quality=80)
    assert main(["data", "info", str(folder), "--resolution", "16", "--sheet", str(tmp_path / "s.png")]) == 0
    out = capsys.readouterr().out
    assert "2 (a, b)" in out
    assert "1 pairs within a split" in out
    assert "width 40 to 80" in out
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.width > 100


@pytest.mark.parametrize("name", ["moons", "25gaussians"])
def test_info_of_a_toy(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "info", name, "--sheet", str(tmp_path / "s.png")]) == 0
    assert "100,000 train, 50,000 test" in capsys.readouterr().out
    assert (tmp_path / "s.png").is_file()


BAD = {
    "unknown set": ["info", "mnits"],
    "unknown command": ["lst"],
    "unknown option": ["prepare", "moons", "--resoluton", "3"],
    "zero": ["prepare", "glyphs", "--resolution", "0"],
    "channels": ["prepare", "glyphs", "--channels", "2"],
    "no path": ["prepare", "/no/such/place"],
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_line(kind: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["data", *BAD[kind]]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert not (tmp_path / "cache").exists()


def test_moments_are_numpys() -> None:
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (50, 3, 5, 7), np.uint8))
    mean, std = statistics.moments(x, rows=16)
    assert mean == pytest.approx((x.numpy() / 255).mean((0, 2, 3)).tolist())
    assert std == pytest.approx((x.numpy() / 255).std((0, 2, 3)).tolist())


def test_flat_pictures_of_one_level_are_near_duplicates() -> None:
    white, black = torch.full((5, 3, 16, 16), 255, dtype=torch.uint8), torch.zeros(4, 3, 16, 16, dtype=torch.uint8)
    noise = torch.randint(0, 256, (6, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    found = statistics.near_duplicates(torch.cat([white, black, noise]))
    assert (found.within, {max(i, j) < 5 or min(i, j) >= 5 for i, j, _ in found.pairs}) == (10 + 6, {True})


def test_near_duplicates_across_the_splits() -> None:
    x = torch.stack([torch.from_numpy(wave(i)).permute(2, 0, 1) for i in range(200)])
    x[150] = (x[20].int() + torch.randint(-6, 7, x[20].shape)).clamp(0, 255).to(torch.uint8)  # noise
    x[160] = (x[21].float() * 0.95 + 4).to(torch.uint8)  # contrast
    x[30] = x[31]
    found = statistics.near_duplicates(x, torch.arange(200) >= 100)
    assert {(i, j) for i, j, _ in found.pairs} == {(20, 150), (21, 160), (30, 31)}
    assert (found.within, found.across) == (1, 2)
    assert found.pairs[0][:2] == (30, 31)


def test_folders_of_classes_have_names_that_every_system_can_hold() -> None:
    from triptych.data.prepare.layouts import safe_names

    made = safe_names(("con", "NUL.tar", "a/b", "../x", "long" * 80, "long" * 81, "\x1b[2J", "caf\udce9", "東京"))
    assert len({name.casefold() for name in made}) == 9
    assert all(name.isprintable() and len(name.encode()) < 255 and "/" not in name for name in made)
    assert safe_names(("con", "cut")) == ["con_", "cut"]
    assert safe_names(("cat", "dog")) == ["cat", "dog"]
