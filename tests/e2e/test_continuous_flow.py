"""A continuous flow from the command line: training, samples at chosen steps, evaluation, figures, bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from triptych.cli import main
from triptych.run.folder import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flows") / "run"
    words = "train cfm-8gaussians --train.images 2048 --model.width 16 --model.solver heun --model.steps 4 --out"
    assert main([*words.split(), str(folder)]) == 0
    return folder


def test_samples_at_chosen_steps(run: Path, tmp_path: Path) -> None:
    for words in ([], ["--steps", "2"], ["--solver", "euler", "--steps", "3"], ["--solver", "dopri5"]):
        file = tmp_path / f"{len(words)}-{words[-1:]}.npy"
        assert main(["sample", str(run), "-n", "8", "--out", str(file), *words]) == 0
        assert file.exists()


def test_evaluation_has_the_card_of_an_estimate_and_the_passes(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "eval.json"
    assert main(["evaluate", str(run), "-n", "50", "--steps", "2", "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    card = found["nll_estimate"]["card"]
    assert card["kind"] == "estimate"
    assert {"solver", "tolerance", "steps", "probes", "se", "value_at_doubled_steps", "converged"} <= card.keys()
    assert found["passes"]["value"] == 4
    assert found["passes"]["how"] == "--steps 2"
    assert "heun, 2 steps" in found["round_trip"]["note"]


def test_figures(run: Path) -> None:
    assert main(["flow", str(run)]) == 0
    made = {file.name for file in (run / "flow").iterdir()}
    assert made == {"density.png", "warp.png", "stages.png", "temperatures.png", "motion.webp"}


def test_it_goes_on(run: Path) -> None:
    assert main(["resume", str(run), "--train.images", "4096"]) == 0
    assert Run(run).status["images"] == 4096


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("sample RUN --steps 0", "0 steps were asked for"),
        ("sample RUN --solver magic", "has no solver 'magic'"),
        ("evaluate RUN --steps -1", "-1 steps were asked for"),
        ("train cfm-8gaussians --model.steps 0 --out NEW", "it must be above 0"),
        ("train cfm-8gaussians --model.tolerance 1e-12 --out NEW", "cannot be kept"),
        ("train cfm-glyphs --resolution 18 --out NEW", "divisible by 4"),
        ("train lcfm-cifar10 --data glyphs --resolution 16 --model.codes 64 --out NEW", "no smaller than the images'"),
        ("train gan-8gaussians --objective FlowMatching --out NEW", "trains a velocity"),
    ],
)
def test_bad_input_is_one_line(words: str, said: str, run: Path, tmp_path: Path, capsys) -> None:
    new = tmp_path / "new"
    assert main(words.replace("RUN", str(run)).replace("NEW", str(new)).split()) == 2
    err = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(err) == 1
    assert said in err[0]
    assert not new.exists()
