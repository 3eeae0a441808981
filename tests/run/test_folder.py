"""A run's folder, as Python meets it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from fake_runs import make_run, toy_recipe

from triptych.cli import main
from triptych.cli.train import finished
from triptych.errors import UserError
from triptych.report import write_report
from triptych.run import Run, load


def test_a_run_stands_for_its_folder(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", toy_recipe(), pictures=False)
    assert Path(run) == Run(run).path == run.path
    assert load(run, "cpu").shape == (2,)
    assert "run" in write_report([run], tmp_path / "page.html").read_text()


@pytest.mark.parametrize("temperature", [-1.0, math.inf, math.nan])
def test_a_temperature_that_is_none_is_refused(temperature: float, tmp_path: Path) -> None:
    model = make_run(tmp_path / "run", toy_recipe(), pictures=False).load(device="cpu")
    with pytest.raises(UserError, match=f"the temperature is {temperature}; give a finite number"):
        model.sample(3, temperature=temperature)


def test_the_end_of_a_training_says_when_it_was_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "train realnvp-8gaussians --train.images 256 --train.batch 64 --train.evaluate 128 --train.best nll"
    assert main([*words.split(), "--model.width", "8", "--out", str(tmp_path / "run")]) == 0
    run = Run(tmp_path / "run")
    (then,) = (line["nll"] for line in run.lines() if line["images"] == 128)
    capsys.readouterr()
    monkeypatch.setattr(Run, "best", 128)
    finished(run)
    assert f"nll was best at 128 images ({then:.4g}): --which best takes that checkpoint" in capsys.readouterr().out
    monkeypatch.setattr(Run, "best", 256)
    finished(run)
    assert "was best at" not in capsys.readouterr().out


def test_a_folder_in_the_place_of_a_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd").mkdir()
    assert main(["train", "odd"]) == 2
    said = "error: no recipe is named 'odd', and a file or folder is; `triptych train --data odd` trains on it\n"
    assert capsys.readouterr().err == said
