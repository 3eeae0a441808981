"""Reports on metrics that take spoilt pictures for good, on values beyond the floor, and on older features."""

from __future__ import annotations

import json

from fake_runs import make_run, picture_recipe

from triptych.report import write_report
from triptych.report.entries import gather, read_entry
from triptych.report.table import tables
from triptych.report.terminal import grid, praises

BLURRED = "blurred pictures"


def values(**more):
    controls = {"n": 9, "floor": 0.9, "samples": 0.8, "values": {BLURRED: 0.92}, "within": [BLURRED], "above": []}
    told = {"value": 0.97, "floor": 0.9, "title": "Precision", "better": "higher", "rank": 1, "companion": "recall"}
    recall = {"value": 0.2, "floor": 0.9, "title": "Recall", "better": "higher", "rank": 90}
    others = {f"m{i}": {"value": 1.0, "title": f"M{i}", "better": "higher", "rank": 5 + i} for i in range(8)}
    return {"precision": told | {"controls": controls, **more}, "recall": recall, **others}


def test_a_metric_that_takes_a_control_for_real_says_so_in_its_cell_and_below_the_table(tmp_path):
    run = make_run(tmp_path / "a", picture_recipe(), values=values(), pictures=False)
    page = write_report([run.path], tmp_path / "r.html").read_text(encoding="utf-8")
    assert f"takes {BLURRED} for real" in page
    (table,) = tables(gather([run.path])[0])
    assert praises(table, table.metrics) == {"Precision": f"takes {BLURRED} for real"}


def test_precision_is_never_shown_without_recall(tmp_path):
    run = make_run(tmp_path / "a", picture_recipe(), values=values(), pictures=False)
    (table,) = tables(gather([run.path])[0])
    heads = [str(c.header) for c in grid(table).columns]
    assert heads.index("Recall ↑") == heads.index("Precision ↑") + 1


def test_a_value_beyond_the_floor_is_noted(tmp_path):
    run = make_run(tmp_path / "a", picture_recipe(), values=values(beyond="usually collapse"), pictures=False)
    page = write_report([run.path], tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Precision 0.97 is better than between real examples (0.9): usually collapse" in page


def test_numbers_of_older_features_stand_under_their_name_of_today(tmp_path):
    old = {k: {"value": 3.0, "extractor": "autoencoder:0123"} for k in ("frechet", "recall", "confident")}
    run = make_run(tmp_path / "a", picture_recipe(), values=old, pictures=False)
    with (run.path / "metrics.jsonl").open("a", encoding="utf-8") as f:
        f.write(json.dumps({"images": 10**9, "step": 10**6, "seconds": 99.0, "frechet": 2.0}) + "\n")
    entry = read_entry(run.path)
    assert {"frechet_v1", "recall_v1", "confident"} <= entry.values.keys()
    assert "frechet" not in entry.values
    assert entry.values["frechet_v1"]["variant"] == "offline-v1"
    assert entry.lines[-1]["frechet_v1"] == 2.0
