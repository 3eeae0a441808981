"""Which checkpoint of a run is the best so far: by the number of the log that its recipe names."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from triptych.run import json_types, schema
from triptych.system import files

Best = dict[str, Any]
"""images, metric and value"""


def better(by: str, best: Best | None, images: int, line: Mapping[str, Any]) -> Best | None:
    """`best`, or the checkpoint at `images` where its line of the log is better by a metric (-NAME: more is better)."""
    name = by.removeprefix("-")
    value = line.get(name) if name else None
    if value is None or not json_types.is_number(value):
        return best
    sign = -1 if by.startswith("-") else 1
    if best is None or sign * value < sign * best["value"]:
        return {"images": images, "metric": name, "value": value}
    return best


def of_0_1(file: Path, by: str, lines: Iterable[Mapping[str, Any]], saved: Container[int], images: int) -> Best | None:
    """The best until `images` of a run of version 0.1, which kept it in a file of its own, one kill behind.

    The log, `lines`, has the last word on the checkpoints that are `saved`.
    """
    best = None
    if by and file.exists():
        best = json_types.verified(file, files.read_object(file), {"best": schema.NOTE["best"]}, ("images", "value"))
        best = best if schema.NOTE["best"](best) and best["images"] <= images else None
    for line in lines:
        if 0 < line["images"] <= images and line["images"] in saved:
            best = better(by, best, line["images"], line)
    return best
