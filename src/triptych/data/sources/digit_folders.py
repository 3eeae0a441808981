"""Folders of digit tables, as competitions give them: train.csv with labels, test.csv perhaps without."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from triptych.core import Data, Split
from triptych.core.preparation import Preparation
from triptych.data.source import Source, digest, names_in
from triptych.data.sources import delimited, digit_tables
from triptych.data.sources.array_files import Table
from triptych.errors import NoSplit, UserError
from triptych.system.notices import say

NAME = re.compile(r"(.*[-_])?(train|test)\.csv", re.IGNORECASE)


@dataclass(frozen=True)
class DigitFolder(Source):
    """A folder with a train.csv (mnist_train.csv, ...) whose rows are pictures, and perhaps a test.csv beside it."""

    sets_aside: ClassVar[bool] = True
    path: Path

    @property
    def summary(self) -> str:
        return f"pictures in the tables of {self.path}"

    @classmethod
    def at(cls, path: Path) -> Source | None:
        return cls(path) if path.is_dir() and "train" in tables(path) else None

    def load(self, name: str, split: Split, how: Preparation) -> Data:
        found = tables(self.path)
        if how.holdout and "test" in found:
            raise UserError(f"{self.path} has a test split of its own, which --split train keeps aside; drop --holdout")
        if split == "test" and "test" not in found and not how.holdout:
            raise NoSplit(f"{self.path} has no test split; set one aside with --holdout 0.1 or use split all")
        if "test" not in found:
            return Table(found["train"]).load(name, split, how)
        wanted = ["train", "test"] if split == "all" else [split]
        parts = [Table(found[side]).load(str(found[side]), "all", how) for side in wanted]
        if len({p.shape for p in parts}) > 1:
            raise UserError(f"{self.path} has pictures of {parts[0].shape} and {parts[1].shape}; give one table")
        taken = [f"{found[side].name} is {side}" for side in wanted]
        labels = None
        if all(p.labels is not None for p in parts):
            labels = torch.cat([p.labels for p in parts if p.labels is not None])
        elif any(p.labels is not None for p in parts):
            taken.append("labels left out, since one table has none")
        for text in taken:
            say(f"{self.path}: {text}")
        about: dict[str, Any] = {"name": self.path.name, "source": str(self.path), "preparation": how.plain()}
        return Data(
            self.path.resolve().name,
            torch.cat([p.x for p in parts]),
            split,
            labels,
            fingerprint=digest(split, *(p.fingerprint for p in parts)),
            classes=max((p.classes for p in parts), key=len) if labels is not None else (),
            about={**about, "count": sum(map(len, parts)), "taken": taken},
        )


def tables(path: Path) -> dict[str, Path]:
    """The tables of pictures in a folder, by side."""
    matches = [m for name in names_in(path) if (m := NAME.fullmatch(name)) and (path / name).is_file()]
    found = {m[2].lower(): path / m[0] for m in matches}
    named = {}
    for side, p in found.items():
        first = delimited.head(p)
        if first and digit_tables.named(tuple(c.strip() for c in first[0])):
            named[side] = p
    return named
