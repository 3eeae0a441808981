"""Runs that version 0.1 left: they load, resume to the end that they would have had, and are evaluated."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from triptych import evaluate, trainer
from triptych.evaluate import Samples
from triptych.run import Run, load

RUNS = Path(__file__).resolve().parent.parent / "fixtures" / "runs-0.1"
NAMES = ("gan", "vae", "flow")


def copy(name: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(RUNS / name, tmp_path / name))


def expected(name: str) -> tuple[list[dict[str, float]], dict[str, np.ndarray]]:
    lines = (RUNS / "expected" / name / "metrics.jsonl").read_text().splitlines()
    with np.load(RUNS / "expected" / name / "samples.npz") as arrays:
        return [json.loads(line) for line in lines], dict(arrays)


@pytest.mark.parametrize("name", NAMES)
def test_an_old_run_loads(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = copy(name, tmp_path)
    for _ in range(2):
        model = load(path, device="cpu")
    np.testing.assert_allclose(model.sample(4, seed=5).numpy(), expected(name)[1]["half"], rtol=1e-4, atol=1e-5)
    said = capsys.readouterr().err
    assert said.count("version 0.1") == 1
    assert "without checksums" in said


@pytest.mark.parametrize("name", NAMES)
def test_an_old_run_goes_on_to_the_end_it_would_have_had(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copy(name, tmp_path)
    run = trainer.resume(path, progress=False)
    lines, samples = expected(name)
    assert run.status["state"] == "done"
    assert "note" not in run.status
    assert [line["images"] for line in run.lines()] == [line["images"] for line in lines]
    for mine, theirs in zip(run.lines(), lines, strict=True):
        for key in theirs.keys() - {"seconds", "evaluating"}:
            if theirs[key] is None:
                assert mine[key] is None
            else:
                # the distance of a flow to the data has a name of its own by now
                mine |= {"kl": mine["kl_data"]} if key == "kl" and "kl_data" in mine else {}
                assert mine[key] == pytest.approx(theirs[key], rel=1e-4, abs=1e-6), (key, mine["images"])
    made = run.load(device="cpu").sample(4, seed=5).numpy()
    np.testing.assert_allclose(made, samples["whole"], rtol=1e-3, atol=1e-4)
    assert evaluate.evaluate_run(path, samples=Samples(n=64), device="cpu")
    assert (path / "eval.json").is_file()


def test_the_best_of_an_old_run_is_chosen_again_from_its_log(tmp_path: Path) -> None:
    """Version 0.1 wrote best.json after the checkpoint: a kill between the two left another best behind."""
    path = copy("flow", tmp_path)
    for file in (path / "recipe.json", *(path / "checkpoints").glob("0*.json")):
        file.write_text(file.read_text().replace('"best": ""', '"best": "grad_norm"'))
    log = {line["images"]: line["grad_norm"] for line in Run(path).lines() if "grad_norm" in line}
    best = min((1_600, 3_200), key=lambda n: log[n])
    assert Run(path).best == best
    other = 1_600 if best == 3_200 else 3_200
    (path / "checkpoints" / "best.json").write_text(
        json.dumps({"images": other, "metric": "grad_norm", "value": log[other]})
    )
    assert Run(path).best == best
    run = trainer.resume(path, progress=False)
    values = {
        line["images"]: line["grad_norm"] for line in run.lines() if line["images"] in (1_600, 3_200, 4_800, 6_400)
    }
    assert run.best == min(values, key=lambda n: values[n])
    assert not (path / "checkpoints" / "best.json").exists()
