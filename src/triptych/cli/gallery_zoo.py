"""The first section of `docs/gallery.md`: what the models of the zoo draw, a row for each set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triptych.cli.docs_tables import copy
from triptych.cli.zoo import number
from triptych.core.statistics import duration
from triptych.run import zoo
from triptych.system import files

TITLE = "Trained models"
ABOUT = """\
These come with the project: `triptych sample zoo:NAME` draws more of them, and `triptych explore zoo:NAME` walks
through what they have learned, with nothing to train. How they are kept, and what their weights may be used for, stands
in [sharing](sharing.md#the-zoo).
"""
FIRST = ("celeba", "birds", "cifar10", "mnist", "glyphs")
"""Sets in this order, then the others by name."""
SHOWN = ("distance", "fidelity", "coverage")
"""Axes in the number line."""
FAMILIES = {"gan": "GAN", "autoencoder": "autoencoder", "flow": "flow"}


def section(place: Path, docs: Path) -> str:
    """Markdown of the entries in a folder; their pictures are copied beside the page."""
    by_set: dict[str, dict[str, Mapping[str, Any]]] = {}
    for name, entry in zoo.index(place).items():
        by_set.setdefault(entry["data"], {})[name] = entry
    parts = [f"## {TITLE}", "", ABOUT]
    for data in sorted(by_set, key=lambda d: (FIRST.index(d) if d in FIRST else len(FIRST), d)):
        parts += [f"### {data} in the zoo", "", *row(by_set[data], place, docs)]
    return "\n".join(parts)


def row(entries: Mapping[str, Mapping[str, Any]], place: Path, docs: Path) -> list[str]:
    """The panels of one set side by side, one family after the other."""
    order = sorted(entries, key=lambda n: (list(FAMILIES).index(entries[n]["family"]), n))
    titles = [f"`zoo:{name}` ({FAMILIES[entries[name]['family']]})" for name in order]
    pictures = [f"![samples of {name}]({picture(place / name, docs)})" for name in order]
    lines = [line(entries[name], place / name) for name in order]
    table = [f"| {' | '.join(cells)} |" for cells in (titles, pictures, lines)]
    return [table[0], "|---" * len(order) + "|", *table[1:], ""]


def line(entry: Mapping[str, Any], folder: Path) -> str:
    """Time, the first number of each of a few axes, and for what the weights may be used where terms of data say."""
    values = {k: v for k, v in files.read_object(folder / "eval.json").items() if v.get("value") is not None}
    told = []
    for axis in SHOWN:
        if found := [v for v in values.values() if v.get("axis") == axis]:
            # pixels' own distances see neither shapes nor faults of them
            first = min(found, key=lambda v: (v["extractor"] == "pixels", v["rank"]))
            told += [first, *filter(None, [values.get(first["companion"])])]
    terms = [] if entry["licence"].startswith("MIT") else [f"weights: {entry['licence']}"]
    return " · ".join([f"{duration(entry['seconds'])} on {entry['processor']}", *map(number, told), *terms])


def picture(entry: Path, docs: Path) -> str:
    """The samples of an entry, copied; their path from the page."""
    file = max((entry / "samples").iterdir())
    name = f"zoo-{entry.name}{file.suffix}"
    copy(file, docs / "figures" / name)
    return f"figures/{name}"
