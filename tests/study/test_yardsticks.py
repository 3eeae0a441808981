"""Models fitted in closed form beside the recipes of a study: made once for each data set, shown, never ranked."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from fake_runs import make_run, toy_recipe

from triptych.core import DataSpec
from triptych.errors import UserError
from triptych.models.yardsticks import Mean
from triptych.recipes.yardsticks import yardsticks
from triptych.report.axes import gate, judge_axes
from triptych.report.entries import gather
from triptych.report.page import write_report
from triptych.report.significance import judge
from triptych.report.table import tables
from triptych.report.wording import headline
from triptych.study.from_file import read_study
from triptych.study.study import Study

NAMES = ["gaussian", "mixture", "memoriser", "mean"]


def test_each_data_set_has_them_once(tmp_path: Path) -> None:
    one = toy_recipe()
    turned = replace(one, name="turned", data=DataSpec("25gaussians@30"))
    study = Study("s", (one, replace(one, name="again"), turned), seeds=2)
    jobs = study.jobs(tmp_path)
    beside = [(job.recipe.name, job.recipe.data.name, job.seed) for job in jobs[:8]]
    assert beside == [(name, data, 0) for data in ("25gaussians", "25gaussians@30") for name in NAMES]
    assert len(jobs) == 8 + len(replace(study, yardsticks=False).jobs(tmp_path))
    assert len({job.path for job in jobs}) == len(jobs)


def test_a_study_file_leaves_them_out(tmp_path: Path) -> None:
    text = "name: x\nyardsticks: {}\nrecipes: [gan-25gaussians]\n"
    for given, expected in (("true", True), ("false", False)):
        (tmp_path / "s.yaml").write_text(text.format(given), encoding="utf-8")
        assert read_study(tmp_path / "s.yaml").yardsticks is expected
    (tmp_path / "s.yaml").write_text(text.format("maybe"), encoding="utf-8")
    with pytest.raises(UserError, match=r"s\.yaml line 2: yardsticks is 'maybe'; give true or false"):
        read_study(tmp_path / "s.yaml")


def test_they_stand_last_in_tables_and_in_no_test(tmp_path: Path) -> None:
    mean = next(r for r in yardsticks(DataSpec("25gaussians")) if r.model == Mean())
    runs = [make_run(tmp_path / "mean", mean, values={"frechet": 0.001}, pictures=False)]
    for name, level in (("gan-25gaussians", 1.0), ("wgan-gp-25gaussians", 5.0)):
        for seed in range(3):
            folder = tmp_path / f"{name}-{seed}"
            runs.append(make_run(folder, toy_recipe(name), seed, values={"frechet": level + 0.01 * seed}))
    (table,) = tables(gather([run.path for run in runs])[0])
    assert table.labels == ["gan-25gaussians", "wgan-gp-25gaussians", "mean"]
    assert (table.contestants, table.yardsticks) == (table.labels[:2], ["mean"])
    verdict = judge(table, "frechet")
    assert verdict is not None
    assert (verdict.best, verdict.unjudged, verdict.tests) == ("gan-25gaussians", (), 1)
    assert "mean (" not in headline(table, judge_axes(table), gate(table))
    page = write_report([run.path for run in runs], tmp_path / "r.html")
    with page.with_suffix(".csv").open(encoding="utf-8") as f:
        rows = [row for row in csv.DictReader(f) if row["label"] == "mean" and row["metric"] == "frechet"]
    assert [row["value"] for row in rows] == ["0.001"]


def test_yardsticks_alone_are_a_table_without_a_ranking(tmp_path: Path) -> None:
    made = [
        make_run(tmp_path / recipe.name, recipe, values={"frechet": 1.0}, pictures=False)
        for recipe in yardsticks(DataSpec("25gaussians"))
        if recipe.name != "mixture"
    ]
    (table,) = tables(gather([run.path for run in made])[0])
    assert judge(table, "frechet") is None
    assert "nothing to compare" in headline(table, [], None)
