"""Pictures as a text table: a row for each, its grey levels in columns, with or without a label before them."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from triptych.data.sources.delimited import Text
from triptych.data.sources.npz import Found, class_numbers
from triptych.errors import UserError

PICTURES = "pictures"
PIXEL = re.compile(r"(pixel[_ ]?)?\d+|\d+x\d+|p(ix|x)?[_ ]?\d+", re.IGNORECASE)
LEAST = 8  # pixels a side: fewer columns are an ordinary table
LABEL = {"label", "labels", "class", "target", "y", "digit"}


def side(columns: int) -> tuple[int, int] | None:
    """(pixels a side, labels before them) of a row of so many numbers; None where they make no square picture."""
    for labels in (0, 1):
        root = math.isqrt(max(columns - labels, 0))
        if root >= LEAST and root * root == columns - labels:
            return root, labels
    return None


def named(columns: tuple[str, ...]) -> bool:
    """Whether the names say that the columns are pixels: `pixel0`, `1x1`, `p0`, perhaps after a label."""
    shape = side(len(columns))
    if shape is None:
        return False
    labels = shape[1]
    return all(map(PIXEL.fullmatch, columns[labels:])) and all(c.lower() in LABEL for c in columns[:labels])


def offer(path: Path, x: np.ndarray) -> str:
    """A word on how to read rows that may be pictures; empty where they cannot be."""
    shape = side(x.shape[1])
    if shape is None or not _levels(x[:, shape[1] :]):
        return ""
    return f"; if the rows are pictures of {shape[0]} x {shape[0]}, give {path}:{PICTURES}"


def pictures(path: Path, table: Text) -> Found:
    """uint8 (n, side, side), and the labels where there are any."""
    shape = side(table.x.shape[1])
    if shape is None:
        raise UserError(f"{path} has {table.x.shape[1]} columns, which make no square picture; drop :{PICTURES}")
    root, labels = shape
    grey = table.x[:, labels:]
    if not _levels(grey):
        raise UserError(f"{path} holds other numbers than grey levels of 0 to 255; repair it")
    if not len(grey):
        raise UserError(f"{path} holds no picture; give a row for each")
    taken = [
        f"rows are pictures of {root} x {root}" + (f", labels from {(table.columns or ('column 1',))[0]}" * labels)
    ]
    y = None
    if labels:
        numbers = table.x[:, 0]
        whole = bool((numbers == np.floor(numbers)).all())
        y = class_numbers(path, numbers.astype(np.int64) if whole else numbers)
    return Found(grey.astype(np.uint8).reshape(-1, root, root), y, taken=[*table.taken[:1], *taken])


def _levels(x: np.ndarray) -> bool:
    return bool(x.size and np.isfinite(x).all() and x.min() >= 0 and x.max() <= 255 and (x == np.floor(x)).all())
