"""Runs side by side in one self-contained HTML page: no network, no script needed, light and dark, printable.

Built from the plain files of the run folders alone; the numbers go beside the page as CSV and inside it as JSON.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from triptych.core.codec import flat
from triptych.core.controls import praise, told
from triptych.core.quantity import BOOKKEEPING, Quantity, read_back
from triptych.core.statistics import estimate, format_number
from triptych.errors import UserError
from triptych.report import charts, export
from triptych.report.axes import gate, judge_axes
from triptych.report.entries import Entry, contract_words, gather, number, plain, read_study_json
from triptych.report.pictures import pictures, walks
from triptych.report.significance import ALPHA, Verdict, judge
from triptych.report.table import Table, tables
from triptych.report.wording import axis_sentence, headline, sentence
from triptych.system import csv_files, files, pages
from triptych.system.console import printable, say
from triptych.system.refusals import system_errors
from triptych.system.shell import safe, shell

ELSEWHERE = "give --out another name"
WORSE = 0.2
"""A final number this much worse than the run's best one is noted."""


def write_report(paths: Sequence[str | Path], out: str | Path) -> Path:
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
    say(*(f"left out: {told}" for told in omitted), stderr=True)
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
    entries: Sequence[Entry], lost: Sequence[Mapping[str, Any]], paths: Sequence[str | Path], out: Path
) -> tuple[str, list[dict[str, Any]], list[str]]:
    """The page's text, the rows of its CSV, and what had to be left out."""
    made = tables(entries)
    rows = export.tidy(made)
    folder = resources.files("triptych.report") / "templates"
    template = environment().from_string((folder / "report.html").read_text(encoding="utf-8"))
    studies = [
        read_study_json(p)
        for p in map(Path, paths)
        if (p / "study.json").is_file() and not (p / "recipe.json").is_file()
    ]
    omitted: list[str] = []
    panels = [panel(table, i, omitted) for i, table in enumerate(made)]
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
        versions=versions(entries),
        embedded=embedded(made, rows),
        command=shell("triptych", "report", *map(str, paths), "--out", out.name),
    )
    return (
        page,
        rows,
        omitted
        + [f"{told['recipe']}, seed {told['seed']}: {told['message']}" for told in lost if told["state"] == "left out"],
    )


# --------------------------------------------------------------------------------------------- panels


@dataclass(frozen=True)
class Cell:
    """A number of the table, or why there is none."""

    text: str
    half_width: str = ""
    why: str = ""
    best: bool = False
    tied: bool = False
    praise: str = ""
    """which negative controls the metric takes for good"""


def panel(table: Table, index: int, omitted: list[str]) -> dict[str, Any]:
    """Everything the page shows of one table; pictures that cannot be shown are named in `omitted`."""
    labels = table.labels
    verdicts = {m: v for m in table.metrics if (v := judge(table, m)) is not None}
    return {
        "id": f"t{index}",
        "table": table,
        "labels": [{"name": k, "css": charts.css(i)} for i, k in enumerate(labels)],
        "headline": headline(table, axes := judge_axes(table), gate(table)),
        "head_starts": list(table.head_starts.items()),
        "axes": [axis_sentence(v, table) for v in axes],
        "sentences": [sentence(v, table) for v in verdicts.values()],
        "columns": [column(table, m) for m in table.metrics],
        "rows": [(k, charts.css(i), seeds(table, k), cells(table, k, verdicts)) for i, k in enumerate(labels)],
        "tests": max((v.tests for v in verdicts.values()), default=0),
        "intervals": intervals(table),
        "curves": curves(table),
        "pictures": pictures(table, omitted),
        "walks": [*walks(table, "interpolation", omitted), *walks(table, "sweep", omitted)],
        "notes": notes(table),
        "cost": cost(table),
        "differences": differences(table),
        "meanings": [(q.name, meaning(q)) for q in map(table.quantity, table.metrics)],
        "commands": [(e.label, e.seed, begun_by(e), same_as(e), shell(str(e.path))) for e in table.entries],
    }


def column(table: Table, metric: str) -> dict[str, Any]:
    quantity, floor = table.quantity(metric), table.floor(metric)
    arrow = f"{quantity.better} is better" if quantity.better else ""
    return {"name": quantity.name, "arrow": arrow, "about": table.about(metric), "floor": floor}


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


def seeds(table: Table, label: str) -> str:
    """How many runs stand behind a row, and which did not end well."""
    found = table.of(label)
    bad = [
        f"{sum(e.state == s for e in found)} {s}"
        for s in ("diverged", "failed", "running")
        if any(e.state == s for e in found)
    ]
    return f"{len(found)} seed{'s' if len(found) > 1 else ''}" + (f", {', '.join(bad)}" if bad else "")


def cells(table: Table, label: str, verdicts: Mapping[str, Verdict]) -> list[Cell]:
    row = []
    for metric in table.metrics:
        found = table.estimate(label, metric)
        if found is None:
            row.append(Cell("–", why=table.missing(label, metric)))
            continue
        verdict = verdicts.get(metric)
        judged = verdict is not None and bool(verdict.worse or verdict.tied)
        best = judged and verdict is not None and verdict.best == label
        tied = judged and verdict is not None and label in dict(verdict.tied)
        half_width = format_number(found.half_width) if math.isfinite(found.half_width) else ""
        short = "" if found.n == len(table.of(label)) else f"over {found.n} of {len(table.of(label))} seeds"
        praised = praise(*(e.values.get(metric, {}).get("controls") for e in table.of(label)))
        row.append(Cell(format_number(found.mean), half_width, short, best, tied, praised))
    return row


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


def curves(table: Table) -> list[tuple[str, str]]:
    """A chart per logged number, those of the evaluations first."""
    known: dict[str, Quantity] = {}
    for e in table.entries:
        for name in dict.fromkeys(k for line in e.lines for k in line if k not in BOOKKEEPING):
            if name not in known or not known[name].sign:
                known[name] = e.quantity(name)
    made = []
    for name, quantity in sorted(known.items(), key=lambda told: (not told[1].sign, told[1].rank)):
        series = {}
        for label in table.labels:
            found = [
                [(float(line["images"]), float(line[name])) for line in e.lines if number(line.get(name))]
                for e in table.of(label)
            ]
            series[label] = [c for c in found if len(c) > 1]
        drawn = charts.line_chart(
            {k: v for k, v in series.items() if v}, table.labels, f"{quantity.name} over images shown"
        )
        if drawn:
            made.append((quantity.name, drawn))
    return made


# ------------------------------------------------------------------------------------ notes and costs


def notes(table: Table) -> list[tuple[str, str]]:
    """What went wrong in a run, in words: divergence, failure, alarms, lost modes, a best that did not last."""
    found = []
    for e in table.entries:
        who = f"{e.label}, seed {e.seed}"
        if e.state in ("diverged", "failed"):
            found.append((who, f"{e.state}: {e.status.get('message', 'no reason was left')}"))
        if e.state == "running":
            again = shell("triptych", "resume", str(e.path))
            found.append((who, f"was cut off at {e.status.get('images', 0):,} images; `{again}` finishes it"))
        if not e.evaluated and e.state == "done":
            found.append((who, f"has not been evaluated; `{shell('triptych', 'evaluate', str(e.path))}` does"))
        found += [(who, str(alarm)) for alarm in e.status.get("alarms", []) if e.state != "diverged"]
        found += [(who, text) for text in faded(e)]
        found += [
            (who, f"{read_back(v).name} {told(v['value'], v['floor'], v['beyond'])}")
            for v in e.values.values()
            if v.get("beyond") and number(v.get("value")) and number(v.get("floor"))
        ]
        if e.bad_lines:
            found.append((who, f"{e.bad_lines:,} lines of its log could not be read and are left out"))
    return found


def faded(entry: Entry) -> list[str]:
    """Numbers of the log with a direction that ended clearly worse than they once were."""
    told = []
    names = dict.fromkeys(k for line in entry.lines for k in line if k not in BOOKKEEPING)
    for name in names:
        quantity = entry.quantity(name)
        sign = quantity.sign
        points = [(line["images"], line[name]) for line in entry.lines if number(line.get(name))]
        if not sign or len(points) < 4 or points[-1][0] != entry.lines[-1]["images"]:
            continue
        at, best = max(points, key=lambda p: sign * p[1])
        last = points[-1][1]
        if best and sign * (best - last) > WORSE * abs(best):
            told.append(
                f"{quantity.name} was {format_number(best)} at {at:,} images and ended at {format_number(last)}"
            )
    return told


def cost(table: Table) -> dict[str, Any]:
    """What each label took: parameters, training time, throughput of training and of sampling; and on what."""
    rows = []
    for i, label in enumerate(table.labels):
        found = table.of(label)
        seconds = [e.training for e in found if e.training is not None]
        rates = [e.status["images"] / e.training for e in found if e.training and e.status.get("images")]
        drawn = [v for e in found if number(v := e.sampling.get("examples_per_second"))]
        players = found[0].env.get("parameters") or {}
        rows.append(
            {
                "label": label,
                "css": charts.css(i),
                "parameters": ", ".join(f"{k} {v:,}" for k, v in players.items()) or "unknown",
                "images": f"{found[0].status.get('images', 0):,}",
                "seconds": spell(seconds),
                "rate": spell(rates),
                "drawn": spell(drawn),
                "precision": found[0].env.get("precision", "unknown"),
            }
        )
    told = [{"processor": "unknown processor", "device": "?", "threads": "?", **e.env} for e in table.entries]
    where = {f"{env['processor']} ({env['device']}, {env['threads']} threads)" for env in told}
    return {"rows": rows, "where": sorted(where)}


def spell(values: Sequence[float]) -> str:
    if not values:
        return "unknown"
    return str(estimate(values))


def differences(table: Table) -> dict[str, Any]:
    """The recipe fields in which the labels of a table differ."""
    recipes = {label: flat(table.of(label)[0].recipe) for label in table.labels}
    names = dict.fromkeys(k for r in recipes.values() for k in r if k not in ("name", "about", "type"))
    rows = []
    for name in names:
        values = [plain(r[name]) if name in r else "" for r in recipes.values()]
        if len(set(values)) > 1:
            rows.append((name, values))
    return {"labels": list(recipes), "rows": rows}


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
    text = json.dumps(files.plain({"values": rows, "runs": curves}), default=str, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def thin_indices(n: int) -> list[int]:
    return [round(i) for i, _ in charts.thin([(float(k), 0.0) for k in range(n)])]
