"""Samples of a model with classes: a row for each, the same z down every column."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image

from triptych.core import Conditional, Model
from triptych.figures.tiles import labelled, tile
from triptych.system.console import printable

ROWS = 16
"""Classes on a sheet, at most."""
COLUMNS = 8
"""Samples of each."""
LETTERS = 20
"""Of a class's name beside its row."""


def shown_classes(classes: int) -> list[int]:
    """The classes of a sheet: all, or `ROWS` of them, evenly spread."""
    if classes <= ROWS:
        return list(range(classes))
    return [round(i * (classes - 1) / (ROWS - 1)) for i in range(ROWS)]


def by_class(model: Model, names: Sequence[str] = (), seed: int = 0, columns: int = COLUMNS) -> Image.Image:
    """The sheet, with the class beside each row: what differs along a row comes from z, down a column from the class.

    `model` is a Conditional with classes that samples images.
    """
    assert isinstance(model, Conditional)
    shown = shown_classes(model.classes)
    rows = [model.sample(columns, seed=seed, y=k).cpu() for k in shown]
    return labelled(tile(torch.cat(rows), columns), [short(names[k] if k < len(names) else str(k)) for k in shown])


def short(name: str) -> str:
    """A class's name on one line; what acts on a terminal, or breaks lines, is an escape."""
    name = printable(" ".join(name.split())) or "?"
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"


def said(classes: int) -> str:
    """Which classes a sheet leaves out, in words; empty: none."""
    return f"sheets show {ROWS} of {classes:,} classes, a row each" if classes > ROWS else ""
