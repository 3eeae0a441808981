"""Runs side by side in one self-contained HTML page: no network, no script needed, light and dark, printable.

Built from the plain files of the run folders alone; the numbers go beside the page as CSV and inside it as JSON.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from importlib import resources
from os import fspath
from pathlib import Path
from typing import Any, get_args

from jinja2 import Environment, StrictUndefined

from triptych.core.quantity import BOOKKEEPING, Quantity
from triptych.core.statistics import format_number
from triptych.errors import UserError
from triptych.metrics import declared
from triptych.report import charts, effort, export, facts, turned
from triptych.report.axes import gate, judge_axes
from triptych.report.cards import picture_row
from triptych.report.classes import by_class
from triptych.report.entries import Entry, contract_words, gather, plain, read_study_json
from triptych.report.matrix import matrix
from triptych.report.pictures import walks
from triptych.report.significance import ALPHA, judge
from triptych.report.table import Table, short_names, tables
from triptych.report.wording import axis_sentence, headline, sentence
from triptych.run.addresses import Place
from triptych.system import csv_files, files, pages
from triptych.system.console import note, printable
from triptych.system.refusals import system_errors
from triptych.system.shell import safe, shell

ELSEWHERE = "give --out another name"
OPEN = 6
"""Charts of curves that are not folded away; in them every run is drawn, in the others the means."""


def write_report(paths: Sequence[Place], out: str | Path) -> Path:
    """Write the page for run and study folders, and its CSV; returns the page's path.

    UserError, before anything is written, where a folder is no run, or where a file that is not ours lies in either
    place. What had to be left out is on the page, and said on standard error.
    """
    out = Path(out)
    check_places(out)
    entries, lost = gather(paths)
    page, rows, omitted = render(entries, lost, paths, out)
    with system_errors(out.parent, ELSEWHERE):
        out.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(out, page, ELSEWHERE)
    export.write_csv(rows, out.with_suffix(".csv"), ELSEWHERE)
    note(*(f"left out: {told}" for told in omitted))
    return out


def check_places(out: Path) -> None:
    """UserError where the page cannot go to `out`, or would take the place of somebody's own file there or beside."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {out.name} is not a page; give a name that ends in .html")
    numbers = out.with_suffix(".csv")
    for path, mine in ((out, is_page), (numbers, lambda p: csv_files.ours(p, export.COLUMNS))):
        if os.path.lexists(path) and not (path.is_file() and mine(path)):
            raise UserError(f"{path} is there and was not written by triptych; {ELSEWHERE}")


def is_page(path: Path) -> bool:
    """Whether the file is a report that was made here."""
    return pages.is_page(path, pages.REPORT)


def explorer_beside(out: Path) -> str:
    """The name of the explorer that lies beside the page, to be linked to; empty where there is none."""
    page = out.parent / pages.EXPLORE_NAME
    return page.name if page.is_file() and pages.is_page(page, pages.EXPLORER) else ""


def environment() -> Environment:
    """How pages are filled in: every text is escaped, and no control character of it gets through."""
    env = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    env.filters |= {"number": format_number, "plain": plain}
    return env


def render(
    entries: Sequence[Entry], lost: Sequence[Mapping[str, Any]], paths: Sequence[Place], out: Path
) -> tuple[str, list[dict[str, Any]], list[str]]:
    """The page's text, the rows of its CSV, and what had to be left out."""
    made = [effort.with_reach(table) for table in tables(entries)]
    rows = export.tidy(made)
    folder = resources.files("triptych.report") / "templates"
    template = environment().from_string((folder / "report.html").read_text(encoding="utf-8"))
    studies = [
        read_study_json(p)
        for p in map(Path, paths)
        if (p / "study.json").is_file() and not (p / "recipe.json").is_file()
    ]
    omitted: list[str] = []
    panels = [panel(table, i, omitted) | {"turned": turned.flags(table, made)} for i, table in enumerate(made)]
    page = template.render(
        title=studies[0]["name"] if len(studies) == 1 else "Runs side by side",
        about=studies[0]["about"] if len(studies) == 1 else "",
        contract=contract_words(studies[0]) if len(studies) == 1 else "",
        made=time.strftime("%Y-%m-%d %H:%M"),
        panels=panels,
        lost=lost,
        omitted=omitted,
        runs=len(entries),
        alpha=ALPHA,
        style=(folder / "report.css").read_text(encoding="utf-8"),
        explorer=explorer_beside(out),
        script=(script := (folder / "report.js").read_text(encoding="utf-8")),
        script_hash=script_hash(script),
        versions=versions(entries),
        embedded=embedded(made, rows),
        command=shell("triptych", "report", *(fspath(p) for p in paths), "--out", out.name),
    )
    return (
        page,
        rows,
        omitted
        + [f"{told['recipe']}, seed {told['seed']}: {told['message']}" for told in lost if told["state"] == "left out"],
    )


# --------------------------------------------------------------------------------------------- panels


def panel(table: Table, index: int, omitted: list[str]) -> dict[str, Any]:
    """Everything the page shows of one table; pictures that cannot be shown are named in `omitted`."""
    axes = judge_axes(table)
    verdicts = {m: v for m in table.metrics if (v := judge(table, m)) is not None}
    return {
        "id": f"t{index}",
        "table": table,
        "names": short_names(table),
        "css": {k: charts.css(i) for i, k in enumerate(table.labels)},
        "headline": headline(table, axes, gate(table)),
        "head_starts": list(table.head_starts.items()),
        "axes": [axis_sentence(v, table) for v in axes],
        "sentences": [sentence(v, table) for v in verdicts.values()],
        "row": picture_row(table, axes, omitted),
        "matrix": matrix(table, axes),
        "classes": by_class(table),
        "intervals": intervals(table),
        "effort": effort.figures(table),
        "curves": curves(table),
        "noun": facts.noun(table),
        "walks": [*walks(table, "interpolation", omitted), *walks(table, "sweep", omitted)],
        "notes": facts.notes(table),
        "faded": facts.lost_again(table),
        "cost": facts.cost(table),
        "differences": facts.differences(table),
        "meanings": [
            (m, q.name, meaning(q), declared.quantity(m).about) for m in table.metrics if (q := table.quantity(m))
        ],
        "commands": [(e.label, e.seed, begun_by(e), same_as(e), shell(str(e.path))) for e in table.entries],
    }


def meaning(quantity: Quantity) -> str:
    """Which direction is better or why neither is, and between which models it may be compared, in words."""
    text = f"{quantity.better} is better" if quantity.better else f"no direction is better: {quantity.neither}"
    return f"{text}; comparable where models share the {quantity.comparable}" if quantity.comparable else text


def begun_by(entry: Entry) -> str:
    """The command that trains a run again, as its folder has it; where it has none, the one that goes on with it."""
    command = entry.env.get("command", "")
    if command and safe(command):
        return f"{command} --out {shell(str(entry.path))}"
    return shell("triptych", "resume", str(entry.path))


def same_as(entry: Entry) -> str:
    """The command that trains a run again from its folder: the same recipe, seed and examples."""
    return shell("triptych", "train", "--like", str(entry.path))


def intervals(table: Table) -> list[tuple[str, str]]:
    """A chart per metric with a direction: every seed, mean, interval and floor."""
    made = []
    for metric in table.metrics:
        values = {k: table.numbers(k, metric) for k in table.labels}
        quantity = table.quantity(metric)
        if quantity.sign and sum(map(bool, values.values())) > 1:
            title = f"{quantity.name}: seeds, means and 95 % intervals"
            made.append((quantity.name, charts.interval_chart(values, table.labels, title, table.floor(metric))))
    return made


def curves(table: Table) -> list[dict[str, str]]:
    """Charts of each logged number over images and over seconds, those of the evaluations first.

    Of what was trained: a yardstick is one point that would stretch the axes.
    """
    known: dict[str, Quantity] = {}
    for e in (e for label in table.contestants for e in table.of(label)):
        for name in dict.fromkeys(k for line in e.lines for k in line if k not in BOOKKEEPING):
            if name not in known or not known[name].sign:
                known[name] = e.quantity(name)
    made, noun = [], facts.noun(table)
    for name, quantity in sorted(known.items(), key=lambda told: (not told[1].sign, told[1].rank)):
        series = {}
        for label in table.contestants:
            found = [facts.curve(e, name, alarms=bool(quantity.sign)) for e in table.of(label)]
            series[label] = [c for c in found if len(c.points) > 1]
        series = {k: v for k, v in series.items() if v}
        runs = len(made) < OPEN
        drawn = {
            over: charts.line_chart(series, table.labels, f"{quantity.name} over {over}", over, runs=runs, noun=noun)
            for over in get_args(charts.Over)
        }
        if drawn["images"]:
            made.append({"name": f"{quantity.name} {quantity.arrow}".strip(), **drawn})
    return made


def script_hash(script: str) -> str:
    """What the page's security policy names its one script by; the text stands between the tags as it is."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def versions(entries: Sequence[Entry]) -> str:
    """The versions behind the runs, in words."""
    found = []
    for name in ("triptych", "torch", "python"):
        seen = sorted({str(e.env[name]) for e in entries if name in e.env})
        if seen:
            found.append(f"{name} {' and '.join(seen)}")
    return ", ".join(found)


def embedded(made: Sequence[Table], rows: Sequence[Mapping[str, Any]]) -> str:
    """The page's numbers as JSON that is safe inside a script element."""
    curves = [
        {
            "label": e.label,
            "seed": e.seed,
            "data": table.data,
            "recipe": e.recipe,
            "status": e.status,
            "lines": [dict(e.lines[i]) for i in thin_indices(len(e.lines))],
        }
        for table in made
        for e in table.entries
    ]
    whole = [row for row in rows if not row.get("class")]  # those of classes are in the CSV
    text = json.dumps(files.plain({"values": whole, "runs": curves}), default=str, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def thin_indices(n: int) -> list[int]:
    return charts.thin(range(n), charts.FEW)
