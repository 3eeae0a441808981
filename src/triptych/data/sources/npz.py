"""Which arrays of an .npz file are examples, labels and factors, by the names that data sets use for them.

A name is read as words: one of a side (`train`, `val`, `test`), one of a role (`x`, `images`, `y`, `labels`). What is
ambiguous is asked, and what is left out is said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from triptych.data.sources.numpy_files import Entry, Npz
from triptych.errors import UserError

SIDES = {
    "train": 0, "training": 0, "test": 1, "testing": 1, "val": 2, "valid": 2, "validation": 2, "dev": 2,
}  # fmt: skip
EXAMPLES = {"x", "images", "image", "imgs", "img", "data", "pictures", "samples", "arr"}
LABELS = {"y", "labels", "label", "targets", "target"}
FACTORS = {"latents_classes": 2, "latents_values": 1}
"""Tables of factors, and which is taken where there are several."""
SPRITES = ("color", "shape", "scale", "orientation", "posX", "posY")
"""What the six columns of such a table are."""
STATISTICS = ({"mu", "sigma"}, {"mean", "cov"}, {"m", "s"})
WHITENED = "pictures of 0 and 1 are taken as black and white: 0 and 255"
CLASSES = 1_000_000  # more are no classes


@dataclass
class Found:
    """Examples and what belongs to them, a row each."""

    x: np.ndarray
    labels: np.ndarray | None = None
    """int64 (n,)"""
    sides: np.ndarray | None = None
    """0 train, 1 test, 2 neither; None without a split"""
    factors: dict[str, np.ndarray] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    taken: list[str] = field(default_factory=list)
    """what was guessed or left out, in words"""


def words(name: str) -> list[str]:
    """`xTrain`, `x_train` and `train/x` are the words train and x, in their order."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    found = [w for w in re.split(r"[^a-z0-9]+", apart) if w]
    if len(found) == 1 and (m := re.fullmatch(r"(x|y)(train|test|val|valid)", found[0])):
        return [m[1], m[2]]
    return found


def role(name: str) -> tuple[str, int | None]:
    """(`examples`, `labels` or nothing, the side or None) of an array by its name."""
    found = words(name)
    sides = [SIDES[w] for w in found if w in SIDES]
    rest = [w for w in found if w not in SIDES]
    if len(sides) > 1 or len(rest) > 1:
        return "", None
    side = sides[0] if sides else None
    if not rest:
        return ("examples", side) if sides else ("", None)
    return ("examples" if rest[0] in EXAMPLES else "labels" if rest[0] in LABELS else "", side)


def find(npz: Npz, member: str = "") -> Found:
    """The examples of an open file, of the array `member` where one is named; UserError where they are unclear."""
    readable = {n: e for n, e in npz.entries.items() if not e.dtype.hasobject}
    if not readable:
        what = "nothing but Python objects, which are never opened" if npz.entries else "no array"
        raise UserError(f"{npz.path} holds {what}; save plain numbers as x")
    if not member and any(s <= {n.lower() for n in readable} for s in STATISTICS):
        raise UserError(f"{npz.path} holds Fréchet statistics, not examples; give it as --stats {npz.path}")
    parts = {member: role(member)[1]} if member else chosen(npz.path, readable)
    if member and member not in readable:
        raise UserError(f"{npz.path} has no array {member!r} of numbers; it has {listed(readable)}")
    order = sorted(parts, key=lambda n: parts[n] or 0)
    found = Found(npz.stacked(order))
    if npz.whitened:
        found.taken.append(WHITENED)
    counts = [readable[n].shape[0] if readable[n].shape else 0 for n in order]
    used = set(order) | _label(npz, found, [(parts[n], c) for n, c in zip(order, counts, strict=True)], readable)
    if len(order) > 1:
        codes = np.repeat([_side(parts, n) for n in order], counts).astype(np.uint8)
        found.sides = codes
        names = ("train", "test", "in neither (only in --split all)")
        found.taken.append(", ".join(f"{n} is {names[_side(parts, n)]}" for n in order))
    elif not member and len(readable) > 1:
        found.taken.append(f"examples: {order[0]}")
    used |= _factors(npz, found, readable)
    objects = [n for n, e in npz.entries.items() if e.dtype.hasobject]
    left = [str(e) for n, e in readable.items() if n not in used] if not member else []
    left += [f"{n} (Python objects)" for n in objects if not member]
    if left:
        found.taken.append(f"left out: {', '.join(left)}")
    return found


def _side(parts: dict[str, int | None], name: str) -> int:
    """Beside train alone, val is the test side; beside both it is in neither."""
    side = parts[name]
    assert side is not None
    return 1 if side == 2 and 1 not in parts.values() else side


def chosen(path: Path, entries: dict[str, Entry]) -> dict[str, int | None]:
    """The arrays of examples and their sides, by their names; UserError with a list where the names leave it open."""
    named = {n: role(n)[1] for n in entries if role(n)[0] == "examples" and len(entries[n].shape) > 1}
    sided = {n: s for n, s in named.items() if s is not None}
    plain = [n for n, s in named.items() if s is None]
    whole = [n for n in plain if not words(n)[-1].isdigit()]
    if sided and not plain:
        if len(set(sided.values())) == len(sided) and (0 in sided.values() or len(sided) == 1):
            return dict(sided)
    elif not sided and len(plain) == 1:
        return {plain[0]: None}
    elif not sided and not whole and "arr_0" in entries and _follows(entries):
        return {"arr_0": None}
    elif not named:
        wide = [n for n, e in entries.items() if len(e.shape) > 1 and role(n)[0] != "labels" and n not in FACTORS]
        if len(wide) == 1:
            return {wide[0]: None}
        if len(entries) == 1:
            return {next(iter(entries)): None}
    if _numbered(entries) and _follows(entries):
        return {"arr_0": None}
    raise UserError(
        f"{path} holds several arrays ({listed(entries)}), and their names do not say which are the examples; "
        f"name one: {path}:{_largest(entries)}"
    )


def _numbered(entries: dict[str, Entry]) -> bool:
    """Whether the arrays have the names that numpy gives to unnamed ones."""
    return all(re.fullmatch(r"arr_\d+", n) for n in entries)


def _follows(entries: dict[str, Entry]) -> bool:
    """Whether arr_1 is a list of labels for arr_0, and nothing else is there."""
    first, second = entries.get("arr_0"), entries.get("arr_1")
    if first is None or len(first.shape) < 2 or not _numbered(entries):
        return False
    if second is None:
        return len(entries) == 1
    return len(entries) == 2 and second.shape == first.shape[:1] and second.dtype.kind in "iu"


def _largest(entries: dict[str, Entry]) -> str:
    return max(entries, key=lambda n: entries[n].size)


def listed(entries: dict[str, Entry]) -> str:
    """The arrays in words, the first twelve."""
    return ", ".join(str(e) for e in list(entries.values())[:12]) + (" and more" if len(entries) > 12 else "")


def _label(npz: Npz, found: Found, sides: list[tuple[int | None, int]], entries: dict[str, Entry]) -> set[str]:
    """Labels of the examples, where every side has them; the names of the arrays they came from."""
    by_side = {role(n)[1]: n for n in entries if role(n)[0] == "labels"}
    if _numbered(entries) and _follows(entries) and "arr_1" in entries:
        by_side[None] = "arr_1"
    names = [by_side.get(side) for side, _ in sides]
    if not any(names):
        return set()
    if not all(names):
        found.taken.append("labels left out, since one side has none")
        return {n for n in names if n}
    parts = []
    for name, (_, count) in zip(names, sides, strict=True):
        assert name is not None
        y = npz.read(name)
        y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
        if y.ndim and len(y) != count:
            raise UserError(f"{npz.path} has {count} examples but {len(y)} labels in {name}; make them match")
        parts.append(y)
    several = all(y.ndim == 2 and y.dtype.kind in "iub" and y.size and y.min() >= 0 and y.max() <= 1 for y in parts)
    if several and len({y.shape[1] for y in parts}) == 1:
        table = np.concatenate(parts).astype(np.int64)
        found.factors |= {f"label {j}": table[:, j] for j in range(table.shape[1])}
        found.taken.append(f"{table.shape[1]} labels of 0 and 1 for each example are kept as factors, not as classes")
    else:
        found.labels = np.concatenate([class_numbers(npz.path, y) for y in parts])
    return {n for n in names if n}


def class_numbers(path: Path, y: np.ndarray) -> np.ndarray:
    """int64 (n,); UserError for what numbers no classes."""
    fault = ""
    if y.dtype.kind not in "iub":
        fault = f"of {y.dtype}"
    elif y.ndim != 1:
        fault = f"of the shape {y.shape}"
    elif len(y) and y.min() < 0:
        fault = "with negative numbers"
    elif len(y) and y.max() >= CLASSES:
        fault = f"up to {y.max()}"
    if fault:
        raise UserError(f"{path} has labels {fault}; save one whole number from 0 up for each example, or none")
    return y.astype(np.int64)


def _factors(npz: Npz, found: Found, entries: dict[str, Entry]) -> set[str]:
    """Known factors of variation (n, k), a column each; the arrays they came from, or that say the same."""
    tables = [n for n in FACTORS if n in entries and entries[n].shape[:1] == (len(found.x),)]
    tables = [n for n in tables if len(entries[n].shape) == 2 and entries[n].dtype.kind in "iuf"]
    if tables:
        table = npz.read(max(tables, key=FACTORS.__getitem__))
        known = SPRITES if table.shape[1] == len(SPRITES) else [f"factor {j}" for j in range(table.shape[1])]
        found.factors |= {name: np.ascontiguousarray(table[:, j]) for j, name in enumerate(known)}
    return set(tables)
