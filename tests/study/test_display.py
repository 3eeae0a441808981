"""What a study says of its progress where there is no terminal."""

import os
import time
from dataclasses import replace

import pytest
from fake_runs import toy_recipe

from triptych.core.statistics import duration
from triptych.recipes.yardsticks import ONCE
from triptych.study import display
from triptych.study.executor import log_of
from triptych.study.jobs import Job, Outcome
from triptych.system import files


def test_on_a_pipe_a_line_every_half_minute_says_how_long_it_will_take(tmp_path, monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    first, second = (Job(toy_recipe("gan-x"), seed, tmp_path / str(seed)) for seed in range(2))
    (tmp_path / "1").mkdir()
    with display.display([first, second], 0, 1, shown=True) as show:
        show({first.path: first}, None)
        now[0] = 20.0
        show({}, Outcome(first, "done", seconds=20.0))
        files.append_line(tmp_path / "1" / "metrics.jsonl", {"images": 5000})
        now[0] = 31.0
        show({second.path: second}, None)
        show({second.path: second}, None)
        now[0] = 60.0
        show({second.path: second}, None)
        now[0] = 61.5
        show({second.path: second}, None)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("after")]
    assert lines[0] == "after 31 s: 1 of 2 runs done; training gan-x seed 1 (50%); about 10 s left"
    assert len(lines) == 2


def test_what_is_trained_and_being_evaluated_is_told_apart(tmp_path, monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    one, other = (Job(toy_recipe("gan-x"), seed, tmp_path / str(seed)) for seed in range(2))
    for job in (one, other):
        job.path.mkdir()
    files.write_json(tmp_path / "0" / "status.json", {"state": "done"})
    files.write_json(tmp_path / "1" / "status.json", {"state": "running"})
    with display.display([one, other], 0, 2, shown=True) as show:
        now[0] = 31.0
        show({one.path: one, other.path: other}, None)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("after")]
    assert line == "after 31 s: 0 of 2 runs done; training gan-x seed 1 (0%); evaluating gan-x seed 0"


def test_an_evaluation_says_how_far_it_is(tmp_path, monkeypatch):
    """Extractors are trained there, which takes minutes."""
    job = Job(toy_recipe("gan-x"), 0, tmp_path / "run")
    job.path.mkdir()
    files.write_json(job.path / "status.json", {"state": "done"})
    log = log_of(job.path)
    log.parent.mkdir()
    log.write_text("warning: older\ntraining the extractor: 30 of 500\n\n", encoding="utf-8")
    said = "evaluating gan-x seed 0 (training the extractor: 30 of 500)"
    assert display.doing({job.path: job}, {job.path: 1.0}) == said
    long_ago = time.time() - 1_000
    os.utime(log, (long_ago, long_ago))
    assert display.doing({job.path: job}, {job.path: 1.0}) == "evaluating gan-x seed 0"


def test_models_that_are_fitted_in_closed_form_tell_nothing_of_the_time_left(tmp_path, monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    trained = toy_recipe("gan-x")
    fitted = replace(trained, name="mean", train=ONCE)
    beside, first, second = (Job(r, 0, tmp_path / str(i)) for i, r in enumerate((fitted, trained, trained)))
    with display.display([beside, first, second], 0, 1, shown=True) as show:
        now[0] = 31.0
        show({beside.path: beside}, None)
        show({}, Outcome(beside, "done", seconds=31.0))
        show({first.path: first}, None)
        now[0] = 62.0
        show({}, Outcome(first, "done", seconds=31.0))
        show({second.path: second}, None)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("after")]
    assert lines[0] == "after 31 s: 0 of 3 runs done; training mean seed 0 (0%)"
    assert lines[1].endswith("2 of 3 runs done; training gan-x seed 0 (0%); about 31 s left")


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (119, "119 s"), (180, "3 min"), (9000, "2.5 h")])
def test_times_are_for_people(seconds, text):
    assert duration(seconds) == text
