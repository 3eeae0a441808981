"""What the page says beside the numbers: what went wrong, what it took, and in what the recipes differ."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from triptych.core.codec import flat
from triptych.core.controls import told
from triptych.core.quantity import BOOKKEEPING, read_back
from triptych.core.statistics import estimate, format_number
from triptych.report import charts
from triptych.report.entries import Entry, number, plain
from triptych.report.table import Table
from triptych.system.shell import shell

WORSE = 0.2
"""A final number this much worse than the run's best one is noted."""


def notes(table: Table) -> list[tuple[str, str]]:
    """What went wrong in a run, in words: divergence, failure, alarms, a log that cannot be read."""
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
        found += [
            (who, f"{read_back(v).name} {told(v['value'], v['floor'], v['beyond'])}")
            for v in e.values.values()
            if v.get("beyond") and number(v.get("value")) and number(v.get("floor"))
        ]
        if e.bad_lines:
            found.append((who, f"{e.bad_lines:,} lines of its log could not be read and are left out"))
    return found


def lost_again(table: Table) -> list[tuple[str, str]]:
    """Bests that did not last, run by run."""
    return [(f"{e.label}, seed {e.seed}", told) for e in table.entries for told in faded(e)]


def faded(entry: Entry) -> list[str]:
    """Numbers of the log with a direction that ended clearly worse than they once were."""
    found = []
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
            found.append(
                f"{quantity.name} was {format_number(best)} at {at:,} images and ended at {format_number(last)}"
            )
    return found


def noun(table: Table) -> str:
    """What the examples of a table are called: rows of typed columns, points in the plane and beyond, else images."""
    if all((e.env.get("data") or {}).get("columns") for e in table.entries):
        return "rows"
    return "points" if all(len(e.env.get("shape", ())) == 1 for e in table.entries) else "images"


def raised(entry: Entry) -> list[tuple[float, str]]:
    """Images shown at each alarm of a run, and what it said; those that do not say when are no marks on a curve."""
    found = [(re.match(r"at (\d{1,18}) images: ", str(told)), str(told)) for told in entry.status.get("alarms", [])]
    return [(float(match[1]), told) for match, told in found if match]


def curve(entry: Entry, name: str, *, alarms: bool) -> charts.Curve:
    """A logged number of one run, over images, the seconds of training alone, and steps; with its alarms, if asked."""
    points, looked = [], 0.0
    for line in entry.lines:
        if number(value := line.get(name)):
            seconds = line["seconds"] if number(line.get("seconds")) else 0.0
            steps = float(line["step"]) if number(line.get("step")) else 0.0
            points.append((float(line["images"]), max(seconds - looked, 0.0), steps, float(value)))
        looked += line["evaluating"] if number(line.get("evaluating")) else 0.0
    return charts.Curve(points, raised(entry) if alarms else ())


def cost(table: Table) -> dict[str, Any]:
    """What each label took: parameters, training time, throughput of training and of sampling; and on what."""
    rows = []
    for label in table.labels:
        found = table.of(label)
        seconds = [e.training for e in found if e.training is not None]
        rates = [e.status["images"] / e.training for e in found if e.training and e.status.get("images")]
        drawn = [v for e in found if number(v := e.sampling.get("examples_per_second"))]
        players = found[0].env.get("parameters") or {}
        rows.append(
            {
                "label": label,
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
