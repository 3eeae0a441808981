"""The recipe for rows of a table when none is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from triptych.cli import main
from triptych.cli.train import fitted
from triptych.core import DataSpec
from triptych.data import load_spec
from triptych.errors import UserError
from triptych.models.flows.coupling import NSF
from triptych.objectives.flow import NLL
from triptych.recipes import recommend
from triptych.recipes.recommended import PASSES, ROWS, has_own_budget
from triptych.run import Run


def table(path: Path, n: int = 300) -> DataSpec:
    g = np.random.default_rng(0)
    rows = "".join(f"{g.normal():.3f},{g.choice(['a', 'b', 'c'])},{g.integers(0, 9)}\n" for _ in range(n))
    path.write_text("x,kind,count\n" + rows)
    return DataSpec(str(path))


def test_a_table_gets_a_spline_flow_and_a_part_held_out(tmp_path: Path) -> None:
    recipe, why = recommend(table(tmp_path / "t.csv"))
    assert isinstance(recipe.model, NSF)
    assert isinstance(recipe.objective, NLL)
    assert recipe.name == "t"
    assert recipe.data.columns == ("auto",)
    assert recipe.data.holdout == 0.1
    assert recipe.train.images == PASSES * len(load_spec(recipe.data)) > ROWS[0]
    assert has_own_budget(recipe)
    assert why.startswith("spline flow, for 2")
    assert "a tenth is held out" in why
    assert "each row is shown 40 times, unless --minutes or --train.images" in why
    assert "\n" not in why
    recipe.objective.check(recipe.model.build(load_spec(recipe.data).shape), load_spec(recipe.data))


def test_whole_numbers_have_a_type_in_it(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{i % 7},{i}\n" for i in range(200)))
    recipe, _ = recommend(DataSpec(str(tmp_path / "t.csv")))
    typed = load_spec(recipe.data).typed
    assert typed is not None
    assert [c.decimals for c in typed.all] == [0, 0]


def test_arrays_and_points_get_it_too(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(100, 3)))
    recipe, _ = recommend(DataSpec(str(tmp_path / "x.npy")), hold=False)
    assert (recipe.data.columns, recipe.data.holdout) == ((), 0.0)
    points, why = recommend(DataSpec("8gaussians"))
    assert points.data == DataSpec("8gaussians")
    assert "held out" not in why
    np.save(tmp_path / "one.npy", np.random.default_rng(0).normal(size=(100, 1)))
    with pytest.raises(UserError, match=r"has one column, .*; name a recipe"):
        recommend(DataSpec(str(tmp_path / "one.npy")))


def test_it_is_trained_without_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = table(tmp_path / "t.csv").name
    few = ["--train.images", "512", "--train.sample", "5000", "--train.evaluate", "5000", "--model.bins", "4"]
    assert main(["train", "--data", where, *few, "--out", str(tmp_path / "run")]) == 0
    assert "taking the recommended recipe spline flow" in capsys.readouterr().out
    run = Run(tmp_path / "run")
    assert run.typed() is not None
    assert "--columns auto" in run.env["command"]


def test_its_networks_are_the_same_for_any_time(tmp_path: Path) -> None:
    """Only pictures have narrower ones for shorter times; `--minutes` of a table ended in a traceback."""
    recipe, _ = recommend(table(tmp_path / "t.csv"))
    assert fitted(recipe, 3, "cpu", []) == (recipe, 3)
