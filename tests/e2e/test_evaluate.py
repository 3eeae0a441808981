"""`triptych evaluate` on a run and on two sets, as a user calls it."""

import json
import math

import pytest

from triptych.cli import main


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
