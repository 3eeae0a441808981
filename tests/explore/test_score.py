"""Scores of examples and their p values, from the command line and of made-up models."""

import csv
import dataclasses
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_runs import make_run, toy_recipe

from triptych.cli import main
from triptych.core import Data, DataSpec, Density, Recipe, Train
from triptych.data import load
from triptych.explore import score
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows.coupling import RealNVP
from triptych.objectives.autoencoder import VAE
from triptych.objectives.flow import NLL

FLOW = Recipe(DataSpec("8gaussians"), RealNVP(layers=2, width=8), NLL(), Train(images=1000), name="flow")


class Simple(Density):
    """log p falls with the pictures' contrast: constant ones are the likeliest of all."""

    def __init__(self):
        super().__init__((1, 4, 4))
        self.w = torch.nn.Parameter(torch.ones(()))

    def log_prob(self, x):
        return -self.w * x.flatten(1).var(1)


def pictures(n, seed):
    g = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 1, 4, 4), generator=g, dtype=torch.uint8)


def test_a_constant_picture_that_is_likelier_than_examples_is_warned_of(tmp_path):
    run = make_run(tmp_path / "r", FLOW, pictures=False)
    sets = [Data(name, pictures(60, i)) for i, name in enumerate(("data", "train", "held out"))]
    found = score.score(run, Simple(), *sets)
    assert len(found.warnings) == 1
    assert "by nll a constant picture" in found.warnings[0]
    assert found.p["nll"].min() >= 1 / 61
    assert set(found.scores) == {"nll", "atypicality"}


def test_a_vae_of_classes_scores_more_examples_than_a_batch(tmp_path):
    """The labels of all of them were given to every batch."""
    recipe = Recipe(DataSpec("8gaussians"), MLPAutoencoder(latent=2, width=8, classes=8), VAE(), Train(images=1000))
    run = make_run(tmp_path / "r", recipe, pictures=False, classes=tuple("abcdefgh"))
    data = load("8gaussians")
    some = dataclasses.replace(data, x=data.x[:1_500], labels=data.labels[:1_500])
    found = score.strangeness(run, run.load(device="cpu"), some, None, 0)
    assert len(found["reconstruction"]) == 1_500


def test_half_of_the_held_out_examples_calibrates_the_other(tmp_path, capsys):
    run = make_run(tmp_path / "r", FLOW, pictures=False)
    assert main(["score", str(run.path), "-n", "2000"]) == 0
    out = capsys.readouterr().out
    assert "2,000 held-out examples calibrate" in out
    rows = list(csv.DictReader((run.path / "score.csv").read_text().splitlines()))
    assert len(rows) == 2000
    for level in (0.01, 0.05, 0.1):
        share = sum(float(row["p_nll"]) <= level for row in rows) / len(rows)
        assert abs(share - level) < 4 * (2 * level * (1 - level) / 2000) ** 0.5


def test_strangers_are_strange(tmp_path, capsys):
    import numpy as np

    run = make_run(tmp_path / "r", FLOW, pictures=False)
    np.save(tmp_path / "far.npy", 50 + np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32))
    assert main(["score", str(run.path), "--data", str(tmp_path / "far.npy"), "--out", str(tmp_path / "s.csv")]) == 0
    rows = list(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))
    assert len(rows) == 40
    assert all(float(row["p_nll"]) < 0.01 for row in rows)
    assert "100.0% of 40 examples" in capsys.readouterr().out


def test_copies_of_a_table(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("triptych.explore.copies.MOST", 100)
    run = make_run(tmp_path / "r", toy_recipe(), pictures=False)
    assert main(["copies", str(run.path), "-n", "200"]) == 0
    assert "p = " in capsys.readouterr().out
    told = json.loads((run.path / "neighbours" / "copies.json").read_text())
    assert 0 <= told["low"] <= told["share"] <= told["high"] <= 1
    assert (run.path / "neighbours" / "copies.csv").read_text().startswith("pair,row,ratio,")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["score", "RUN"], "has neither a density nor an encoder"),
        (["score", "RUN", "--level", "2"], "--level is 2"),
        (["score", "RUN", "--out", "x.txt"], "is no table"),
    ],
)
def test_what_cannot_be_scored_is_one_line(argv, said, tmp_path, capsys):
    run = make_run(tmp_path / "r", toy_recipe(), pictures=False)
    assert main([str(run.path) if word == "RUN" else word for word in argv]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_a_new_row_has_the_types_of_the_table_that_was_trained_on(tmp_path, monkeypatch, capsys):
    """One date may be written in two ways, an id is no category: what the run knows is not guessed again."""
    monkeypatch.chdir(tmp_path)
    draw = random.Random(0)
    rows = [f"{draw.randint(1, 28):02}/{draw.randint(1, 12):02}/2020,{draw.randint(18, 90)}\n" for _ in range(300)]
    Path("many.csv").write_text("day,age\n" + "".join(rows))
    Path("one.csv").write_text(f"id,age,day\nabc,30,{rows[0].split(',')[0]}\n")
    Path("other.csv").write_text("id,age\nabc,30\n")
    train = ["train", "realnvp-8gaussians", "--data", "many.csv", "--holdout", "0.2", "--train.images", "256"]
    assert main([*train, "--model.width", "8", "--out", "run"]) == 0
    assert main(["score", "run", "--data", "one.csv", "--out", "s.csv"]) == 0
    capsys.readouterr()
    assert main(["score", "run", "--data", "other.csv", "--out", "s.csv"]) == 2
    assert "there is no column 'day'" in capsys.readouterr().err


def test_one_new_row_is_scored_and_not_trained_on(tmp_path, monkeypatch, capsys):
    """Of a table with types and of plain numbers; a hash that puts the row on one side of a split has no say."""
    monkeypatch.chdir(tmp_path)
    draw = random.Random(0)
    rows = [f"{draw.randint(18, 90)},{draw.choice('mf')},{draw.gauss(4e4, 1e4):.2f}\n" for _ in range(300)]
    for name, some in (("many", rows), ("one", rows[:1]), ("alike", rows[:1] * 3), ("other", rows[7:8])):
        (tmp_path / f"{name}.csv").write_text("age,sex,income\n" + "".join(some))
    np.save("many.npy", torch.randn(300, 2).numpy())
    np.save("one.npy", torch.randn(1, 2).numpy())
    options = ["--holdout", "0.2", "--train.images", "256", "--model.width", "8"]
    assert (
        main(["train", "realnvp-8gaussians", "--data", "many.csv", "--columns", "auto", *options, "--out", "typed"])
        == 0
    )
    assert main(["train", "realnvp-8gaussians", "--data", "many.npy", *options, "--out", "plain"]) == 0
    for run, data, n in (
        ("typed", "one.csv", 1),
        ("typed", "other.csv", 1),
        ("typed", "alike.csv", 3),
        ("plain", "one.npy", 1),
    ):
        assert main(["score", run, "--data", data, "--out", "s.csv"]) == 0
        with Path("s.csv").open() as f:
            assert len(list(csv.DictReader(f))) == n
    capsys.readouterr()
    for data, said in (("one.csv", "1 row to train on; give at least 2"), ("alike.csv", "always the same")):
        for words in (["realnvp-8gaussians", "--data", data, "--columns", "auto"], ["--data", data, "--holdout", "0"]):
            assert main(["train", *words, "--out", "no"]) == 2
            assert said in capsys.readouterr().err
    (tmp_path / "two.csv").write_text("age,sex,income\n" + "".join(rows[:2]))
    for share in range(1, 10):  # which of the two is held out is a matter of their hash
        assert (
            main(["train", "realnvp-8gaussians", "--data", "two.csv", "--columns", "auto", "--holdout", f"0.{share}"])
            == 2
        )
        assert "--holdout" in capsys.readouterr().err
    assert not Path("no").exists()


def test_the_runs_own_table_is_not_ranked_among_itself(tmp_path, monkeypatch, capsys):
    """--data that says where the run's own examples are scored all held-out ones, calibrated by the same."""
    monkeypatch.chdir(tmp_path)
    np.save("many.npy", torch.randn(300, 2).numpy())
    train = ["train", "realnvp-8gaussians", "--data", "many.npy", "--holdout", "0.2", "--train.images", "256"]
    assert main([*train, "--model.width", "8", "--out", "run"]) == 0
    assert main(["score", "run", "--out", "own.csv"]) == 0
    assert main(["score", "run", "--data", "many.npy", "--out", "named.csv"]) == 0
    assert Path("named.csv").read_text() == Path("own.csv").read_text()


def test_a_rows_score_does_not_depend_on_the_table_it_stands_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = [f"{rng.normal():.1f},{rng.integers(20, 60)},{rng.choice(['a', 'b', 'c'])}" for _ in range(300)]
    Path("t.csv").write_text("x,age,kind\n" + "\n".join(rows) + "\n")
    asked = ["train", "--data", "t.csv", "--holdout", "0.3", "--train.images", "2000", "--device", "cpu"]
    assert main([*asked, "--out", "run"]) == 0
    found = []
    for k, some in enumerate((rows[:5], rows[2:3])):
        Path(f"{k}.csv").write_text("x,age,kind\n" + "\n".join(some) + "\n")
        assert main(["score", "run", "--data", f"{k}.csv", "--out", f"s{k}.csv"]) == 0
        found.append(list(csv.DictReader(Path(f"s{k}.csv").read_text().splitlines())))
    assert float(found[0][2]["nll"]) == pytest.approx(float(found[1][0]["nll"]), abs=1e-5)
