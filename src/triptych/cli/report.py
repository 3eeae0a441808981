"""`triptych report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg


def report(
    runs: Annotated[
        Positional[tuple[Path, ...]], arg(metavar="RUN ...", help="run folders, or folders that hold runs")
    ],
    out: Annotated[Path, arg(help="the page to write; the numbers go beside it as .csv")] = Path("report.html"),
) -> None:
    """Put runs side by side in one self-contained page."""
    from triptych.report.page import write_report
    from triptych.system.console import say

    page = write_report(runs, out)
    say(page, page.with_suffix(".csv"))
