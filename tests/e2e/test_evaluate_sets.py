"""`triptych evaluate` on a run and on two sets, as a user calls it."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.linalg import sqrtm

from triptych import data
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


def test_weights_that_are_not_where_the_environment_says(tmp_path, capsys, monkeypatch):
    a = pictures(tmp_path / "a")
    monkeypatch.setenv("TRIPTYCH_INCEPTION", str(tmp_path / "gone.pth"))
    assert main(["evaluate", "--real", str(a), "--fake", str(a)]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: TRIPTYCH_INCEPTION")
    assert "gone.pth" in last


def test_the_split_is_the_real_sides(tmp_path, capsys):
    for part, n in (("train", 14), ("test", 10)):
        pictures(tmp_path / "a" / part, n=n, seed=n)
    b, file = pictures(tmp_path / "b", n=12, seed=1), tmp_path / "e.json"
    for split, n in (("test", 10), ("train", 14)):
        args = ["evaluate", "--real", str(tmp_path / "a"), "--fake", str(b), "--split", split, "--out", str(file)]
        assert main(args) == 0, capsys.readouterr().err
        value = json.loads(file.read_text())["frechet"]
        assert (value["n"], value["n_real"]) == (12, n)


def test_vectors_of_broken_generators_are_judged(tmp_path, capsys):
    rng, file = np.random.default_rng(0), tmp_path / "e.json"
    real = save(tmp_path / "real.npy", rng.normal(size=(200, 2)).astype(np.float32))
    collapsed, broken = rng.normal(size=(2, 100, 2)).astype(np.float32)
    collapsed[:, 1] = 0.5
    broken[7, 0] = np.nan
    args = ["evaluate", "--real", str(real), "--out", str(file), "--fake"]
    assert main([*args, str(save(tmp_path / "collapsed.npy", collapsed))]) == 0, capsys.readouterr().err
    assert json.loads(file.read_text())["frechet"]["value"] > 0.5
    assert main([*args, str(save(tmp_path / "broken.npy", broken))]) == 0, capsys.readouterr().err
    value = json.loads(file.read_text())["frechet"]
    assert value["value"] is None
    assert "1 of 100 samples are not finite" in value["note"]
    assert "NaN" not in file.read_text()
    file.unlink()
    broken_real = ["evaluate", "--real", str(tmp_path / "broken.npy"), "--fake", str(real), "--out", str(file)]
    assert main(broken_real) == 2
    assert "NaN" in capsys.readouterr().err


# ------------------------------------------------------------------------------------- few examples


def test_one_picture_is_too_few_for_any_metric(tmp_path, capsys):
    a, one, file = pictures(tmp_path / "a"), pictures(tmp_path / "one", n=1), tmp_path / "e.json"
    assert main(["evaluate", "--real", str(a), "--fake", str(one), "--out", str(file)]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert "1 example" in last
    assert "at least 2" in last
    assert main(["evaluate", "--real", str(a), "--fake", str(a), "-n", "1", "--out", str(file)]) == 2
    assert not file.exists()


def test_what_few_pictures_do_not_define_is_said(tmp_path, capsys):
    a, few, file = pictures(tmp_path / "a"), pictures(tmp_path / "few", n=4, seed=1), tmp_path / "e.json"
    assert main(["evaluate", "--real", str(a), "--fake", str(few), "--out", str(file)]) == 0
    values = json.loads(file.read_text())
    assert values["frechet"]["value"] > 0
    said = capsys.readouterr().err
    for metric, least in (("Neighbours", 6), ("TwoSample", 8)):
        assert f"{metric} is left out: there are only 4 " in said
        assert f"needs at least {least}" in said
    assert main(["evaluate", "--real", str(few), "--fake", str(few), "--out", str(file)]) == 0
    text = file.read_text()
    assert "NaN" not in text
    assert "Infinity" not in text


def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path, capsys):
    a = pictures(tmp_path / "a")
    for out in (tmp_path / "no" / "e.json", tmp_path):
        assert main(["evaluate", "--real", str(a), "--fake", str(a), "--out", str(out)]) == 2
        err = capsys.readouterr().err.splitlines()
        assert len(err) == 1
        assert "folder" in err[0]


# ------------------------------------------------------------------------------ Inception statistics


def features_as_clean_fid_makes_them(folder):
    """Pillow's float bicubic to 299, clipped, (x - 128) / 128, and the scripted layers in numpy."""
    found = []
    for file in sorted(folder.iterdir()):
        x = np.asarray(Image.open(file)).astype(np.float32)
        bands = [
            np.asarray(Image.fromarray(x[..., c]).resize((299, 299), Image.Resampling.BICUBIC)).clip(0, 255)
            for c in range(3)
        ]
        y = torch.from_numpy((np.stack(bands) - 128) / 128)
        found.append(torch.nn.functional.adaptive_avg_pool2d(y, 2).flatten().double().numpy())
    return np.stack(found)


def test_clean_fids_statistics_are_read_and_written(tmp_path, scripted, capsys):
    real, fake, file = pictures(tmp_path / "a", n=40), pictures(tmp_path / "b", n=40, seed=1), tmp_path / "e.json"
    mine, theirs = tmp_path / "mine.npz", tmp_path / "theirs.npz"
    both = ["evaluate", "--fake", str(fake), "--inception", str(scripted), "--out", str(file)]
    assert main([*both, "--real", str(real), "--save-stats", str(mine)]) == 0
    whole = json.loads(file.read_text())
    x = features_as_clean_fid_makes_them(real)
    np.savez(theirs, mu=x.mean(0), sigma=np.cov(x, rowvar=False))  # what clean-fid writes
    with np.load(mine) as a, np.load(theirs) as b:
        assert set(a.files) == {"mu", "sigma"}
        for k in a.files:
            assert a[k].dtype == np.float64
            np.testing.assert_allclose(a[k], b[k], atol=1e-5)
    y = features_as_clean_fid_makes_them(fake)
    covs = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    want = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(covs[0] + covs[1] - 2 * sqrtm(covs[0] @ covs[1]).real)
    for stats in (mine, theirs):
        assert main([*both, "--stats", str(stats)]) == 0
        values = json.loads(file.read_text())
        assert set(values) == {"fid"}
        fid = values["fid"]
        assert fid["value"] == pytest.approx(want, rel=1e-3)
        assert fid["value"] == pytest.approx(whole["fid"]["value"], rel=1e-3)
        assert (fid["n"], fid["n_real"], fid["resize"], fid["reference"]) == (40, None, "clean", str(stats))
        assert fid["extractor"].startswith("inception-script:")
    assert main([*both, "--stats", str(mine), "-n", "20"]) == 0
    assert json.loads(file.read_text())["fid"]["n"] == 20
    capsys.readouterr()
    (tmp_path / "torn.npz").write_bytes(mine.read_bytes()[:200])
    file.unlink()
    for argv in (
        [*both, "--stats", str(tmp_path / "torn.npz")],
        [*both, "--stats", str(tmp_path / "none.npz")],
        [*both, "--save-stats", str(tmp_path / "s.npz")],
        [*both, "--stats", str(mine), "--save-stats", str(tmp_path / "s.npz")],
    ):
        assert main(argv) == 2
        assert capsys.readouterr().err.splitlines()[-1].startswith("error: ")
        assert not file.exists()
        assert not (tmp_path / "s.npz").exists()


# -------------------------------------------------------------------------------- extractor and floor


def test_a_named_set_is_judged_as_a_run_on_it_is(tmp_path, monkeypatch):
    """The extractor is trained on the training split, and held-out pictures stand for the truth."""
    from triptych.evaluate.of_sets import evaluate_sets
    from triptych.evaluate.options import Samples
    from triptych.metrics.features import self_trained

    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "cache"))
    fake = tmp_path / "fake.npy"
    np.save(fake, np.random.default_rng(0).integers(0, 256, (30, 1, 8, 8), dtype=np.uint8))
    found = evaluate_sets("glyphs", fake, samples=Samples(n=30), resolution=8, channels=1)["frechet_v1"]
    train = data.load("glyphs", "train", resolution=8, channels=1)
    own = self_trained.extractor_for(train, data.load("glyphs", "test", resolution=8, channels=1))
    assert found.extractor == own.id
    assert own.accuracy_n == len(data.load("glyphs", "test", resolution=8, channels=1))
    assert "glyphs test" in found.reference
    assert (found.n, found.n_real, found.floor_n) == (30, 30, 30)


def test_a_set_without_end_has_as_many_examples_as_the_other_side(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("triptych.system.progress.EVERY", 0)
    np.save(tmp_path / "some.npy", np.random.default_rng(0).normal(size=(600, 2)).astype(np.float32))
    for fake, n in ((str(tmp_path / "some.npy"), 600), ("8gaussians", 5_000)):
        file = tmp_path / f"{n}.json"
        assert main(["evaluate", "--real", "25gaussians", "--fake", fake, "--out", str(file)]) == 0
        told = json.loads(file.read_text())["coverage"]
        assert (told["n"], told["n_real"], told["floor_n"]) == (n, n, n)
        assert told["floor"] > 0.9
    assert re.search(r"metrics: [1-9]\d* of \d+, about", capsys.readouterr().err)
