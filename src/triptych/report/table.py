"""Which runs may be compared, and in which table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from triptych.core import Quantity
from triptych.core.metric import real_side
from triptych.core.quantity import read_back
from triptych.core.statistics import Estimate, estimate
from triptych.report.entries import Entry, number, plain


@dataclass
class Table:
    """Entries that may be compared: one data set, one evaluator per metric."""

    data: str
    fingerprint: str
    entries: list[Entry] = field(default_factory=list)
    evaluator: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    reason: str = ""
    """Why these stand apart from the table before."""
    prepared: str = ""
    """What tells it from other tables of the same set, for its heading; empty where there is no other."""

    @property
    def title(self) -> str:
        """The data set, and where there are several tables of it, what tells this one apart."""
        return f"{self.data} ({self.prepared})" if self.prepared else self.data

    @property
    def labels(self) -> list[str]:
        """Rows of the table, the yardsticks last."""
        return [*self.contestants, *self.yardsticks]

    @property
    def contestants(self) -> list[str]:
        """What is trained, tested and ranked."""
        return list(dict.fromkeys(e.label for e in self.entries if not e.yardstick))

    @property
    def yardsticks(self) -> list[str]:
        """What was fitted in closed form, for scale: no test is made of it, and it is in no ranking."""
        return list(dict.fromkeys(e.label for e in self.entries if e.yardstick))

    @property
    def gaussian(self) -> str:
        """The yardstick that is one Gaussian; empty where none is."""
        return next((e.label for e in self.entries if e.gaussians == 1), "")

    @property
    def mixture(self) -> str:
        """The yardstick that is a mixture of several Gaussians; empty where none is."""
        return next((e.label for e in self.entries if e.gaussians not in (None, 1)), "")

    def of(self, label: str) -> list[Entry]:
        return sorted((e for e in self.entries if e.label == label), key=lambda e: e.seed)

    @property
    def metrics(self) -> list[str]:
        """Metrics any entry has: those with a direction first, of these what most labels have, then by their rank.

        Those of the log are last, and behind all of them those of which there is no number at all, such as the
        likelihood where all are GANs.
        """
        names = list(dict.fromkeys(k for e in self.entries for k in e.values))
        evaluated = {k for e in self.entries for k, v in e.values.items() if v["source"] == "eval"}
        having: dict[str, set[str]] = {}
        for e in self.entries:
            for k, v in e.values.items():
                if number(v.get("value")):
                    having.setdefault(k, set()).add(e.label)

        def place(name: str) -> tuple[bool, bool, bool, int, int]:
            told = self.quantity(name)
            labels = len(having.get(name, ()))
            return name not in having, not told.sign, name not in evaluated, -labels, told.rank

        return sorted(names, key=place)

    def quantity(self, metric: str) -> Quantity:
        """What a metric is, as the first run says that knows its direction."""
        said = [e.values[metric] for e in self.entries if metric in e.values]
        return read_back(next((told for told in said if told.get("better")), said[0]))

    def numbers(self, label: str, metric: str) -> list[float]:
        """Finite values over seeds."""
        values = (e.values.get(metric, {}).get("value") for e in self.of(label))
        return [float(v) for v in values if number(v)]

    def estimate(self, label: str, metric: str) -> Estimate | None:
        values = self.numbers(label, metric)
        return estimate(values) if values else None

    def floor(self, metric: str) -> float | None:
        """Mean of the floors that stand with a metric's values."""
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
        if not any(e.evaluated for e in entries):
            return "not evaluated yet"
        return "not defined for this model"

    def features(self, metric: str) -> str:
        """The features from which a metric is made, as eval.json names their extractor; empty where there are none."""
        return next(str(told.get("extractor") or "") for e in self.entries if (told := e.values.get(metric)))

    @property
    def raw(self) -> bool:
        """Whether everything is measured on the examples themselves: vectors need no features that could deceive."""
        return all(self.features(m) in ("", "data") for m in self.metrics)

    @property
    def held_out(self) -> bool:
        """Whether any of it is known to have a part that was not trained on."""
        return any(e.env.get("test") is not None for e in self.entries)

    @property
    def head_starts(self) -> dict[str, str]:
        """What each recipe's network took from the data before its first step; without those that took nothing."""
        found = {k: ", ".join(self.of(k)[0].env.get("head_start", ())) for k in self.labels}
        return {k: told for k, told in found.items() if told}

    def about(self, metric: str) -> str:
        """Sample counts and extractor of a metric, for its column."""
        all_told = [e.values[metric] for e in self.entries if metric in e.values]
        all_told = [told for told in all_told if number(told.get("value"))] or all_told
        told = all_told[0]
        if told.get("source") == "log":
            return "from the log"
        counts = sorted({n for one in all_told if isinstance(n := one.get("n"), int)})
        parts = [f"n = {' to '.join(f'{n:,}' for n in dict.fromkeys([counts[0], counts[-1]]))}"] if counts else []
        parts += [
            str(told[k]).partition(":")[0]
            for k in ("extractor", "resize", "how")
            if told.get(k) not in (None, "", "none")
        ]
        return ", ".join(parts)


def evaluator(told: Mapping[str, Any]) -> tuple[Any, ...]:
    """What two values of one metric must share to be compared.

    The number of examples of an average need not agree: a model whose samples or likelihoods cost much is given fewer.
    """
    n = "" if told.get("average") else told.get("n") or ""
    same = (told.get(k) or "" for k in ("extractor", "resize", "dtype", "how"))  # an absent `how` is a plain one
    card = told.get("card") or {}
    # K, the draws behind an importance-weighted bound: with more of them the same model has another number
    kind = f"{card.get('estimator')}, K = {card.get('draws')}" if card else ""
    return (n, *same, kind, real_side(str(told.get("reference") or "")))


def tables(entries: Sequence[Entry]) -> list[Table]:
    """Entries in tables, in order; different data and different evaluators never share one.

    A number of the log stands aside where any run on that data has been evaluated by that metric.
    """
    evaluated = {(e.data, k) for e in entries for k, v in e.values.items() if v["source"] == "eval"}
    made: list[Table] = []
    for entry in entries:
        name, fingerprint = entry.data
        kept = {k: v for k, v in entry.values.items() if v["source"] == "eval" or (entry.data, k) not in evaluated}
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
    tell_apart(made)
    return made


def tell_apart(made: Sequence[Table]) -> None:
    """Give every table of a set that has several what its preparation differs in; tables that agree get a number."""
    for data in {t.data for t in made}:
        group = [t for t in made if t.data == data]
        facts = [preparation(t.entries[0]) for t in group]
        differing = [k for k in dict.fromkeys(k for f in facts for k in f) if len({f.get(k) for f in facts}) > 1]
        seen: dict[str, int] = {}
        for table, known in zip(group, facts, strict=True):
            words = ", ".join(known[k] for k in differing if k in known)
            seen[words] = nth = seen.get(words, 0) + 1
            table.prepared = ", ".join(filter(None, [words, f"table {nth}" if nth > 1 else ""]))


def preparation(entry: Entry) -> dict[str, str]:
    """How a run's data were prepared, in words by aspect."""
    shape, asked = entry.env.get("shape", ()), entry.recipe["data"]
    told = {}
    if len(shape) == 3:
        channels, height, width = shape
        told["size"] = f"{width} px" if width == height else f"{width} × {height} px"
        told["channels"] = {1: "grey", 3: "colour"}.get(channels, f"{channels} channels")
    # size and channels as they came out say more than what was asked for: off for as they are
    rest = {k: v for k, v in asked.items() if k not in ("type", "name", "resolution", "channels")}
    return told | {k: f"{k} {plain(v)}" for k, v in rest.items()}


def apart(made: Sequence[Table], name: str, fingerprint: str) -> str:
    if not made:
        return ""
    if any(t.data == name for t in made):
        known = fingerprint[:8] or "unknown"
        return f"{name} was prepared differently (fingerprint {known}): numbers on different data do not compare"
    return "other data: numbers on different data do not compare"


def conflict(a: Mapping[str, tuple[Any, ...]], b: Mapping[str, tuple[Any, ...]]) -> str:
    """Why two evaluators cannot share a table: the first metric they measure in different ways."""
    names = ("sample count", "extractor", "resize", "dtype", "weights or statistics", "kind of likelihood", "real side")
    for metric in a.keys() & b.keys():
        for what, old, new in zip(names, a[metric], b[metric], strict=True):
            if old != new:
                told = f"{metric} with {what} {new or 'as usual'} here and {old or 'as usual'} above"
                return f"another evaluator: {told}; evaluate them alike to compare"
    return ""


def short_names(table: Table) -> dict[str, str]:
    """Every label without the name of the data, which all of a table share, where they stay different without it."""
    short = {k: k.replace(f"-{table.data}", "", 1) or k for k in table.labels}
    return short if len(set(short.values())) == len(short) else {k: k for k in table.labels}
