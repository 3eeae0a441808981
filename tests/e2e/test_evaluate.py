"""`triptych evaluate` on a run and on two sets, as a user calls it."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from triptych import trainer
from triptych.cli import main
from triptych.evaluate import evaluate_run, while_training
from triptych.evaluate.options import Samples
from triptych.metrics.features.extractor import Inception
from triptych.recipes import get
from triptych.run import Run
from triptych.run.folder import load


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "toy"
    assert main(["train", "wgan-gp-8gaussians", "--train.images", "2560", "--out", str(folder)]) == 0
    return folder


def test_a_toy_run(toy, capsys):
    assert main(["evaluate", str(toy), "-n", "300"]) == 0
    values = json.loads((toy / "eval.json").read_text())
    assert {"modes", "high_quality", "reverse_kl", "wasserstein", "sliced_wasserstein", "frechet", "nll"} <= set(values)
    for v in values.values():
        assert {"value", "n", "extractor", "resize", "seed", "dtype", "floor"} <= set(v)
        assert v["n"] == 300
    assert values["high_quality"]["floor"] == pytest.approx(1 - math.exp(-4.5), abs=0.04)
    assert values["modes"]["floor"] == 8
    assert values["nll"]["value"] is None
    assert "not defined" in values["nll"]["note"]
    out = capsys.readouterr().out
    assert "floor" in out
    assert "0.9889" in out
    before = (toy / "eval.json").read_text()
    assert main(["evaluate", str(toy), str(toy), "-n", "300"]) == 0
    assert (toy / "eval.json").read_text() == before  # the same seed, the same numbers
    pace = json.loads((toy / "sampling.json").read_text())
    assert pace["examples_per_second"] > 0
    assert (pace["n"], pace["device"]) == (300, "cpu")
    lines = (toy / "metrics.jsonl").read_text().splitlines()
    assert {"modes", "high_quality", "sliced_wasserstein"} <= set(json.loads(lines[-1]))


def test_another_real_side_for_a_run(toy, tmp_path, capsys):
    before = json.loads((toy / "eval.json").read_text()) if (toy / "eval.json").exists() else None
    out = tmp_path / "e.json"
    assert main(["evaluate", str(toy), "-n", "300", "--data", "25gaussians", "--out", str(out)]) == 0
    values = json.loads(out.read_text())
    assert values["modes"]["floor"] == 25
    assert values["modes"]["reference"].startswith("25gaussians")
    assert before == (json.loads((toy / "eval.json").read_text()) if before else None)
    capsys.readouterr()
    assert main(["evaluate", str(toy), "--data", "no-such-set", "--out", str(out)]) == 2
    assert "no-such-set" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        ["evaluate"],
        ["evaluate", "--real", "x"],
        ["evaluate", "x", "--fake", "y"],
        ["evaluate", "x", "-n", "0"],
        ["evaluate", "x", "-n", "1"],
        ["evaluate", "x", "--resolution", "8"],
        ["evaluate", "x", "y", "--save-stats", "s.npz"],
        ["evaluate", "--real", "x", "--fake", "y", "--data", "z"],
    ],
)
def test_wrong_use_is_one_line(argv, capsys):
    assert main(argv) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.fixture(scope="module")
def pictures_run(tmp_path_factory):
    """A small GAN on 200 pictures; sets that small have an extractor at once, so `frechet` is logged on the way."""
    place = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    np.save(place / "x.npy", rng.integers(0, 256, (200, 1, 16, 16), dtype=np.uint8))
    budget = [
        "--train.images",
        "640",
        "--train.best",
        "frechet",
        "--train.evaluate",
        "320",
        "--train.checkpoint",
        "320",
    ]
    argv = ["train", "gan-glyphs", "--data", str(place / "x.npy"), "--model.width", "8", "--channels", "1", *budget]
    assert main([*argv, "--out", str(place / "run")]) == 0
    return place / "run"


def test_best_and_last_are_reported_on_the_half_that_did_not_choose(pictures_run, tmp_path):
    run = Run(pictures_run)
    logged = {line["images"]: line["frechet"] for line in run.lines() if "frechet" in line}
    assert run.best == min(logged, key=logged.get)
    out = tmp_path / "e.json"
    assert main(["evaluate", str(pictures_run), "-n", "150", "--out", str(out)]) == 0
    values = json.loads(out.read_text())
    for which in ("last", "best"):
        value = values[f"frechet_{which}"]
        assert (value["n"], value["n_real"]) == (100, 100)
        assert "chose nothing" in value["note"]
        assert value["reference"] != values["frechet"]["reference"]
    assert values["frechet_infinity"]["value"] is None
    assert "150 samples and 200 real examples for 448 dimensions" in values["frechet_infinity"]["note"]
    assert main(["evaluate", str(pictures_run), "-n", "150", "--split", "train", "--out", str(out)]) == 0
    assert "frechet_best" not in json.loads(out.read_text())


def test_a_run_too_short_for_an_extractor_trains_without_its_best(pictures_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("triptych.metrics.features.self_trained.cached", lambda data: False)
    argv = ["train", "gan-glyphs", "--data", str(pictures_run.parent / "x.npy"), "--model.width", "8"]
    argv += ["--channels", "1", "--train.images", "256", "--train.best", "frechet", "--out", str(tmp_path / "run")]
    assert main(argv) == 0
    assert "frechet is left out" in capsys.readouterr().err
    assert Run(tmp_path / "run").best is None


def test_stored_statistics_stand_for_a_runs_real_side(pictures_run, scripted, tmp_path):
    stats, out = tmp_path / "s.npz", tmp_path / "e.json"
    argv = ["evaluate", str(pictures_run), "-n", "60", "--inception", str(scripted), "--out", str(out)]
    assert main([*argv, "--save-stats", str(stats)]) == 0
    whole = json.loads(out.read_text())
    assert main([*argv, "--stats", str(stats)]) == 0
    values = json.loads(out.read_text())
    assert values["fid"]["value"] == pytest.approx(whole["fid"]["value"], rel=1e-6)
    assert values["fid"]["reference"] == str(stats)
    assert values["kid"]["value"] == whole["kid"]["value"]


def test_a_run_without_a_best_checkpoint_says_so(toy, capsys):
    assert main(["evaluate", str(toy), "-n", "50", "--which", "best"]) == 2
    assert "keeps no best checkpoint" in capsys.readouterr().err


def test_fid_along_the_way_where_it_is_asked_for_and_can_be_had(pictures_run, monkeypatch):
    def features(x):
        flat = x.float().flatten(1) / 255
        return {"features": flat[:, :5]}

    model, data = load(pictures_run), Run(pictures_run).data()
    monkeypatch.setattr(
        "triptych.evaluate.of_run.load_inception", lambda *a, **k: Inception(features, "inception-v3:t")
    )
    monkeypatch.setattr(
        "triptych.evaluate.while_training.load_inception", lambda *a, **k: Inception(features, "inception-v3:t")
    )
    state = torch.get_rng_state()
    found = while_training.during_training(model, data, None, 50, 0, inception=True)
    assert set(found) == {"fid", "kid", "frechet", "kernel", "coverage", "diversity"}
    plain = while_training.during_training(model, data, None, 50, 0)
    assert set(plain) == {"frechet", "kernel", "coverage", "diversity"}
    monkeypatch.setattr("triptych.evaluate.of_run.load_inception", lambda *a, **k: None)
    monkeypatch.setattr("triptych.evaluate.while_training.load_inception", lambda *a, **k: None)
    assert set(while_training.during_training(model, data, None, 50, 0, inception=True)) == {
        "frechet",
        "kernel",
        "coverage",
        "diversity",
    }
    assert torch.equal(torch.get_rng_state(), state)


def test_a_flow_of_pictures_whose_best_is_by_likelihood_is_evaluated(tmp_path: Path) -> None:
    recipe = get("realnvp-glyphs")
    assert recipe.train.best == "bits_per_dim"
    train = replace(recipe.train, images=256, batch=32, checkpoint=128, evaluate=128)
    network = replace(recipe.model, width=8, couplings=1, levels=1)
    run = trainer.fit(replace(recipe, model=network, train=train), 0, tmp_path / "run", "cpu", progress=False)
    found = evaluate_run(run.path, samples=Samples(n=20), device="cpu")
    assert math.isfinite(found["bits_per_dim"].value)
    assert "bits_per_dim_best" not in found
