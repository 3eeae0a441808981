"""Yardsticks on the page: for scale where something is measured, and not where training is followed."""

from dataclasses import replace

from fake_runs import make_run, picture_recipe

from triptych.core import DataSpec
from triptych.recipes.yardsticks import yardsticks
from triptych.report.entries import gather
from triptych.report.page import curves
from triptych.report.pictures import pictures
from triptych.report.table import tables


def table_of(tmp_path):
    fitted = [replace(r, train=replace(r.train)) for r in yardsticks(DataSpec("mnist")) if r.name == "gaussian"]
    runs = [make_run(tmp_path / r.name, r, points=3, values={"nll": 1.0}) for r in (*fitted, picture_recipe())]
    (table,) = tables(gather([r.path for r in runs])[0])
    return table


def test_samples_over_training_are_of_what_was_trained(tmp_path):
    found = {sheet["label"]: sheet["strip"] for sheet in pictures(table_of(tmp_path), [])}
    assert found["gaussian"] == []
    assert found["gan-mnist"]


def test_curves_are_of_what_was_trained(tmp_path):
    drawn = curves(table_of(tmp_path))
    assert drawn
    assert all("gan-mnist" in c["images"] and "gaussian" not in c["images"] for c in drawn)


def test_examples_are_counted_where_there_is_a_number(tmp_path):
    values = ({"nll": {"value": None, "n": 500, "note": "no density"}}, {"nll": {"value": 2.0, "n": 50_000}})
    runs = [
        make_run(tmp_path / name, picture_recipe(name), values=v, points=3, pictures=False)
        for name, v in zip(("gan-mnist", "flow-mnist"), values, strict=True)
    ]
    (table,) = tables(gather([r.path for r in runs])[0])
    assert table.about("nll") == "n = 50,000"
