"""The picture row, the matrix and the curves of the page."""

import base64
import hashlib
import re
from dataclasses import replace

import pytest
from fake_runs import make_run, picture_recipe, toy_recipe

from triptych import figures, recipes
from triptych.core.families import family
from triptych.models.two_stages import LatentMLP
from triptych.report import charts, facts, write_report
from triptych.report.axes import judge_axes
from triptych.report.cards import picture_row
from triptych.report.entries import gather
from triptych.report.matrix import matrix, ranked, ranking, shade
from triptych.report.table import short_names, tables
from triptych.run import publish
from triptych.system import files


def table_of(tmp_path, told, seeds=3, **more):
    """One table: values by recipe, the same for every seed but for a thousandth."""
    runs = []
    for name, values in told.items():
        for seed in range(seeds):
            moved = {
                k: v | {"value": v["value"] * (1 + 0.001 * seed)} if isinstance(v, dict) and v["value"] else v
                for k, v in values.items()
            }
            runs.append(
                run := make_run(tmp_path / f"{name}-{seed}", toy_recipe(name), seed, values=moved, points=3, **more)
            )
            if name == "gaussian":
                asked = files.read_object(run.path / "recipe.json")
                files.write_json(
                    run.path / "recipe.json",
                    asked | {"recipe": asked["recipe"] | {"objective": {"type": "ClosedForm"}}},
                )
    (table,) = tables(gather([r.path for r in runs])[0])
    return table, runs


DISTANCE = {"axis": "distance", "better": "lower", "title": "Far", "rank": 1}


def far(value, floor=1.0):
    return {"far": {"value": value, "floor": floor, **DISTANCE}}


@pytest.mark.parametrize(
    ("value", "near", "worst", "sign", "expected"),
    [
        (1.0, 1.0, 11.0, -1, 0),
        (11.0, 1.0, 11.0, -1, 5),
        (3.0, 1.0, 11.0, -1, 2),
        (0.5, 1.0, 11.0, -1, 0),
        (0.98, 0.99, 0.97, 1, 0),
        (0.0, 0.99, 0.0, 1, 5),
        (0.0, 0.0, 0.0, 1, 0),
    ],
)
def test_a_shade_is_the_share_of_the_way_from_the_floor(value, near, worst, sign, expected):
    """Better than real is as good as real, and a row in which all are near is pale."""
    assert shade(value, near, worst, sign) == expected


def test_recipes_stand_by_rank_and_yardsticks_behind_them(tmp_path):
    told = {"gan-25gaussians": far(9.0), "gaussian": far(1.5), "vae-25gaussians": far(2.0)}
    table, _ = table_of(tmp_path, told, pictures=False)
    axes = judge_axes(table)
    assert ranked(table) == ["vae-25gaussians", "gan-25gaussians"]
    found = matrix(table, axes)
    assert (found.labels, found.yardsticks) == (("vae-25gaussians", "gan-25gaussians"), ("gaussian",))
    (group,) = [g for g in found.groups if g.axis == "distance"]
    assert group.wins[1].clear == ()
    (row,) = group.rows
    assert [c.best for c in row.cells] == [True, False]
    assert [c.shade for c in row.cells] == [2, 5]
    assert len(row.aside) == 1
    cards = picture_row(table, axes, []).cards
    assert [c.name for c in cards] == ["vae", "gan", "gaussian"]
    assert cards[2].family == "yardstick"
    assert cards[0].standing in ("lowest mean, not significantly", "clearly the best")


def test_nothing_is_ranked_by_what_it_costs(tmp_path):
    """One of two is evaluated, and trained in less time: that is not what makes it the first, or `lowest`."""
    first = make_run(tmp_path / "a", toy_recipe("vae-25gaussians"), 1, points=0, pictures=False)
    second = make_run(tmp_path / "b", toy_recipe("gan-25gaussians"), 0, values=far(9.0), points=0, pictures=False)
    (table,) = tables(gather([first.path, second.path])[0])
    assert ranking(table) == ""
    row = picture_row(table, judge_axes(table), [])
    assert row.order == "in the order given"
    assert [(c.name, c.standing) for c in row.cards] == [("vae", "not evaluated"), ("gan", "")]


def test_pictures_are_ranked_by_features_before_pixels(tmp_path):
    """A distance of pixels praises blur, however low its rank."""
    runs = []
    for name, pixels, features in (("gan-mnist", 2.0, 1.0), ("vae-mnist", 1.0, 9.0)):
        values = {
            "far": {"value": pixels, "extractor": "pixels", **DISTANCE},
            "near": {"value": features, "extractor": "offline:1", **DISTANCE, "title": "Near", "rank": 9},
        }
        runs.append(make_run(tmp_path / name, picture_recipe(name), values=values, pictures=False, points=3))
    (table,) = tables(gather([r.path for r in runs])[0])
    assert ranking(table) == "near"
    assert ranked(table) == ["gan-mnist", "vae-mnist"]


def test_negative_controls_have_columns_of_their_own(tmp_path):
    value = far(2.0)["far"] | {
        "controls": {"n": 10, "floor": 1.0, "samples": 2.0, "values": {"blurred": 7.5, "x": None}}
    }
    table, runs = table_of(tmp_path, {"gan-25gaussians": {"far": value}, "vae-25gaussians": far(3.0)}, pictures=False)
    found = matrix(table, [])
    assert found.controls == ("blurred",)
    (row,) = next(g for g in found.groups if g.axis == "distance").rows
    assert row.aside[0].text == "7.50"
    page = write_report([r.path for r in runs], tmp_path / "r.html").read_text(encoding="utf-8")
    assert "negative control" in page


def test_one_recipe_alone_has_no_scale_and_neither_have_yardsticks_and_controls_beside_it(tmp_path):
    value = far(2.0)["far"] | {"controls": {"n": 10, "floor": 1.0, "samples": 2.0, "values": {"blurred": 7.5}}}
    table, runs = table_of(tmp_path, {"gan-25gaussians": {"far": value}, "gaussian": far(1.5)}, pictures=False)
    found = matrix(table, [])
    (row,) = next(g for g in found.groups if g.axis == "distance").rows
    assert [c.text for c in row.aside[1:]] == ["7.50"]
    assert [c.shade for c in (*row.cells, *row.aside)] == [None] * 3
    page = write_report([r.path for r in runs], tmp_path / "r.html").read_text(encoding="utf-8")
    assert 'class="swatch s5"' not in page
    assert "Bold" not in page


def test_a_tie_of_all_is_no_best(tmp_path):
    good = {"better": "higher", "title": "Good", "axis": "fidelity", "rank": 1}
    told = {k: {"good": {"value": v, **good}} for k, v in (("a", 0.0), ("b", 0.0), ("c", 0.0))}
    (row,) = (r for g in matrix(table_of(tmp_path / "1", told)[0], []).groups for r in g.rows if r.metric == "good")
    assert [c.best for c in row.cells] == [False, False, False]
    told["c"] = {"good": {"value": -1.0, **good}}
    (row,) = (r for g in matrix(table_of(tmp_path / "2", told)[0], []).groups for r in g.rows if r.metric == "good")
    assert sorted(c.best for c in row.cells) == [False, True, True]


def test_what_is_not_defined_is_an_empty_cell_with_its_reason(tmp_path):
    nll = {"value": None, "note": "no density"}
    table, runs = table_of(tmp_path, {"gan-a": far(2.0) | {"nll": nll}, "gan-b": far(3.0) | {"nll": {"value": 1.0}}})
    page = write_report([r.path for r in runs], tmp_path / "r.html").read_text(encoding="utf-8")
    assert '<td class="none" tabindex="0"><span class="why">no density</span></td>' in page
    (row,) = [r for g in matrix(table, []).groups for r in g.rows if r.metric == "nll"]
    assert [c.shade for c in row.cells] == [None, None], "one number alone has no scale"


def test_names_lose_what_all_share_where_they_stay_different(tmp_path):
    table, _ = table_of(tmp_path, {"gan-25gaussians": {}, "vae-25gaussians": {}}, seeds=1, pictures=False)
    assert list(short_names(table).values()) == ["gan", "vae"]
    table, _ = table_of(tmp_path / "b", {"gan-25gaussians": {}, "gan": {}}, seeds=1, pictures=False)
    assert list(short_names(table).values()) == ["gan-25gaussians", "gan"]


def test_the_family_is_read_from_the_players(tmp_path):
    table, _ = table_of(tmp_path, {"gan-25gaussians": {}}, seeds=1, pictures=False)
    assert family(table.entries[0].env["parameters"]) == "GAN"
    assert [c.family for c in picture_row(table, (), []).cards] == ["GAN"]


def test_a_flow_of_codes_is_a_flow_in_reports_and_where_it_is_published(tmp_path):
    recipe = replace(recipes.get("lcfm-glyphs-quick"), model=LatentMLP(codes=3, width=4, flow_width=8, flow_depth=1))
    run = make_run(tmp_path / "a", recipe, values=far(1.0), points=6, shape=(1, 20, 20))
    assert publish.family(run) == "flow"
    assert [c.family for c in picture_row(tables(gather([run.path])[0])[0], (), []).cards] == ["flow"]


def test_real_examples_are_the_first_picture_where_the_run_kept_some(tmp_path):
    run = make_run(tmp_path / "a", picture_recipe(), values=far(1.0), points=6)
    page = write_report([run.path], tmp_path / "r.html").read_text(encoding="utf-8")
    assert "real examples" not in page.split("<main>")[1].split("<h3>")[0]
    import torch

    figures.grid(torch.zeros(4, 1, 28, 28), run.path / "real" / f"{0:09d}.png")
    page = write_report([run.path], tmp_path / "r.html").read_text(encoding="utf-8")
    assert "real examples" in page.split("<main>")[1].split("<h3>")[0]


def test_the_policy_names_the_one_script_by_its_hash(tmp_path):
    run = make_run(tmp_path / "a", toy_recipe(), values=far(1.0), points=6)
    page = write_report([run.path], tmp_path / "r.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    assert len(scripts) == 1
    told = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{told}'" in page


# -------------------------------------------------------------------------------------------- curves


def curve(values, seconds=2.0, alarms=()):
    return charts.Curve([(100.0 * i, seconds * i, 5.0 * i, v) for i, v in enumerate(values)], alarms)


def test_every_run_is_a_thin_line_below_the_mean():
    drawn = charts.line_chart({"a": [curve([1, 2, 3]), curve([3, 4, 5])]}, ["a"], "t")
    assert drawn.count('class="run') == 2
    assert 'data-points="0,2 100,3 200,4"' in drawn
    assert charts.line_chart({"a": [curve([1, 2]), curve([3, 4])]}, ["a"], "t", runs=False).count('class="run') == 0


def test_over_seconds_the_mean_stands_at_the_mean_of_the_seconds():
    drawn = charts.line_chart({"a": [curve([1, 2], 2.0), curve([3, 4], 4.0)]}, ["a"], "t", "seconds")
    assert 'data-points="0,2 3,3"' in drawn
    assert "seconds of training" in drawn
    drawn = charts.line_chart({"a": [curve([1, 2]), curve([3, 4])]}, ["a"], "t", "steps")
    assert 'data-points="0,2 5,3"' in drawn


def test_values_that_fall_over_powers_of_ten_have_a_logarithmic_axis():
    drawn = charts.line_chart({"a": [curve([80_000, 900, 40, 30])]}, ["a"], "t")
    assert all(f">{text}</text>" in drawn for text in ("100", "1k", "10k"))
    assert ">10k<" not in charts.line_chart({"a": [curve([-1, 900, 40, 30])]}, ["a"], "t")


def test_an_alarm_is_a_mark_on_the_curve(tmp_path):
    alarm = "at 5000 images: collapse: samples reach 1 of 25 modes; lower it"
    run = make_run(tmp_path / "a", toy_recipe(), values=far(1.0), points=11, alarms=(alarm, "no moment told"))
    (entry,) = gather([run.path])[0]
    assert facts.raised(entry) == [(5000.0, alarm)]
    drawn = charts.line_chart({"a": [facts.curve(entry, "modes", alarms=True)]}, ["a"], "t")
    assert drawn.count('class="alarm') == 1
    assert "samples reach 1 of 25 modes" in drawn


def test_seconds_of_a_curve_are_of_training_alone(tmp_path):
    run = make_run(tmp_path / "a", toy_recipe(), points=0, pictures=False)
    for images, seconds in ((0, 1.0), (10, 9.0)):
        run.append({"images": images, "seconds": seconds, "evaluating": 3.0, "modes": 4})
    (entry,) = gather([run.path])[0]
    assert [p[1] for p in facts.curve(entry, "modes", alarms=False).points] == [1.0, 6.0]
