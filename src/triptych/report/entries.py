"""Run folders, read as entries of a report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeGuard

from triptych.core import Quantity
from triptych.core.codec import flat
from triptych.core.contract import WORDS
from triptych.core.quantity import read_back, undeclared
from triptych.core.statistics import format_number
from triptych.errors import UserError
from triptych.metrics import declared
from triptych.report import older
from triptych.run import json_types, schema
from triptych.run.addresses import Place, local
from triptych.run.folder import read_status

MOST_NAMES = 500
"""Metrics of a run, and different numbers of its log."""
HUGE = 1e100
"""Numbers beyond are taken for not finite: their squares would be."""
SECONDS = Quantity("Training", "lower", unit="s", axis="cost", rank=900)
"""Seconds of training alone, of which status.json and the log know."""
ROW: dict[str, json_types.Check] = dict.fromkeys(("run", "recipe", "state", "message"), json_types.is_text) | {
    "seed": json_types.is_count
}


def number(value: Any) -> TypeGuard[float]:
    """Whether this is a finite number to calculate with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -HUGE < value < HUGE


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
    """eval.json's metrics, and the log's where there is no such metric (`source` tells which), and what each is"""
    evaluated: bool
    """whether there is an eval.json"""
    label: str = ""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """examples a second, as they were drawn for eval.json"""
    bad_lines: int = 0
    """lines of the log that could not be read"""
    quantities: Mapping[str, Quantity] = field(default_factory=dict)
    """what the numbers of the log are"""

    @property
    def name(self) -> str:
        return self.recipe.get("name") or self.path.name

    @property
    def data(self) -> tuple[str, str]:
        """Name and fingerprint of what it was trained on."""
        told = self.env.get("data") or {}
        return told.get("name") or self.recipe["data"]["name"], told.get("fingerprint") or ""

    def quantity(self, name: str) -> Quantity:
        """What a number of the log is."""
        return self.quantities.get(name) or undeclared(name)

    @property
    def yardstick(self) -> bool:
        """Whether it was fitted in closed form, and is there to measure the others against."""
        return (self.recipe.get("objective") or {}).get("type") == "ClosedForm"

    @property
    def gaussians(self) -> int | None:
        """Of a yardstick that is a mixture of Gaussians, of how many: 0 where the data chose; None for all else."""
        model = self.recipe.get("model") or {}
        return model.get("components", 0) if self.yardstick and model.get("type") == "MixtureOfGaussians" else None

    @property
    def state(self) -> str:
        return self.status.get("state", "running")

    @property
    def training(self) -> float | None:
        """Seconds of training, without evaluations and pictures on the way.

        The clock stops with the last step: what was looked at after it is not in its seconds.
        """
        if not number(seconds := self.status.get("seconds")):
            return None
        before = [line for line in self.lines if number(s := line.get("seconds")) and s < round(seconds, 3)]
        return max(seconds - math.fsum(v for line in before if number(v := line.get("evaluating"))), 0.0)


def read_entry(path: Path) -> Entry:
    """A run folder's plain files; UserError where it is no run, or where one of them holds what it cannot."""
    if not (path / "recipe.json").is_file():
        raise UserError(f"{path} is not a run: it has no recipe.json; give folders made by `triptych train` or `study`")
    asked = schema.read_asked(path)
    env = schema.read_env(path, ()) if (path / "env.json").exists() else {}
    evaluated = schema.read_evaluation(path) if (path / "eval.json").exists() else {}
    lines, bad = schema.read_log(path)
    made = schema.read_curve(path)["lines"]
    if max(len(evaluated), len(env.get("quantities", ())), len({k for line in lines for k in line})) > MOST_NAMES:
        raise UserError(f"{path} holds more than {MOST_NAMES} different numbers, which no training does; remove it")
    if "quantities" in env:
        quantities = {k: read_back(told) for k, told in env["quantities"].items()}
    else:
        lines = older.renamed(lines)
        quantities = older.logged(lines)
    if "extractors" not in env and len(env.get("shape", ())) == 3:
        lines = [older.of_features_along(line) for line in lines]
        quantities |= {f"{k}_v1": declared.quantity(f"{k}_v1") for k in quantities if older.is_of_features(k)}
    lines = schema.with_curve(lines, made)
    values = {
        k: {**declared.quantity(k).told(), **v, "source": "eval"} for k, v in older.of_features(evaluated).items()
    }
    entry = Entry(
        path,
        asked["recipe"],
        asked["seed"],
        env,
        read_status(path),
        lines,
        values | logged(lines, quantities, values, held_out=env.get("test") is not None),
        evaluated=bool(values),
        sampling=schema.read_sampling(path) if (path / "sampling.json").exists() else {},
        bad_lines=bad,
        quantities=quantities,
    )
    if entry.training is None:
        return entry
    seconds = {"value": entry.training, "source": "log", "note": "without evaluations and pictures", **SECONDS.told()}
    return replace(entry, values={**entry.values, "training_seconds": seconds})


def logged(
    lines: Sequence[Mapping[str, Any]],
    quantities: Mapping[str, Quantity],
    evaluated: Mapping[str, Mapping[str, Any]],
    *,
    held_out: bool,
) -> dict[str, dict[str, Any]]:
    """The newest logged number of everything that has a direction and no value in eval.json under the same title."""
    found = {}
    titles = {told["title"] for told in evaluated.values()}
    note = "from the training log" + ("" if held_out else ", of training examples: there was no held-out part")
    for name, quantity in quantities.items():
        if not quantity.sign or quantity.title in titles:
            continue
        at = [line for line in lines if number(line.get(name))]
        if at:
            found[name] = {"value": at[-1][name], "source": "log", "note": note, **quantity.told()}
    return found


def gather(paths: Iterable[Place]) -> tuple[list[Entry], list[dict[str, Any]]]:
    """Entries of run folders and of the runs in study folders and in other folders, labelled; and the runs that are
    not among them.

    Those a study could not begin, or that cannot be read; and of runs of one recipe, data and seed all but the first:
    they are one draw, and intervals over seeds would count it twice.
    """
    entries, lost = [], []
    for path in map(local, paths):
        if not path.exists():
            raise UserError(f"{path} does not exist; give folders of runs or studies")
        if (path / "recipe.json").is_file() or not (path / "study.json").is_file():
            beneath = [] if (path / "recipe.json").is_file() else sorted(p.parent for p in path.glob("*/recipe.json"))
            entries += map(read_entry, beneath or [path])
            continue
        for told in read_study_json(path)["runs"]:
            folder = path / told["run"]
            if not (folder / "recipe.json").is_file():
                lost.append(told)
                continue
            try:
                entries.append(read_entry(folder))
            except UserError as e:
                lost.append({**told, "state": "left out", "message": str(e)})
    if not entries and not lost:
        raise UserError("there is no run to report on; give at least one run folder")
    kept: dict[Any, Entry] = {}
    for entry in labelled(entries):
        first = kept.setdefault((entry.label, entry.data, entry.seed), entry)
        if first is not entry and first.path.resolve() != entry.path.resolve():
            message = f"{entry.path} is left out, of the same recipe and seed as {first.path}"
            lost.append({"recipe": entry.label, "seed": entry.seed, "state": "twice", "message": message})
    return list(kept.values()), lost


def read_study_json(path: Path) -> dict[str, Any]:
    """study.json of a study's folder: `name`, `about`, and `runs` with `run`, `recipe`, `seed`, `state`, `message`."""
    file = path / "study.json"
    rows = json_types.listed(json_types.record(**ROW))
    contract = json_types.record(equal=json_types.is_text, budget=json_types.is_number)
    known = {
        "name": json_types.is_text,
        "about": json_types.is_text,
        "runs": rows,
        "contract": json_types.optional(contract),
    }
    told = json_types.read(file, known, ("name", "runs"))
    for row in told["runs"]:
        if Path(row["run"]).name != row["run"] or row["run"] == "..":
            raise UserError(f"{file} names the run {row['run']!r}, which is not in this folder; restore it from a copy")
    return {"about": "", "contract": None, **told}


def contract_words(told: Mapping[str, Any]) -> str:
    """What was equal between the trainings of a study, as its study.json says; for studies without a contract, that."""
    if not (contract := told["contract"]):
        return "No contract: every recipe was trained for the budget that it names, and nothing else was made equal."
    meant = WORDS.get(contract["equal"], contract["equal"])
    return f"Contract: equal were {format_number(contract['budget'])} {meant}."


def labelled(entries: Sequence[Entry]) -> list[Entry]:
    """Every entry with the name of its recipe, and where one name has several recipes on one set, what differs."""
    own = [flat(e.recipe) for e in entries]
    # by fingerprint, too: sets of one name that were prepared differently are tables of their own, which say so
    groups: dict[tuple[str, tuple[str, str]], list[dict[str, Any]]] = {}
    for entry, fields in zip(entries, own, strict=True):
        groups.setdefault((entry.name, entry.data), []).append(fields)
    differing = {
        key: {k for t in twins for k in t if k not in ("about", "name") and t[k] != twins[0].get(k, MISSING)}
        | {k for t in twins for k in twins[0].keys() - t.keys() - {"about", "name"}}
        for key, twins in groups.items()
    }
    out = []
    for entry, fields in zip(entries, own, strict=True):
        told = [k for k in fields if k in differing[entry.name, entry.data]]
        extra = ", ".join(f"{k.removeprefix('objective.')}={plain(fields[k])}" for k in told)
        out.append(replace(entry, label=f"{entry.name} ({extra})" if extra else entry.name))
    return out


MISSING = object()


def plain(value: Any) -> str:
    """A recipe's value for a person."""
    if isinstance(value, list):
        return "–".join(map(str, value)) if len(value) == 2 else ", ".join(map(str, value))
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "off" if value is None else str(value)
