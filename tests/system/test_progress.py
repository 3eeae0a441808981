"""What progress leaves on a terminal."""

import io

import pytest
from rich.console import Console

from triptych.cli import dispatch
from triptych.errors import UserError
from triptych.system.progress import bars

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


@pytest.mark.parametrize(("end", "status"), [(KeyboardInterrupt(), 130), (UserError("no"), 2), (None, 0)])
def test_the_cursor_comes_back_whatever_cuts_a_count(end, status, monkeypatch):
    written = io.StringIO()
    terminal = Console(file=written, force_terminal=True)
    monkeypatch.setattr("triptych.system.progress.console", lambda *, stderr: terminal)

    def command(argv: list[str]) -> int:
        factory = bars(shown=True)
        assert factory is not None
        outer, inner = factory("metrics"), factory("features")
        outer(0, 9)
        inner(1, 5)
        if end is not None:
            raise end
        inner(5, 5)
        outer(9, 9)
        return 0

    monkeypatch.setattr(dispatch, "run_command", command)
    assert dispatch.main(["evaluate"]) == status
    assert written.getvalue().count(HIDE) == written.getvalue().count(SHOW) > 0
