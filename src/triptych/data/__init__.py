"""Data sets. Each module here may list named sources in `SOURCES`; dropping a file in is all it takes.

>>> data = load("8gaussians")
>>> data.shape, len(data), len(data.modes)
((2,), 100000, 8)
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Literal

from triptych.core import Data, Split
from triptych.data import hub, tables
from triptych.data.listing import refuse_special
from triptych.data.pictures import Pictures
from triptych.data.source import Source
from triptych.errors import UserError, nearest
from triptych.preparation import Preparation


def sources() -> dict[str, Source]:
    """Every named source, by name."""
    found: dict[str, Source] = {}
    for info in pkgutil.iter_modules(__path__):
        for name, source in getattr(importlib.import_module(f"{__name__}.{info.name}"), "SOURCES", {}).items():
            if name in found:
                raise TypeError(f"two sources are named {name}")
            found[name] = source
    return found


def names() -> list[str]:
    """Names that `load` knows, sorted."""
    return sorted(sources())


def find(name_or_path: str | Path) -> Source:
    """The source of that name or at that path; UserError with the nearest names otherwise."""
    known = sources()
    if str(name_or_path) in known:
        return known[str(name_or_path)]
    if str(name_or_path).startswith(hub.PREFIX):
        return hub.Hub(str(name_or_path).removeprefix(hub.PREFIX))
    path = Path(name_or_path).expanduser()
    if str(name_or_path) and path.exists():  # an empty name would be the folder one stands in
        refuse_special(path)
        for source in known.values():
            if (here := source.at(path)) is not None:
                return here
        return tables.at(path) or Pictures(path)
    hint = nearest(str(name_or_path), known, "`triptych data list` shows the names")
    raise UserError(f"no data set is named {str(name_or_path)!r} and no such file or folder exists; {hint}")


def load(
    name_or_path: str | Path,
    split: Split = "train",
    *,
    resolution: int | str | None = None,
    fit: Literal["squash", "crop", "pad"] = "squash",
    channels: int | None = None,
    holdout: float = 0.0,
    filter: Literal["bicubic", "lanczos", "bilinear", "box"] = "bicubic",
    jpeg_quality: int | None = None,
    range: tuple[float, float] | None = None,
) -> Data:
    """The examples of a named set, a folder, an archive or an array file.

    `resolution` is a side in pixels, or text such as "64x48", width before height; `range` the values shown black and
    white in grey pictures of more than 8 bits.
    Images come as uint8 NCHW, vectors as float32 (n, d). Missing or unreadable data, an unknown name and
    options that make no sense are `UserError`s.
    """
    if split not in ("train", "test", "all"):
        raise UserError(f"unknown split {split!r}; choose train, test or all")
    how = Preparation(
        resolution=resolution,
        fit=fit,
        channels=channels,
        holdout=holdout,
        filter=filter,
        jpeg_quality=jpeg_quality,
        range=range,
    )
    return find(name_or_path).load(str(name_or_path), split, how)
