"""`triptych study parallel-lines`: its readings, files and page."""

from __future__ import annotations

import os
from base64 import b64encode
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from triptych.study import Scale
    from triptych.study.parallel_lines import Reading


def carry_out(out: Path, seeds: int | None, scale: Scale) -> list[Reading]:
    """Write lines.json, lines.csv, lines.png and report.html to `out`."""
    from triptych.errors import UserError
    from triptych.study.parallel_lines import BATCH, COLUMNS, ELSEWHERE, MOST_SEEDS, OBJECTIVES, draw, readings
    from triptych.system import files
    from triptych.system.console import say
    from triptych.system.csv_files import csv_text
    from triptych.system.progress import Progress
    from triptych.system.refusals import system_errors

    seeds = 3 if seeds is None else seeds
    if seeds < 1:
        raise UserError(f"study 'parallel-lines' has {seeds} seeds; give at least 1 (3 or more to compare)")
    if seeds > MOST_SEEDS:
        raise UserError(f"study 'parallel-lines' takes at most {MOST_SEEDS:,} seeds; give fewer")
    check_places(out)
    full = scale != "quick"
    offsets = [0.0, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, *([3.0, 4.0] if full else [])]
    steps = 2_000 if full else 300
    found = []
    total = len(offsets) * len(OBJECTIVES) * seeds
    with Progress("parallel-lines", total, unit="critics") as bar:
        for reading in readings(offsets, seeds, steps):
            found.append(reading)
            bar.update(len(found))
    with system_errors(out, ELSEWHERE):
        out.mkdir(parents=True, exist_ok=True)
    told = {"steps": steps, "batch": BATCH, "readings": [vars(r) for r in found]}
    files.write_json(out / "lines.json", told, ELSEWHERE)
    text = csv_text(COLUMNS, [vars(r) for r in found])
    files.write_text(out / "lines.csv", text, ELSEWHERE)
    picture = draw(found, out / "lines.png")
    page = out / "report.html"
    files.write_text(page, render(found, steps, seeds, picture.read_bytes(), scale), ELSEWHERE)
    say(page, out / "lines.csv", picture)
    return found


def check_places(out: Path) -> None:
    """UserError where somebody's own files have the names that are written to `out`."""
    from triptych.errors import UserError
    from triptych.report.page import is_page
    from triptych.study.parallel_lines import COLUMNS, ELSEWHERE
    from triptych.system import files
    from triptych.system.csv_files import ours

    again = (out / "lines.json").is_file() and "readings" in files.read_object(out / "lines.json")
    mine = {
        "lines.json": lambda _: again,
        "lines.csv": lambda path: ours(path, COLUMNS),
        "lines.png": lambda _: again,
        "report.html": is_page,
    }
    for name, known in mine.items():
        path = out / name
        if os.path.lexists(path) and not (path.is_file() and known(path)):
            raise UserError(f"{path} is there and was not written by triptych; {ELSEWHERE}")


def render(found: list[Reading], steps: int, seeds: int, picture: bytes, scale: str) -> str:
    """The page, as HTML, with the PNG `picture` in it."""
    from triptych.core.statistics import estimate
    from triptych.report.page import environment
    from triptych.study.parallel_lines import OBJECTIVES, words

    folder = resources.files("triptych.report") / "templates"
    offsets = sorted({r.offset for r in found})
    rows = []
    for name in OBJECTIVES:
        pulls = [estimate([r.pull for r in found if r.objective == name and r.offset == t]) for t in offsets]
        rows.append((name, list(map(str, pulls))))
    return (
        environment()
        .from_string((folder / "lines.html").read_text(encoding="utf-8"))
        .render(
            style=(folder / "report.css").read_text(encoding="utf-8"),
            words=words(found),
            picture=f"data:image/png;base64,{b64encode(picture).decode()}",
            offsets=offsets,
            rows=rows,
            steps=steps,
            seeds=seeds,
            scale=scale,
        )
    )
