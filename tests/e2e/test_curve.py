"""Distance against images shown: extractors made before the training, the curve in log, figure and report."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from triptych import trainer
from triptych.cli.dispatch import main
from triptych.core import Data, DataSpec, Recipe, Train
from triptych.evaluate import while_training
from triptych.metrics.features import contrasts, self_trained
from triptych.metrics.negatives import ellipses
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.autoencoder import VAE
from triptych.objectives.gan import GAN
from triptych.report.entries import read_entry
from triptych.run import Run


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """600 pictures, few enough to make the extractors of in a second or two."""
    folder = tmp_path_factory.mktemp("curve")
    np.save(folder / "x.npy", ellipses(600, (1, 8, 8), 0).permute(0, 2, 3, 1).numpy())
    return folder


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(contrasts, "STEPS", 3)


def recipe(place: Path, images: int = 6_400, name: str = "x.npy", **kw) -> Recipe:
    train = Train(images=images, batch=64, **kw)
    return Recipe(DataSpec(str(place / name), holdout=0.1), MLPGAN(latent=2, width=8), GAN(), train)


@pytest.fixture(scope="module")
def trained(place: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contrasts, "STEPS", 3)
        return trainer.fit(recipe(place), out=place / "run", device="cpu", progress=False).path


@pytest.fixture
def run(trained: Path, hurried, tmp_path) -> Run:
    return Run(shutil.copytree(trained, tmp_path / "run"))


def test_a_short_training_logs_its_curve_from_the_first_line_on(run):
    made = run
    names = {"frechet", "kernel", "coverage", "frechet_v1", "kernel_v1", "coverage_v1", "diversity"}
    evaluated = [line for line in made.lines() if "frechet" in line]
    assert evaluated[0]["images"] == 0
    assert len(evaluated) == 11
    assert all(names <= line.keys() for line in evaluated)
    assert names - {"diversity"} <= made.env["quantities"].keys()
    assert [k.split(":")[0] for k in made.env["extractors"]] == ["contrasts-0", "autoencoder"]
    assert (made.path / "curve.png").is_file()


def test_extractors_are_made_before_and_said_once(hurried, tmp_path):
    np.save(tmp_path / "new.npy", ellipses(600, (1, 8, 8), 1).permute(0, 2, 3, 1).numpy())
    for again in (False, True):
        said: list[str] = []
        trainer.fit(
            recipe(tmp_path, name="new.npy", evaluate=6_400, checkpoint=6_400, log=6_400),
            out=tmp_path / f"run{again}",
            device="cpu",
            progress=False,
            announce=said.append,
        )
        told = [line for line in said if "extractors" in line or line.startswith("made in")]
        assert len(told) == (0 if again else 2)


def test_the_shortest_trainings_make_none(tmp_path, monkeypatch):
    np.save(tmp_path / "other.npy", ellipses(600, (1, 8, 8), 2).permute(0, 2, 3, 1).numpy())
    monkeypatch.setattr(contrasts, "make", None)
    monkeypatch.setattr(self_trained, "make", None)
    made = trainer.fit(
        recipe(tmp_path, images=256, name="other.npy"), out=tmp_path / "run", device="cpu", progress=False
    )
    assert "frechet" not in made.lines()[-1]
    assert made.lines()[-1]["diversity"] > 0


def test_evaluate_judges_kept_checkpoints(run, capsys):
    made = run
    log = (made.path / "metrics.jsonl").read_text().splitlines()
    stripped = [{k: v for k, v in json.loads(line).items() if not k.startswith("frechet")} for line in log]
    (made.path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in stripped))
    logged = {line["images"]: line for line in map(json.loads, log)}
    (made.path / "curve.png").unlink()
    assert main(["evaluate", str(made.path), "-n", "60", "--curve", "--device", "cpu"]) == 0
    assert "curve.png" in capsys.readouterr().out
    told = json.loads((made.path / "curve.json").read_text())
    assert [line["images"] for line in told["lines"]] == made.checkpoints()
    for line in told["lines"]:
        assert line["frechet"] == pytest.approx(logged[line["images"]]["frechet"], rel=1e-4)
    entry = read_entry(made.path)
    assert sum("frechet" in line for line in entry.lines) == len(told["lines"])
    assert main(["evaluate", "--real", "glyphs", "--fake", "glyphs", "--curve"]) == 2
    assert "give run folders" in capsys.readouterr().err


def test_a_damaged_curve_is_one_line(run, tmp_path, capsys):
    made = run
    for wrong in ("[]", '{"extractors": [], "lines": [{"images": -1}]}', '{"extractors": 3, "lines": []}'):
        (made.path / "curve.json").write_text(wrong)
        assert main(["report", str(made.path), "--out", str(tmp_path / "r.html")]) == 2
        err = capsys.readouterr().err
        assert err.startswith("error: ")
        assert "curve.json" in err
        assert err.count("\n") == 1


def test_an_older_log_goes_on_with_the_features_that_it_began_with(run):
    made = run
    env = made.env
    del env["extractors"]
    (made.path / "env.json").write_text(json.dumps(env))
    before = made.lines()[-1]["frechet_v1"]
    last = trainer.resume(made.path, progress=False, images=7_040).lines()[-1]
    assert "frechet_v1" not in last
    assert last["frechet"] == pytest.approx(before, rel=0.5)
    assert "frechet_v1" in read_entry(made.path).lines[-1]


def test_one_grey_square_has_no_diversity_in_any_family():
    data = Data("x", ellipses(100, (1, 8, 8), 0))
    assert while_training.diversity(data.x, torch.full((50, 1, 8, 8), 128, dtype=torch.uint8)) == 0
    assert while_training.diversity(data.x, ellipses(100, (1, 8, 8), 1)) == pytest.approx(1, abs=0.1)
    assert math.isnan(while_training.diversity(data.x[:1], data.x))


def test_a_vae_that_draws_one_grey_square_raises_an_alarm(place, tmp_path):
    """Its decoder learns next to nothing: samples stay as alike as at the beginning."""
    coder = MLPAutoencoder(latent=2, width=8, variational=True)
    objective = VAE(beta=1_000.0)
    asked = Recipe(DataSpec(str(place / "x.npy")), coder, objective, Train(images=4_480, batch=32, lr=1e-4))
    made = trainer.fit(asked, out=tmp_path / "run", device="cpu", progress=False)
    assert all("diversity" in line for line in made.lines() if "elbo" in line)
    assert any("collapse: samples differ by" in alarm for alarm in made.status["alarms"])
    assert any("beta" in alarm for alarm in made.status["alarms"])
