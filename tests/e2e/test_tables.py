"""A table with categories, dates and empty cells through every family: trained, sampled in its types, evaluated."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from triptych.cli import main
from triptych.run import Run

FAMILIES = {
    "gan-8gaussians": ["--model.width", "16"],
    "wgan-gp-8gaussians": ["--model.width", "16"],
    "vae-8gaussians": ["--model.width", "16"],
    "realnvp-8gaussians": ["--model.width", "8", "--model.layers", "2"],
    "spline-8gaussians": ["--model.width", "8", "--model.bins", "4"],
    "cfm-8gaussians": ["--model.width", "16", "--model.steps", "2"],
}
COLUMNS = ["age", "sex", "city", "since", "income"]


def table(n: int = 400, seed: int = 0) -> str:
    g = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        age, income = int(g.integers(18, 90)), f"{g.normal(40, 9):.2f}" if g.random() < 0.8 else ""
        since = date(2020, 1, 1).toordinal() + int(g.integers(0, 900))
        rows.append(
            f"{age},{g.choice(['m', 'f'])},{g.choice(['Rome', 'Oslo', ''])},{date.fromordinal(since):%d.%m.%Y},{income}"
        )
    return ",".join(COLUMNS) + "\n" + "\n".join(rows) + "\n"


@pytest.fixture
def trained(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A run of the named recipe on the table."""
    (tmp_path / "t.csv").write_text(table())
    words = [
        "train",
        request.param,
        "--train.evaluate",
        "5000",
        "--data",
        str(tmp_path / "t.csv"),
        "--holdout",
        "0.3",
        *FAMILIES[request.param],
    ]
    assert (
        main(
            [
                *words,
                "--train.images",
                "1024",
                "--train.batch",
                "256",
                "--train.sample",
                "5000",
                "--out",
                str(tmp_path / "run"),
            ]
        )
        == 0
    )
    return tmp_path / "run"


@pytest.mark.parametrize("trained", FAMILIES, indirect=True)
def test_samples_are_rows_of_the_same_types(trained: Path) -> None:
    (trained.parent / "t.csv").unlink()  # what the columns are is known to the run
    out = trained.parent / "rows.csv"
    assert main(["sample", str(trained), "-n", "50", "--out", str(out)]) == 0
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert len(rows) == 50
    assert list(rows[0]) == COLUMNS
    for row in rows:
        assert row["age"].lstrip("-").isdigit()
        assert row["sex"] in ("m", "f")
        assert row["city"] in ("Rome", "Oslo", "")
        assert len(row["since"].split(".")) == 3
        assert row["income"] == "" or len(row["income"].partition(".")[2]) == 2
    assert "marginal_distance" in Run(trained).lines()[-1]
    assert (trained / "samples" / "000001024.png").is_file()


@pytest.mark.parametrize("trained", ["spline-8gaussians"], indirect=True)
def test_everything_else_takes_a_run_of_a_table(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = trained.parent
    assert main(["evaluate", str(trained)]) == 0
    found = json.loads((trained / "eval.json").read_text())
    assert 0 < found["marginal_distance"]["value"] <= found["marginal_worst"]["value"] <= 1
    assert found["marginal_distance"]["floor"] > 0
    assert found["marginal_worst"]["note"].removeprefix("of ") in COLUMNS
    assert found["pair_worst"]["note"].startswith("of ")
    assert found["nll"]["card"]["space"] == "the rows' vectors"
    assert main(["copies", str(trained), "-n", "100"]) == 0
    worst = list(csv.DictReader((trained / "neighbours" / "copies.csv").read_text().splitlines()))
    assert set(COLUMNS) < set(worst[0])
    assert worst[1]["sex"] in ("m", "f")
    assert main(["score", str(trained)]) == 0
    (place / "new.csv").write_text(table(30, seed=5))
    assert main(["score", str(trained), "--data", str(place / "new.csv"), "--out", str(place / "s.csv")]) == 0
    assert len((place / "s.csv").read_text().splitlines()) == 31
    assert main(["sample", str(trained), "--out", str(place / "m.png")]) == 0
    assert main(["report", str(trained), "--out", str(place / "report.html")]) == 0
    page = (place / "report.html").read_text()
    assert "Distance of marginals" in page
    assert "Columns: marginals and pairs" in page
    capsys.readouterr()
    (place / "odd.csv").write_text(table(30, seed=5).replace("Rome", "Bari"))
    assert main(["score", str(trained), "--data", str(place / "odd.csv")]) == 2
    err = capsys.readouterr().err.splitlines()
    assert [line for line in err if line.startswith("error:")] == err[-1:]
    assert "city is 'Bari'" in err[-1]


@pytest.mark.parametrize("trained", ["realnvp-8gaussians"], indirect=True)
def test_a_run_of_a_table_goes_on_and_refuses_another(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resume", str(trained), "--train.images", "1280"]) == 0
    newest = max((trained / "checkpoints").glob("*.safetensors"))
    assert all(np.isfinite(v).all() for v in load_file(newest).values() if v.dtype.kind == "f")
    (trained.parent / "t.csv").write_text(table(seed=1))
    assert main(["resume", str(trained), "--train.images", "1536"]) == 2
    assert "holds 2" in capsys.readouterr().err  # so many other rows


def test_two_tables_are_compared_in_the_types_of_the_real_one(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(table())
    (tmp_path / "b.csv").write_text(table(60, seed=9))
    out = tmp_path / "e.json"
    assert (
        main(["evaluate", "--real", str(tmp_path / "a.csv"), "--fake", str(tmp_path / "b.csv"), "--out", str(out)]) == 0
    )
    found = json.loads(out.read_text())
    assert found["marginal_distance"]["value"] < 0.2
    assert found["c2st"]["value"] < 0.8


def test_a_recipe_holds_what_a_file_of_types_says(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(table())
    (tmp_path / "types.yaml").write_text("age: category\nincome: drop\n")
    words = [
        "train",
        "realnvp-8gaussians",
        "--data",
        str(tmp_path / "t.csv"),
        "--columns",
        str(tmp_path / "types.yaml"),
    ]
    assert main([*words, "--save-recipe", str(tmp_path / "r.yaml")]) == 0
    assert "age=category" in (tmp_path / "r.yaml").read_text()
