"""One set, prepared in two ways within a study: two tables, each with yardsticks and a verdict of its own."""

import csv
from dataclasses import replace

from fake_runs import make_run, picture_recipe

from triptych.core import DataSpec
from triptych.recipes.yardsticks import yardsticks
from triptych.report import write_report
from triptych.report.axes import gate, judge_axes
from triptych.report.entries import gather
from triptych.report.table import tables
from triptych.report.wording import headline

LARGE, SMALL = DataSpec("mnist"), DataSpec("mnist", resolution=16)
DISTANCE = {"axis": "distance", "better": "lower", "title": "Far", "rank": 1, "floor": 1.0}


def runs_of(tmp_path):
    """Two recipes, further than one Gaussian, and the yardsticks at 5, on mnist as it is and at 16 pixels."""
    made = []
    for data, fingerprint, shape in ((LARGE, "aaaa", (1, 28, 28)), (SMALL, "bbbb", (1, 16, 16))):
        recipes = [replace(picture_recipe(name), data=data) for name in ("gan-mnist", "dcgan-mnist")]
        for recipe in (*recipes, *yardsticks(data)):
            value = 5.0 if recipe.name in ("gaussian", "mixture", "memoriser", "mean") else 9.0
            made += [
                make_run(
                    tmp_path / f"{recipe.name}-{fingerprint}-{seed}",
                    recipe,
                    seed,
                    values={"far": {"value": value + 0.01 * seed, **DISTANCE}},
                    fingerprint=fingerprint,
                    shape=shape,
                    pictures=False,
                    points=3,
                )
                for seed in (0, 1)
            ]
    return made


def test_yardsticks_keep_their_names_and_the_gate_its_say(tmp_path):
    runs = runs_of(tmp_path)
    found = tables(gather([r.path for r in runs])[0])
    assert [t.labels for t in found] == [["gan-mnist", "dcgan-mnist", "gaussian", "mixture", "memoriser", "mean"]] * 2
    for table in found:
        assert "none of these recipes has learned the set" in headline(table, judge_axes(table), gate(table))
    out = write_report([r.path for r in runs], tmp_path / "page" / "r.html")
    rows = csv.DictReader(out.with_suffix(".csv").read_text(encoding="utf-8").splitlines())
    assert {"gaussian", "mixture", "memoriser", "mean"} < {row["label"] for row in rows}


def test_headings_say_what_tells_the_tables_of_one_set_apart(tmp_path):
    runs = runs_of(tmp_path)
    found = tables(gather([r.path for r in runs])[0])
    assert [t.title for t in found] == ["mnist (28 px)", "mnist (16 px)"]
    assert headline(found[1], [], None).startswith("On mnist (16 px)")
    page = write_report([r.path for r in runs], tmp_path / "r.html").read_text(encoding="utf-8")
    assert '<a href="#t1">mnist (16 px)</a>' in page
    assert '<h2 id="t1">mnist (16 px)</h2>' in page


def test_tables_of_one_set_that_were_evaluated_in_two_ways_are_numbered(tmp_path):
    made = [
        make_run(tmp_path / name, picture_recipe(name), values={"far": {"value": 2.0, "n": n, **DISTANCE}}, points=3)
        for name, n in (("gan-mnist", 500), ("dcgan-mnist", 2500))
    ]
    assert [t.title for t in tables(gather([r.path for r in made])[0])] == ["mnist", "mnist (table 2)"]
    (alone,) = tables(gather([made[0].path])[0])
    assert alone.title == "mnist"


def test_one_recipe_that_learned_nothing_is_told_so(tmp_path):
    runs = [r for r in runs_of(tmp_path) if r.recipe.name != "dcgan-mnist"]
    for table in tables(gather([r.path for r in runs])[0]):
        said = headline(table, judge_axes(table), gate(table))
        assert "the one recipe, gan, has not learned the set at this budget" in said
        assert "ranking" not in said
