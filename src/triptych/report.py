"""Runs side by side in one self-contained HTML page: no network, no script needed, light and dark, printable.

Built from the plain files of the run folders alone; the numbers go beside the page as CSV and inside it as JSON.
"""

from __future__ import annotations

import base64
import io
import json
import math
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from triptych import charts, reproduce
from triptych.directions import direction
from triptych.errors import UserError
from triptych.figures import GAP, SMALL
from triptych.intervals import estimate
from triptych.system.files import read_object
from triptych.tables import Entry, Table, flat, gather, number, plain, tables, tidy, write_csv
from triptych.verdict import LEVEL, Verdict, figure, headline, judge, sentence, spoken, with_reach

HEAVY = 100_000
"""A picture of more bytes is compressed again for the page."""
HIDDEN = ("images", "step", "seconds", "evaluating")
STRIP = 5
"""Moments of training shown in a strip."""
WORSE = 0.2
"""A final number this much worse than the run's best one is noted."""


def write_report(paths: Sequence[str | Path], out: str | Path) -> Path:
    """Write the page for run and study folders, and its CSV; returns the page's path.

    UserError, before anything is written, where a folder is no run.
    """
    out = Path(out)
    if out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {out.name} is not a page; give a name that ends in .html")
    entries, lost = gather(paths)
    page, rows = render(entries, lost, paths, out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")
    write_csv(rows, out.with_suffix(".csv"))
    return out


def render(
    entries: Sequence[Entry], lost: Sequence[Mapping[str, Any]], paths: Sequence[str | Path], out: Path
) -> tuple[str, list[dict[str, Any]]]:
    """The page's text and the rows of its CSV."""
    from importlib.resources import files

    from jinja2 import Environment, StrictUndefined

    made = tables(entries)
    rows = tidy(made)
    env = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    env.filters |= {"figure": figure, "spoken": spoken, "plain": plain}
    folder = files("triptych") / "templates"
    template = env.from_string((folder / "report.html").read_text(encoding="utf-8"))
    studies = [read_object(p / "study.json") for p in map(Path, paths) if (p / "study.json").is_file()]
    page = template.render(
        title=studies[0]["name"] if len(studies) == 1 else "Runs side by side",
        about=studies[0].get("about", "") if len(studies) == 1 else "",
        made=time.strftime("%Y-%m-%d %H:%M"),
        panels=[panel(table, i) for i, table in enumerate(made)],
        lost=lost,
        runs=len(entries),
        level=LEVEL,
        style=(folder / "report.css").read_text(encoding="utf-8"),
        versions=versions(entries),
        embedded=embedded(made, rows),
        command=shlex.join(["triptych", "report", *map(str, paths), "--out", out.name]),
    )
    return page, rows


# --------------------------------------------------------------------------------------------- panels


@dataclass(frozen=True)
class Cell:
    """A number of the table, or why there is none."""

    text: str
    reach: str = ""
    why: str = ""
    best: bool = False
    level: bool = False


def panel(table: Table, index: int) -> dict[str, Any]:
    """Everything the page shows of one table."""
    labels = table.labels
    verdicts = {m: v for m in table.metrics if (v := judge(table, m)) is not None}
    return {
        "id": f"t{index}",
        "table": table,
        "labels": [{"name": k, "css": charts.css(i)} for i, k in enumerate(labels)],
        "headline": headline(table, list(verdicts.values())),
        "sentences": [sentence(v, table) for v in verdicts.values()],
        "columns": [column(table, m) for m in table.metrics],
        "rows": [(k, charts.css(i), seeds(table, k), cells(table, k, verdicts)) for i, k in enumerate(labels)],
        "tests": max((v.tests for v in verdicts.values()), default=0),
        "intervals": intervals(table),
        "curves": curves(table),
        "pictures": pictures(table),
        "walks": [*walks(table, "interpolation"), *walks(table, "sweep")],
        "notes": notes(table),
        "cost": cost(table),
        "differences": differences(table),
        "commands": [
            (e.label, e.seed, reproduce.command(e.recipe, e.seed), shlex.quote(str(e.path))) for e in table.entries
        ],
    }


def column(table: Table, metric: str) -> dict[str, Any]:
    arrow = {-1: "lower is better", 1: "higher is better", 0: ""}[direction(metric)]
    floor = table.floor(metric)
    return {"name": spoken(metric), "arrow": arrow, "about": table.about(metric), "floor": floor}


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
        judged = verdict is not None and bool(verdict.worse or verdict.level)
        best = judged and verdict is not None and verdict.best == label
        level = judged and verdict is not None and label in dict(verdict.level)
        reach = figure(found.reach) if math.isfinite(found.reach) else ""
        short = "" if found.n == len(table.of(label)) else f"over {found.n} of {len(table.of(label))} seeds"
        row.append(Cell(figure(found.mean), reach, short, best, level))
    return row


def intervals(table: Table) -> list[tuple[str, str]]:
    """A chart per metric with a direction: every seed, mean, interval and floor."""
    made = []
    for metric in table.metrics:
        values = {k: table.numbers(k, metric) for k in table.labels}
        if direction(metric) and sum(map(bool, values.values())) > 1:
            title = f"{spoken(metric)}: seeds, means and 95 % intervals"
            made.append((spoken(metric), charts.interval_chart(values, table.labels, title, table.floor(metric))))
    return made


def curves(table: Table) -> list[tuple[str, str]]:
    """A chart per logged number, those of the evaluations first."""
    names = dict.fromkeys(k for e in table.entries for line in e.lines for k in line if k not in HIDDEN)
    ordered = sorted(names, key=lambda k: (not direction(k), "loss" not in k))
    made = []
    for name in ordered:
        series = {}
        for label in table.labels:
            found = [
                [(float(line["images"]), float(line[name])) for line in e.lines if number(line.get(name))]
                for e in table.of(label)
            ]
            series[label] = [c for c in found if len(c) > 1]
        drawn = charts.line_chart({k: v for k, v in series.items() if v}, table.labels, f"{name} over images shown")
        if drawn:
            made.append((name, drawn))
    return made


# ------------------------------------------------------------------------------------------- pictures


def pictures(table: Table) -> list[dict[str, Any]]:
    """Per label: the newest samples of every seed, and a strip over training of the first."""
    found = []
    for label in table.labels:
        shown = [(e, files) for e in table.of(label) if (files := sorted((e.path / "samples").glob("*.png")))]
        if not shown:
            continue
        first, files = shown[0]
        again = sorted((first.path / "reconstructions").glob("*.png"))
        near = sorted((first.path / "neighbours").glob("*.png"))
        found.append(
            {
                "label": label,
                "first": picture(files[-1], first),
                "seed": first.seed,
                "images": int(files[-1].stem) if files[-1].stem.isdigit() else None,
                "others": [(e.seed, picture(f[-1], e, small=True)) for e, f in shown[1:]],
                "strip": [
                    (int(f.stem), picture(f, first, small=True)) for f in spread(files[:-1], STRIP) if f.stem.isdigit()
                ],
                "reconstructions": picture(again[-1], first) if again else None,
                "neighbours": picture(near[0], first) if near else None,
            }
        )
    return found


def walks(table: Table, kind: str) -> list[dict[str, Any]]:
    """The sheets that `interpolate` or `sweep` wrote into the first run of each label that has them."""
    found: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for label in table.labels:
        for entry in table.of(label):
            files = sorted((entry.path / kind).glob("*.png"))
            for file in files:
                found.setdefault(file.stem, []).append((label, picture(file, entry)))
            if files:
                break
    told = {
        "linear": (
            "Straight lines between codes",
            "Each row walks from one code to another in a straight line.",
        ),
        "spherical": ("Great arcs between codes", "Each row walks from one code to another along the sphere."),
        "square": (
            "z[0] × z[1]",
            "z[0] grows from −1 to 1 down the rows, z[1] along the columns; all other numbers are held.",
        ),
        "sweep": (
            "One latent dimension at a time",
            "Each row moves one number of z from low to high, −2.5 to 2.5 as a rule, the others held.",
        ),
    }
    return [
        {"kind": kind, "title": told.get(stem, (stem, ""))[0], "about": told.get(stem, (stem, ""))[1], "sheets": sheets}
        for stem, sheets in found.items()
    ]


def spread(files: Sequence[Path], most: int) -> list[Path]:
    """At most `most` files, evenly spread, first and last among them."""
    if len(files) <= most:
        return list(files)
    return [files[round(i * (len(files) - 1) / (most - 1))] for i in range(most)]


def picture(file: Path, entry: Entry, small: bool = False) -> dict[str, Any]:
    """A picture as a data URI with its size; large ones as WebP, small ones cut to a corner or shrunk."""
    raw = file.read_bytes()
    try:
        Image.open(io.BytesIO(raw)).verify()
    except (OSError, SyntaxError) as e:
        raise UserError(f"{file} is not a whole picture ({type(e).__name__}); remove it, then report again") from e
    with Image.open(io.BytesIO(raw)) as opened:
        size, kind = opened.size, "png"
        if small or len(raw) > HEAVY:
            image = corner(opened.convert("RGB"), entry) if small else opened.convert("RGB")
            size, kind = image.size, "webp"
            buffer = io.BytesIO()
            image.save(buffer, "WEBP", quality=88, method=2)
            raw = buffer.getvalue()
    return {"uri": f"data:image/{kind};base64,{base64.b64encode(raw).decode()}", "width": size[0], "height": size[1]}


def corner(image: Image.Image, entry: Entry) -> Image.Image:
    """The first 4 × 4 pictures of a grid; other figures at half size."""
    shape = entry.env.get("shape", [])
    if len(shape) != 3:
        return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    h, w = (side * max(1, SMALL // shape[2]) + GAP for side in shape[1:])
    return image.crop((0, 0, min(image.width, 4 * w - GAP), min(image.height, 4 * h - GAP)))


# ------------------------------------------------------------------------------------ notes and costs


def notes(table: Table) -> list[tuple[str, str]]:
    """What went wrong in a run, in words: divergence, failure, alarms, lost modes, a best that did not last."""
    found = []
    for e in table.entries:
        who = f"{e.label}, seed {e.seed}"
        if e.state in ("diverged", "failed"):
            found.append((who, f"{e.state}: {e.status.get('message', 'no reason was left')}"))
        if e.state == "running":
            found.append(
                (who, f"was cut off at {e.status.get('images', 0):,} images; `triptych resume {e.path}` finishes it")
            )
        if not e.judged and e.state == "done":
            found.append((who, f"has not been evaluated; `triptych evaluate {e.path}` does"))
        found += [(who, str(alarm)) for alarm in e.status.get("alarms", []) if e.state != "diverged"]
        found += [(who, told) for told in faded(e)]
    return found


def faded(entry: Entry) -> list[str]:
    """Evaluated numbers of the log that ended clearly worse than they once were (`recon` is of training batches)."""
    told = []
    names = dict.fromkeys(k for line in entry.lines for k in line if k not in HIDDEN and "loss" not in k)
    for name in names:
        sign = direction(name)
        points = [(line["images"], line[name]) for line in entry.lines if number(line.get(name))]
        if not sign or name == "recon" or len(points) < 4 or points[-1][0] != entry.lines[-1]["images"]:
            continue
        at, best = max(points, key=lambda p: sign * p[1])
        last = points[-1][1]
        if best and sign * (best - last) > WORSE * abs(best):
            told.append(f"{spoken(name)} was {figure(best)} at {at:,} images and ended at {figure(last)}")
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
    return with_reach(estimate(values))


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
    text = json.dumps({"values": rows, "runs": curves}, default=str)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def thin_indices(n: int) -> list[int]:
    return [round(i) for i, _ in charts.thin([(float(k), 0.0) for k in range(n)])]
