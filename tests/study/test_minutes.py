"""A study that has so many minutes."""

import json
from dataclasses import replace

import pytest

from triptych.core.contract import Contract
from triptych.errors import UserError
from triptych.recipes import get
from triptych.study import Study
from triptych.study.budgets import Budgets, contract_of, find_budgets, with_budgets
from triptych.study.from_file import read_study
from triptych.study.jobs import Outcome, run_id

TWO = Study("s", (get("gan-8gaussians"), get("vae-8gaussians")), seeds=3, minutes=12.0, yardsticks=False)


def test_minutes_are_divided_over_the_runs():
    assert contract_of(TWO, 1) == Contract("minutes", 2.0)
    assert contract_of(TWO, 2) == Contract("minutes", 4.0)
    assert contract_of(TWO, 4) == Contract("minutes", 6.0)  # two rounds, the second of two


def test_all_seeds_of_a_recipe_have_one_budget_which_is_kept(tmp_path):
    asked = []

    def work(jobs):
        for job in jobs:
            asked.append(job.pace.budget)
            yield Outcome(job, "done", str(1_000 * (1 + len(asked))))

    budgets = find_budgets(TWO, Contract("minutes", 4.0), tmp_path, {}, work)
    assert asked == [4.0, 4.0]
    study = with_budgets(TWO, budgets)
    assert [r.train.images for r in study.recipes] == [2_000, 3_000]
    assert len({job.path for job in study.jobs(tmp_path)}) == 6
    told = json.loads(json.dumps(budgets.told()))
    assert find_budgets(TWO, Contract("minutes", 4.0), tmp_path, told, work) == budgets
    assert len(asked) == 2
    find_budgets(TWO, Contract("minutes", 8.0), tmp_path, told, work)
    assert asked[2:] == [8.0, 8.0]


def test_a_run_of_another_budget_has_as_many_figures_as_it_had():
    made = get("gan-8gaussians")
    seldom = replace(made, train=replace(made.train, images=1_000, sample=50, evaluate=250, log=3, checkpoint=0))
    budgets = Budgets(Contract("images", 9_000), {run_id(seldom, 0): 9_000})
    train = with_budgets(Study("s", (seldom,)), budgets).recipes[0].train
    assert (train.sample, train.evaluate, train.log, train.checkpoint) == (450, 2_250, 27, 0)
    assert train.warmup == seldom.train.warmup


def test_a_recipe_that_does_not_fit_is_named(tmp_path):
    def work(jobs):
        for job in jobs:
            yield Outcome(job, "failed", "--minutes 0.001 is too short here")

    with pytest.raises(UserError, match=r"gan-8gaussians: --minutes 0\.001 is too short"):
        find_budgets(TWO, Contract("minutes", 2.0), tmp_path, {}, work)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("minutes: 0\nrecipes: [gan-8gaussians]", "0 minutes; give a finite number above 0"),
        ("minutes: soon\nrecipes: [gan-8gaussians]", "line 1: minutes is 'soon'"),
        (
            "minutes: 3\nrecipes:\n - {recipe: gan-8gaussians, train.images: 5}",
            "line 3: `minutes:` and train.images both",
        ),
    ],
)
def test_bad_minutes_of_a_study_file(lines, message, tmp_path):
    (tmp_path / "s.yaml").write_text(lines)
    with pytest.raises(UserError, match=message):
        read_study(tmp_path / "s.yaml")


def test_minutes_of_a_study_file(tmp_path):
    (tmp_path / "s.yaml").write_text("minutes: 2.5\nrecipes: [gan-8gaussians]")
    assert read_study(tmp_path / "s.yaml").minutes == 2.5
