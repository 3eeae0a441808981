"""Runs as a report sees them: read, labelled, put into tables that may be compared, averaged over seeds.

Only the plain files of the run folders are read; no model is loaded.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeGuard

from triptych import schema
from triptych.directions import direction
from triptych.errors import UserError
from triptych.intervals import Estimate, estimate
from triptych.run import read_status
from triptych.system.files import read_object

FIRST = ("modes", "high_quality", "reverse_kl", "kl", "nll", "bits_per_dim", "fid", "frechet", "confident")
"""The metrics that say most, in this order."""
LOGGED = ("modes", "high_quality", "reverse_kl", "wasserstein", "nll", "val_recon", "elbo", "bits_per_dim")
"""Fields of the log that stand in where a run has no such value in eval.json."""


def root(metric: str) -> str:
    """The name in `FIRST` that a metric is or is a variant of (`frechet` of `frechet_pixels`), else its own."""
    return next((k for k in FIRST if metric == k or metric.startswith(f"{k}_")), metric)


# ----------------------------------------------------------------------------------------------- runs


@dataclass(frozen=True)
class Entry:
    """One run's plain files."""

    path: Path
    recipe: Mapping[str, Any]
    seed: int
    env: Mapping[str, Any]
    status: Mapping[str, Any]
    lines: Sequence[Mapping[str, Any]]
    values: Mapping[str, Mapping[str, Any]]
    """eval.json's metrics, and the log's where there is no such metric (`source` tells which)"""
    judged: bool
    """whether there is an eval.json"""
    label: str = ""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """examples a second, as they were drawn for eval.json"""

    @property
    def name(self) -> str:
        return self.recipe.get("name") or self.path.name

    @property
    def data(self) -> tuple[str, str]:
        """Name and fingerprint of what it was trained on."""
        told = self.env.get("data") or {}
        return told.get("name") or self.recipe["data"]["name"], told.get("fingerprint") or ""

    @property
    def state(self) -> str:
        return self.status.get("state", "running")

    @property
    def training(self) -> float | None:
        """Seconds of training, without evaluations and pictures on the way."""
        if not number(seconds := self.status.get("seconds")):
            return None
        return max(seconds - math.fsum(v for line in self.lines if number(v := line.get("evaluating"))), 0.0)


def read_entry(path: Path) -> Entry:
    """A run folder's plain files; UserError where it is no run."""
    if not (path / "recipe.json").is_file():
        raise UserError(f"{path} is not a run: it has no recipe.json; give folders made by `triptych train` or `study`")
    asked = schema.read_asked(path)
    env = schema.read_env(path, ()) if (path / "env.json").is_file() else {}
    judged = schema.read_evaluation(path) if (path / "eval.json").is_file() else {}
    # an autoencoder's `kl` is its rate, not the distance to the data that a flow logs under that name
    lines = [
        {"rate" if k == "kl" and "recon" in line else k: v for k, v in line.items()}
        for line in schema.read_log(path)[0]
    ]
    values = {k: {**v, "source": "eval"} for k, v in judged.items()}
    return Entry(
        path,
        asked["recipe"],
        asked["seed"],
        env,
        read_status(path),
        lines,
        values | logged(lines, values, held_out=env.get("test") is not None),
        judged=bool(values),
        sampling=schema.read_sampling(path) if (path / "sampling.json").is_file() else {},
    )


def logged(lines: Sequence[Mapping[str, Any]], judged: Mapping[str, Any], held_out: bool) -> dict[str, dict[str, Any]]:
    """The newest logged number of each known field that eval.json does not hold under that name."""
    found = {}
    note = "from the training log" + ("" if held_out else ", of training examples: there was no held-out part")
    for name in LOGGED:
        at = [line for line in lines if number(line.get(name))]
        if at and not any(k == name or k.startswith(f"{name}_") for k in judged):
            found[name] = {"value": at[-1][name], "source": "log", "note": note}
    return found


def number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def gather(paths: Iterable[str | Path]) -> tuple[list[Entry], list[dict[str, Any]]]:
    """Entries of run folders and of the runs in study folders, labelled; and the runs that are not among them.

    Those a study could not begin; and of runs of one recipe, data and seed all but the first: they are one draw, and
    intervals over seeds would count it twice.
    """
    entries, lost = [], []
    for path in map(Path, paths):
        if not path.exists():
            raise UserError(f"{path} does not exist; give folders of runs or studies")
        if (path / "recipe.json").is_file() or not (path / "study.json").is_file():
            entries.append(read_entry(path))
            continue
        for told in read_object(path / "study.json")["runs"]:
            folder = path / told["run"]
            if (folder / "recipe.json").is_file():
                entries.append(read_entry(folder))
            else:
                lost.append(told)
    if not entries and not lost:
        raise UserError("there is no run to report on; give at least one run folder")
    kept: dict[Any, Entry] = {}
    for entry in labelled(entries):
        first = kept.setdefault((entry.label, entry.data, entry.seed), entry)
        if first is not entry and first.path.resolve() != entry.path.resolve():
            message = f"{entry.path} is left out, of the same recipe and seed as {first.path}"
            lost.append({"recipe": entry.label, "seed": entry.seed, "state": "twice", "message": message})
    return list(kept.values()), lost


def labelled(entries: Sequence[Entry]) -> list[Entry]:
    """Every entry with the name of its recipe, and where one name has several recipes, what differs."""
    out = []
    for entry in entries:
        twins = [flat(e.recipe) for e in entries if e.name == entry.name and e.data[0] == entry.data[0]]
        own = flat(entry.recipe)
        differing = [k for k in own if k not in ("about", "name") and any(t.get(k) != own[k] for t in twins)]
        extra = ", ".join(f"{k.removeprefix('objective.')}={plain(own[k])}" for k in differing)
        out.append(replace(entry, label=f"{entry.name} ({extra})" if extra else entry.name))
    return out


def flat(recipe: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A recipe's JSON as `train.lr: value` pairs; class names as `objective`, `model`."""
    found: dict[str, Any] = {}
    for key, value in recipe.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= flat(value, f"{name}.")
        elif key == "type":
            found[prefix.rstrip(".") or "type"] = value
        else:
            found[name] = value
    return found


def plain(value: Any) -> str:
    """A recipe's value for a person."""
    if isinstance(value, list):
        return "–".join(map(str, value)) if len(value) == 2 else ", ".join(map(str, value))
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "off" if value is None else str(value)


# --------------------------------------------------------------------------------------------- tables


@dataclass
class Table:
    """Entries that may be compared: one data set, one evaluator per metric."""

    data: str
    fingerprint: str
    entries: list[Entry] = field(default_factory=list)
    evaluator: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    reason: str = ""
    """Why these stand apart from the table before."""

    @property
    def labels(self) -> list[str]:
        return list(dict.fromkeys(e.label for e in self.entries))

    def of(self, label: str) -> list[Entry]:
        return sorted((e for e in self.entries if e.label == label), key=lambda e: e.seed)

    @property
    def metrics(self) -> list[str]:
        """Metrics any entry has: those with a direction first, of these what most labels have, then `FIRST`'s order.

        Those of the log are last, and behind all of them those of which there is no number at all, such as the
        likelihood where all are GANs.
        """
        names = list(dict.fromkeys(k for e in self.entries for k in e.values))
        judged = {k for e in self.entries for k, v in e.values.items() if v["source"] == "eval"}
        having: dict[str, set[str]] = {}
        for e in self.entries:
            for k, v in e.values.items():
                if number(v.get("value")):
                    having.setdefault(k, set()).add(e.label)

        def place(name: str) -> tuple[bool, bool, bool, int, int]:
            known = next((i for i, k in enumerate(FIRST) if root(name) == k), len(FIRST))
            return name not in having, not direction(name), name not in judged, -len(having.get(name, ())), known

        return sorted(names, key=place)

    def numbers(self, label: str, metric: str) -> list[float]:
        """Finite values over seeds."""
        values = (e.values.get(metric, {}).get("value") for e in self.of(label))
        return [float(v) for v in values if number(v)]

    def estimate(self, label: str, metric: str) -> Estimate | None:
        values = self.numbers(label, metric)
        return estimate(values) if values else None

    def floor(self, metric: str) -> float | None:
        """Mean of the floors told with a metric's values."""
        floors = [f for e in self.entries if number(f := e.values.get(metric, {}).get("floor"))]
        return math.fsum(floors) / len(floors) if floors else None

    def missing(self, label: str, metric: str) -> str:
        """Why a label has no number for a metric."""
        entries = self.of(label)
        for entry in entries:
            told = entry.values.get(metric)
            if told is not None:
                value = told.get("value")
                if value is not None and not number(value):
                    return "not finite"
                return told.get("note") or "not defined"
        states = {e.state for e in entries}
        if states <= {"diverged", "failed"}:
            return " and ".join(sorted(states))
        if not any(e.judged for e in entries):
            return "not evaluated yet"
        return "not defined for this model"

    def about(self, metric: str) -> str:
        """Sample counts and extractor of a metric, for its column."""
        told = next(e.values[metric] for e in self.entries if metric in e.values)
        if told.get("source") == "log":
            return "from the log"
        parts = [f"n = {told['n']:,}"] if isinstance(told.get("n"), int) else []
        parts += [str(told[k]) for k in ("extractor", "resize", "how") if told.get(k) not in (None, "", "none")]
        return ", ".join(parts)


def evaluator(told: Mapping[str, Any]) -> tuple[Any, ...]:
    """What two values of one metric must share to be compared.

    A law's reference ends in the count and seed of fresh points (`2500:1:...`), which need not agree.
    """
    real = str(told.get("reference") or "")
    head, _, mark = real.rpartition(" ")
    same = (told.get(k) or "" for k in ("n", "extractor", "resize", "dtype", "how"))  # an absent `how` is a plain one
    return (*same, head if ":" in mark else real)


def tables(entries: Sequence[Entry]) -> list[Table]:
    """Entries in tables, in order; different data and different evaluators never share one.

    A number of the log stands aside where any run on that data has been judged by that metric.
    """
    judged = {(e.data, k) for e in entries for k, v in e.values.items() if v["source"] == "eval"}
    made: list[Table] = []
    for entry in entries:
        name, fingerprint = entry.data
        kept = {k: v for k, v in entry.values.items() if v["source"] == "eval" or (entry.data, k) not in judged}
        own = {k: evaluator(v) for k, v in kept.items() if v.get("value") is not None}
        home, clash = None, ""
        for table in made:
            if (table.data, table.fingerprint) != entry.data:
                continue
            clash = conflict(table.evaluator, own)
            if not clash:
                home = table
                break
        if home is None:
            home = Table(name, fingerprint, reason=clash or apart(made, name, fingerprint))
            made.append(home)
        home.entries.append(replace(entry, values=kept))
        home.evaluator |= own
    return made


def apart(made: Sequence[Table], name: str, fingerprint: str) -> str:
    if not made:
        return ""
    if any(t.data == name for t in made):
        known = fingerprint[:8] or "unknown"
        return f"{name} was prepared differently (fingerprint {known}): numbers on different data do not compare"
    return "other data: numbers on different data do not compare"


def conflict(a: Mapping[str, tuple[Any, ...]], b: Mapping[str, tuple[Any, ...]]) -> str:
    """Why two evaluators cannot share a table: the first metric they measure in different ways."""
    names = ("sample count", "extractor", "resize", "dtype", "weights or statistics", "real side")
    for metric in a.keys() & b.keys():
        for what, old, new in zip(names, a[metric], b[metric], strict=True):
            if old != new:
                told = f"{metric} with {what} {new or 'as usual'} here and {old or 'as usual'} above"
                return f"another evaluator: {told}; evaluate them alike to compare"
    return ""


# ------------------------------------------------------------------------------------------------ csv

COLUMNS: tuple[str, ...] = (
    "data",
    "fingerprint",
    "recipe",
    "label",
    "seed",
    "state",
    "images",
    "seconds",
    "metric",
    "value",
    "n",
    "extractor",
    "resize",
    "dtype",
    "floor",
    "se",
    "source",
    "note",
    "run",
)


def tidy(made: Sequence[Table]) -> list[dict[str, Any]]:
    """One row per run and metric; a run without metrics has one row."""
    rows = []
    for table in made:
        for e in table.entries:
            common = {
                "data": table.data,
                "fingerprint": table.fingerprint,
                "recipe": e.name,
                "label": e.label,
                "seed": e.seed,
                "state": e.state,
                "images": e.status.get("images"),
                "seconds": e.status.get("seconds"),
                "run": str(e.path),
            }
            for metric, told in e.values.items() or [("", {})]:
                # `seed` is the run's: an evaluation's values have one of their own
                rows.append({k: told[k] for k in COLUMNS if k in told} | common | {"metric": metric})
    return rows


def write_csv(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
