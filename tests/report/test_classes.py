"""Numbers of classes on the page and in the CSV."""

import csv
import json
import re

import pytest
from fake_runs import make_run, toy_recipe

from triptych.errors import UserError
from triptych.metrics.within_classes import ClassKernel, ClassNeighbours
from triptych.report import write_report
from triptych.report.classes import SHOWN, by_class
from triptych.report.entries import gather
from triptych.report.table import tables
from triptych.system import files

QUANTITIES = ClassKernel.quantities | ClassNeighbours.quantities


def told(name, values, floor=0.1, **more):
    parts = {k: {"value": v, "n": 30, "n_real": 40, "floor": floor} for k, v in values.items()}
    known = [v for v in values.values() if v is not None]
    mean = sum(known) / len(known)
    whole = {"value": mean, "floor": floor, "quantity": name, "extractor": "net:0", "parts": parts}
    return {name: whole | QUANTITIES[name].told() | more}


def kernel(values, **more):
    return told("kernel_class_mean", values, **more)


def table_of(runs):
    (table,) = tables(gather([r.path for r in runs])[0])
    return table


def runs_of(tmp_path, name, *values):
    return [make_run(tmp_path / f"{name}-{i}", toy_recipe(name), i, values=v, points=3) for i, v in enumerate(values)]


def test_the_worst_class_of_each_recipe_is_named(tmp_path):
    recall = told("recall_class_mean", {"ash": 0.3, "elm": 0.9}, floor=0.95)
    runs = runs_of(tmp_path, "cgan-x", kernel({"ash": 0.2, "elm": 0.7}) | recall, kernel({"ash": 0.4, "elm": 0.9}))
    found = by_class(table_of(runs))
    assert found.sentences == (
        "cgan-x: worst class elm by Kernel distance within classes 0.800; class ash by Recall within classes 0.300.",
    )
    (first, second) = found.metrics
    assert [r.name for r in first.rows] == ["elm", "ash"]
    assert first.rows[0].cells[0].text == "0.700, 0.900"
    assert (first.rows[0].n, first.rows[0].floor) == ("30", "0.100")
    assert [r.name for r in second.rows] == ["ash", "elm"]
    assert first.rows[0].cells[0].shade > first.rows[1].cells[0].shade


def test_where_all_are_alike_none_is_worst(tmp_path):
    found = by_class(table_of(runs_of(tmp_path, "cgan-x", kernel({"ash": 1.0, "elm": 1.0}))))
    assert found.sentences == ()


def test_too_few_examples_are_said(tmp_path):
    runs = runs_of(tmp_path, "cgan-x", kernel({"ash": None, "elm": 0.7, "oak": 0.1}))
    found = by_class(table_of(runs))
    assert found.sentences[1] == "cgan-x: too few examples of ash."
    assert found.metrics[0].rows[-1].cells[0].why == "too few examples"


def test_two_recipes_side_by_side_and_one_without(tmp_path):
    runs = [
        *runs_of(tmp_path, "cgan-x", kernel({"ash": 0.2, "elm": 0.7})),
        *runs_of(tmp_path, "gan-x", {"frechet": 2.0}),
        *runs_of(tmp_path, "cvae-x", kernel({"ash": 0.9, "elm": 0.1})),
    ]
    found = by_class(table_of(runs))
    assert set(found.labels) == {"cgan-x", "cvae-x"}
    assert [r.name for r in found.metrics[0].rows] == ["ash", "elm"]
    page = write_report([r.path for r in runs], tmp_path / "r.html").read_text()
    assert "Class by class" in page
    assert "cvae-x: worst class ash by Kernel distance within classes 0.900." in page


def test_other_features_are_in_the_csv_alone(tmp_path):
    whole = kernel({"ash": 0.2, "elm": 0.7})
    v1 = {"kernel_class_mean_v1": whole["kernel_class_mean"] | {"variant": "offline-v1", "extractor": "net:1"}}
    by = {"kernel_class_mean_sorted": whole["kernel_class_mean"] | {"variant": "sorted by the classifier"}}
    runs = runs_of(tmp_path, "cgan-x", whole | v1 | by)
    found = by_class(table_of(runs))
    assert [m.quantity.name for m in found.metrics] == [
        "Kernel distance within classes",
        "Kernel distance within classes, sorted by the classifier",
    ]
    out = write_report([r.path for r in runs], tmp_path / "r.html")
    rows = [r for r in csv.DictReader(out.with_suffix(".csv").read_text().splitlines()) if r["class"]]
    assert {(r["metric"], r["class"]) for r in rows} == {
        (m, c)
        for m in ("kernel_class_mean", "kernel_class_mean_v1", "kernel_class_mean_sorted")
        for c in ("ash", "elm")
    }
    assert {(r["class"], r["value"], r["n"], r["floor"]) for r in rows} == {
        ("ash", "0.2", "30", "0.1"),
        ("elm", "0.7", "30", "0.1"),
    }
    embedded = json.loads(re.search(r'id="numbers">(.*?)</script>', out.read_text(), re.DOTALL)[1])
    assert all(not row.get("class") for row in embedded["values"])


def test_of_many_classes_the_worst_are_shown(tmp_path):
    runs = runs_of(tmp_path, "cgan-x", kernel({f"class {i:03}": i / 100 for i in range(200)}))
    (metric,) = by_class(table_of(runs)).metrics
    assert (len(metric.rows), metric.more) == (SHOWN, 200 - SHOWN)
    assert metric.rows[0].name == "class 199"
    page = write_report([r.path for r in runs], tmp_path / "r.html")
    assert "160 more classes are in the CSV" in page.read_text()
    assert len(page.with_suffix(".csv").read_text().splitlines()) > 200


def test_runs_without_classes_have_no_such_section(tmp_path):
    runs = runs_of(tmp_path, "gan-x", {"frechet": 2.0})
    assert by_class(table_of(runs)) is None
    page = write_report([r.path for r in runs], tmp_path / "r.html")
    assert "Class by class" not in page.read_text()
    rows = list(csv.DictReader(page.with_suffix(".csv").read_text().splitlines()))
    assert {r["class"] for r in rows} == {""}


@pytest.mark.parametrize("bad", [[], {"ash": 1.0}, {"ash": {"value": "x", "n": 1, "n_real": 1, "floor": None}}])
def test_parts_that_cannot_be_right_are_refused(tmp_path, bad):
    (run,) = runs_of(tmp_path, "cgan-x", kernel({"ash": 0.2, "elm": 0.7}))
    values = files.read_object(run.path / "eval.json")
    values["kernel_class_mean"]["parts"] = bad
    files.write_json(run.path / "eval.json", values)
    with pytest.raises(UserError, match=r"kernel_class_mean\.parts"):
        gather([run.path])


def test_a_name_of_a_class_is_only_text(tmp_path):
    runs = runs_of(tmp_path, "cgan-x", kernel({"<script>x</script>": 0.2, "=1+1": 0.7}))
    out = write_report([r.path for r in runs], tmp_path / "r.html")
    assert "<script>x" not in out.read_text()
    assert ",'=1+1," in out.with_suffix(".csv").read_text()
