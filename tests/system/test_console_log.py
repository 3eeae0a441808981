"""What the library says goes through the logger `triptych`; on a pipe a training says now and then how far it is."""

import logging

from triptych.system import console, progress


def test_notes_go_through_the_logger(capsys):
    console.note("a\x1b[2J", 3)
    assert capsys.readouterr().err == "a\\x1b[2J\n3\n"
    logging.getLogger("triptych").setLevel(logging.ERROR)
    try:
        console.note("b")
    finally:
        logging.getLogger("triptych").setLevel(logging.NOTSET)
    assert capsys.readouterr().err == ""


def test_on_a_pipe_a_line_every_half_minute(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.Progress("gan-x", 10_000) as bar:
        for at in range(0, 70):
            now[0] = float(at)
            if bar.due:
                bar.update(100 * at, left=130.0)
    assert capsys.readouterr().err.splitlines() == [
        "gan-x: 3,000 of 10,000 images, about 2 min left",
        "gan-x: 6,000 of 10,000 images, about 2 min left",
    ]


def test_a_line_says_the_time_left_by_the_rate_where_nobody_else_knows_it(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.Progress("training the extractor", 500, unit="") as bar:
        now[0] = 40.0
        bar.update(100)
    assert capsys.readouterr().err == "training the extractor: 100 of 500, about 3 min left\n"


def test_who_wants_silence_has_it(monkeypatch, capsys):
    with progress.Progress("gan-x", 10_000, shown=False) as bar:
        monkeypatch.setattr(progress.time, "monotonic", lambda: 1e9)
        assert not bar.due
    assert capsys.readouterr().err == ""
