"""The report says it where nothing was held out."""

import pytest
from fake_runs import make_run, picture_recipe

from triptych.report import write_report
from triptych.system import files

SAID = "All examples were trained on"


@pytest.mark.parametrize("held_out", [False, True])
def test_what_is_called_held_out_may_be_of_training_examples(tmp_path, held_out):
    run = make_run(tmp_path / "run", picture_recipe(), points=3, values={"nll": 1.0})
    files.write_json(run.path / "env.json", run.env | {"test": run.env["data"] if held_out else None})
    page = write_report([run.path], tmp_path / "report.html")
    assert (SAID in page.read_text(encoding="utf-8")) is not held_out
