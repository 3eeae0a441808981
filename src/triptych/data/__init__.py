"""Data sets: named ones, and whatever lies at a path. A module in `sources/` has kinds of sources, and `SOURCES`.

>>> data = load("8gaussians")
>>> data.shape, len(data), len(data.modes)
((2,), 100000, 8)
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

from triptych.core import Data, DataSpec, Split
from triptych.core.discovery import parts
from triptych.core.preparation import Preparation
from triptych.data.entering import taken
from triptych.data.prepare.listing import refuse_special
from triptych.data.source import Source
from triptych.errors import UserError, nearest


def all_sources() -> dict[str, Source]:
    """Every named source, by name."""
    return {name: part.value for name, part in parts("data set").items()}


def all_kinds() -> list[type[Source]]:
    """Every kind of source, by the names of their classes."""
    return [part.value for _, part in sorted(parts("source").items())]


def names() -> list[str]:
    """Names that `load` knows, sorted."""
    return sorted(all_sources())


def by_name(name: str) -> Source | None:
    """The named set, also where it is turned: `NAME@DEGREES`, unless a path of that name exists; None for no name."""
    known = all_sources()
    if name in known:
        return known[name]
    plain, turned, degrees = name.rpartition("@")
    if not turned or plain not in known or Path(name).exists():
        return None
    try:
        angle = float(degrees)
    except ValueError:
        angle = math.nan
    if not math.isfinite(angle):
        raise UserError(f"{name!r} turns {plain} by {degrees!r}, which is no angle; give degrees, as in {plain}@30")
    return known[plain].rotated(angle)


def find(name_or_path: str | Path) -> Source:
    """The source of that name or at that path; UserError with the nearest names otherwise.

    `PATH:PART` is one of several sets at a path, such as an array of an .npz, and `NAME@DEGREES` a set of points on
    the plane turned about the origin; a path that exists comes first.
    """
    text = str(name_or_path)
    known = all_sources()
    if (named := by_name(text)) is not None:
        return named
    for kind in all_kinds():
        if (there := kind.called(text)) is not None:
            return there
    path = Path(name_or_path).expanduser()
    if text and path.exists():  # an empty name would be the folder one stands in
        return at(path)
    place, colon, part = text.rpartition(":")
    if colon and place and (path := Path(place).expanduser()).exists():
        return at(path).part(part)
    hint = nearest(text, known, "`triptych data list` shows the names")
    raise UserError(f"no data set is named {text!r} and no such file or folder exists; {hint}")


def at(path: Path) -> Source:
    """What lies at a path that exists: the source whose layout it is, else whatever pictures are there."""
    refuse_special(path)
    found = [source for kind in all_kinds() if (source := kind.at(path)) is not None]
    return min(found, key=lambda source: source.general)


def load(name_or_path: str | Path, split: Split = "train", **options: Any) -> Data:
    """The examples of a named set, a folder, an archive or an array file.

    `options` are the fields of `Preparation`: resolution (a side, or "64x48"), fit, channels, holdout and so on.
    Images come as uint8 NCHW, vectors as float32 (n, d). Missing or unreadable data, an unknown name and options that
    make no sense are `UserError`s.
    """
    if split not in ("train", "test", "all"):
        raise UserError(f"unknown split {split!r}; choose train, test or all")
    source, how = find(name_or_path), Preparation(**options)
    if how.columns and not source.tabular:
        raise UserError(f"only tables have columns ({source.summary}); drop --columns")
    return taken(source, str(name_or_path), split, how)


def load_spec(spec: DataSpec, split: Split | None = None) -> Data:
    """The examples of a recipe's data; of another split where one is given."""
    options = {f.name: getattr(spec, f.name) for f in dataclasses.fields(Preparation)}
    return load(spec.name, split=split or spec.split, **options).conditioned_on(spec.given)
