"""Equal effort: what a contract says, and the budgets that it gives."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from triptych.core import DataSpec, Recipe, Train
from triptych.core.contract import Contract
from triptych.errors import UserError
from triptych.models.flows.coupling import NSF
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.flow import NLL
from triptych.objectives.gan import GAN, WGANGP
from triptych.recipes.override import with_field
from triptych.report import write_report
from triptych.report.entries import contract_words, read_study_json
from triptych.run import Run
from triptych.study import Study, run_study
from triptych.study.from_file import read_study
from triptych.trainer import fit

TRAIN = Train(images=1_000_000, batch=64, lr=1e-3)
FAST = Recipe(DataSpec("8gaussians"), MLPGAN(width=8, depth=1), GAN(), TRAIN, name="fast")
SLOW = Recipe(DataSpec("8gaussians"), MLPGAN(width=256, depth=3), WGANGP(), TRAIN, name="slow")


@pytest.mark.parametrize(
    ("equal", "budget", "said"),
    [
        ("hours", 1, "choose seconds, images, minutes"),
        ("seconds", 0, "above 0"),
        ("seconds", float("nan"), "above 0"),
        ("images", 0.5, "whole number"),
        ("images", True, "as a number"),
        ("seconds", "long", "as a number"),
    ],
)
def test_a_contract_that_cannot_be_is_one_line(equal, budget, said):
    with pytest.raises(UserError, match=said):
        Contract(equal, budget)


def test_a_study_file_has_a_contract(tmp_path):
    file = tmp_path / "s.yaml"
    text = "name: s\ncontract: {equal: images, budget: 6400}\nrecipes: [gan-8gaussians]\n"
    file.write_text(text, encoding="utf-8")
    assert read_study(file).contract == Contract("images", 6400)
    for bad, said in (
        (text.replace("budget: 6400", "much: 1"), "line 2"),
        (text.replace(", budget: 6400", ""), "line 2: a contract says what is equal"),
        (text.replace("images", "hours"), "line 2: equal is 'hours'"),
        (text.replace("[gan-8gaussians]", "[{recipe: gan-8gaussians, train.images: 100}]"), "line 3: `contract:` and"),
        (text + "minutes: 3\n", "minutes and a contract"),
    ):
        file.write_text(bad, encoding="utf-8")
        with pytest.raises(UserError, match=said):
            read_study(file)


def test_equal_images_are_equal_and_said(tmp_path):
    study = Study(
        "s", (FAST, replace(SLOW, name="other")), 1, samples=50, yardsticks=False, contract=Contract("images", 640)
    )
    outcomes = run_study(study, tmp_path, 1, "cpu", progress=False)
    assert [o.state for o in outcomes] == ["done", "done"]
    budgets = [json.loads((o.job.path / "recipe.json").read_text())["recipe"]["train"]["images"] for o in outcomes]
    assert budgets == [640, 640]
    told = read_study_json(tmp_path)
    assert told["contract"] == {"equal": "images", "budget": 640}
    assert contract_words(told) == "Contract: equal were 640 examples shown to each training."


def test_too_few_images_for_a_batch_are_refused_before_anything_runs(tmp_path):
    study = Study("s", (FAST,), 1, yardsticks=False, contract=Contract("images", 10))
    with pytest.raises(UserError, match="batches of 64"):
        run_study(study, tmp_path, 1, "cpu", progress=False)


@pytest.mark.long
def test_equal_seconds_buy_the_fast_recipe_more_examples(tmp_path):
    study = Study("s", (FAST, SLOW), 1, samples=50, yardsticks=False, contract=Contract("seconds", 1.0))
    outcomes = run_study(study, tmp_path, 1, "cpu", progress=False)
    fast, slow = (o.job.recipe.train.images for o in outcomes)
    assert fast > 2 * slow
    assert all(o.job.recipe.train.images % 64 == 0 for o in outcomes)
    again = run_study(study, tmp_path, 1, "cpu", progress=False)
    assert [o.job.recipe.train.images for o in again] == [fast, slow], "a budget is found once"


def test_a_head_start_is_named_and_can_be_taken_away(tmp_path):
    flow = Recipe(DataSpec("8gaussians"), NSF(layers=1, width=4, bins=4), NLL(), Train(images=256, batch=128), name="f")
    with_it, without = Path(tmp_path / "with"), Path(tmp_path / "without")
    fit(flow, 0, with_it, "cpu", progress=False)
    fit(with_field(flow, "train.head_start", "none"), 0, without, "cpu", progress=False)
    told = [json.loads((p / "env.json").read_text(encoding="utf-8"))["head_start"] for p in (with_it, without)]
    assert told == [["mean and standard deviation of each column", "quantiles of each column"], []]
    first = [Run(p).lines()[0]["nll"] for p in (with_it, without)]
    assert first[0] < first[1] - 0.3, "quantiles of the data are worth a third of a nat before the first step"
    page = write_report([with_it], tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Head start" in page
    assert "quantiles of each column" in page
