"""`triptych evaluate` on a run and on two sets, as a user calls it."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from triptych.cli import main


def pictures(folder, n=24, side=16, mode="RGB", seed=0):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for i in range(n):
        x = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(x if mode == "RGB" else x[..., 0]).save(folder / f"{i:03}.png")
    return folder


def test_two_folders(tmp_path, capsys):
    a, b, file = pictures(tmp_path / "a"), pictures(tmp_path / "b", seed=1), tmp_path / "e.json"
    assert main(["evaluate", "--real", str(a), "--fake", str(b), "--out", str(file)]) == 0
    values = json.loads(file.read_text())
    assert {"frechet", "kernel", "precision", "recall", "density", "coverage", "sliced_wasserstein"} <= set(values)
    assert values["frechet"]["extractor"].startswith("random:")
    assert values["frechet"]["n"] == values["frechet"]["n_real"] == 24
    assert "not comparable with published FID" in values["frechet"]["note"]
    captured = capsys.readouterr()
    assert "fid is left out" in captured.out
    assert "24 examples for" in captured.err


def test_identical_and_constant_sets_are_valid(tmp_path, capsys):
    a, file = pictures(tmp_path / "a"), tmp_path / "e.json"
    assert main(["evaluate", "--real", str(a), "--fake", str(a), "--out", str(file)]) == 0
    values = json.loads(file.read_text())
    assert values["frechet"]["value"] == pytest.approx(0, abs=1e-6)
    assert [values[k]["value"] for k in ("precision", "recall", "coverage")] == [1, 1, 1]
    assert "same examples" in capsys.readouterr().err
    np.save(tmp_path / "flat.npy", np.full((20, 3, 16, 16), 77, np.uint8))
    assert main(["evaluate", "--real", str(a), "--fake", str(tmp_path / "flat.npy"), "--out", str(file)]) == 0
    values = json.loads(file.read_text())
    assert values["frechet"]["value"] > 0
    assert values["recall"]["value"] == 0
    assert "all 20 generated examples are the same" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: (p / "empty").mkdir() or p / "empty", "empty"),
        (lambda p: p / "nowhere", "nowhere"),
        (lambda p: pictures(p / "grey", mode="L") and save(p / "g.npy", np.zeros((9, 1, 16, 16), np.uint8)), "shape"),
        (lambda p: save(p / "nan.npy", np.full((9, 3, 16, 16), np.nan, np.float32)), "nan|NaN|finite"),
    ],
)
def test_bad_sides_are_one_line(tmp_path, capsys, make, words):
    import re

    a, bad, file = pictures(tmp_path / "a"), make(tmp_path), tmp_path / "e.json"
    assert main(["evaluate", "--real", str(a), "--fake", str(bad), "--out", str(file)]) == 2
    last = capsys.readouterr().err.splitlines()[-1]  # what was prepared is said above
    assert last.startswith("error: ")
    assert re.search(words, last)
    assert not file.exists()


def save(file, x):
    np.save(file, x)
    return file


def test_wrong_weights_show_their_hash(tmp_path, capsys):
    a, weights = pictures(tmp_path / "a"), tmp_path / "w.pth"
    torch.save({"x": torch.zeros(3)}, weights)
    assert main(["evaluate", "--real", str(a), "--fake", str(a), "--inception", str(weights)]) == 2
    err = capsys.readouterr().err
    assert "6726825d" in err
    import hashlib

    assert hashlib.sha256(weights.read_bytes()).hexdigest() in err
    assert main(["evaluate", "--real", str(a), "--fake", str(a), "--inception", str(tmp_path / "none.pth")]) == 2
    assert "no file" in capsys.readouterr().err
