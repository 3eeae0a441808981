"""Tables for whoever works in Python."""

import sys
import types

import numpy as np
import pytest
from fake_runs import make_run, toy_recipe
from PIL import Image

from triptych.core.frame import frame
from triptych.errors import UserError
from triptych.study import Study
from triptych.system import files

ROWS = [{"a": 1, "b": 0.5, "c": "x"}, {"a": 2, "c": None}]


@pytest.fixture
def no_pandas(monkeypatch):
    monkeypatch.setattr("triptych.core.frame.importlib.util.find_spec", lambda name: None)


def test_without_pandas_a_table_is_a_dictionary_of_arrays(no_pandas):
    made = frame(ROWS)
    assert made["a"].dtype == np.int64
    assert made["b"].dtype == np.float64
    assert np.isnan(made["b"][1])
    assert list(made["c"]) == ["x", None]
    assert frame([]) == {}


def test_with_pandas_it_is_a_frame(monkeypatch):
    class DataFrame:
        def __init__(self, columns):
            self.columns = columns

    monkeypatch.setattr("triptych.core.frame.importlib.util.find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "pandas", types.SimpleNamespace(DataFrame=DataFrame))
    assert isinstance(frame(ROWS), DataFrame)


def test_a_run_gives_its_log_and_shows_itself(tmp_path, no_pandas):
    values = {"modes": 20, "nll": {"value": None}, "high_quality": {"value": 0.5, "floor": 0.99, "title": "<b>"}}
    run = make_run(tmp_path / "a<b>", toy_recipe(), values=values, points=6)
    log = run.metrics()
    assert list(log["images"]) == [0, 2000, 4000, 6000, 8000, 10000]
    assert log["critic_loss"].shape == (6,)
    told = run._repr_html_()
    assert "a&lt;b&gt;" in told
    assert "<b>" not in told.replace("<b>a&lt;b&gt;</b>", "")
    assert "data:image/png;base64," in told
    assert "0.990" in told
    png = run._repr_png_()
    assert png is not None
    assert png.startswith(b"\x89PNG")


def test_a_run_of_the_zoo_shows_itself_whose_samples_are_webp(tmp_path):
    run = make_run(tmp_path / "a", toy_recipe())
    for file in (run.path / "samples").glob("*.png"):
        with Image.open(file) as picture:
            picture.save(file.with_suffix(".webp"))
        file.unlink()
    png = run._repr_png_()
    assert png is not None
    assert png.startswith(b"\x89PNG")
    assert "data:image/png;base64," in run._repr_html_()


def test_a_run_without_pictures_shows_its_numbers(tmp_path):
    run = make_run(tmp_path / "a", toy_recipe(), pictures=False)
    assert run._repr_png_() is None
    assert "<img" not in run._repr_html_()


def test_a_study_gives_every_number_as_a_row(tmp_path, no_pandas):
    study = Study("tiny", (toy_recipe("gan-x"),), seeds=2)
    with pytest.raises(UserError, match="holds no study"):
        study.table(tmp_path)
    runs = [{"run": f"r{i}", "recipe": "gan-x", "seed": i, "state": "done", "message": ""} for i in range(3)]
    for i in range(2):
        make_run(tmp_path / f"r{i}", toy_recipe("gan-x"), i, values={"modes": 20 + i, "nll": {"value": None}}, points=2)
    files.write_json(tmp_path / "study.json", {"name": "tiny", "runs": runs})
    table = study.table(tmp_path)
    assert list(table["metric"]) == ["modes", "nll", "modes", "nll", ""]
    assert list(table["value"][[0, 2]]) == [20, 21]
    assert np.isnan(table["value"][1])
    assert list(table["seed"]) == [0, 0, 1, 1, 2]
