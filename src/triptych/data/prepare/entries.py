"""The files of a collection, and what is known of them before any is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct
from typing import Any

PICTURES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
    | {".pbm", ".pnm", ".ico", ".jp2", ".j2k", ".avif", ".pcx", ".sgi"}
    | {".heic", ".heif", ".jxl", ".svg", ".psd", ".tga"}  # not read, but said
)
CUB = ("images.txt", "image_class_labels.txt", "classes.txt", "train_test_split.txt")
CELEBA = tuple(
    f"{stem}.{kind}"
    for stem in ("list_eval_partition", "list_attr_celeba")
    for kind in ("txt", "csv")  # the authors' and Kaggle's
)
LABELS = ("metadata.csv", "metadata.jsonl", "dataset.json")
TEXTS = frozenset((*CUB, *CELEBA, *LABELS))
"""Tables that are read: those that official layouts keep beside their pictures, and those of labels."""
TABLES = TEXTS | {
    *(f"list_{what}.{kind}" for what in ("bbox_celeba", "landmarks_celeba") for kind in ("txt", "csv")),
    *(f"list_landmarks_align_celeba.{kind}" for kind in ("txt", "csv")),
    *(f"identity_CelebA.{kind}" for kind in ("txt", "csv")),
}
"""Tables that are known: the others are left aside by that name."""
TEXT_LIMIT = 256 << 20
CLASS_FILES = (".cls", ".json")
"""WebDataset: a class beside its picture. The first kind that says one counts; the second is read in tars only."""

PLACE = Struct("<4QLHL")  # a `zips.Place`, in a few bytes


@dataclass(slots=True)
class Entry:
    """One candidate file, of which there may be millions."""

    name: str
    size: int
    source: str | Path
    """the file that a worker reads it from; a Path: a compressed tar or a Parquet file, which is read as a stream"""
    at: int | bytes | str = 0
    """where it begins there; a `zips.Place`, where that file is a zip; its name or number in the stream"""
    label: int = -1
    side: int | None = None
    """0 train, 1 test, 2 neither (in `all` only); None: the source has no split"""
    stamp: int = 0

    @property
    def file(self) -> str | None:
        """What a worker reads it from; None: it comes along with the stream."""
        return self.source if isinstance(self.source, str) else None

    @property
    def stream(self) -> Path | None:
        """What it comes from in the order of its members: a compressed tar, a Parquet file."""
        return self.source if isinstance(self.source, Path) else None

    @property
    def where(self) -> dict[str, Any] | None:
        """What tells a worker how to read it."""
        if self.file is None:
            return None
        if isinstance(self.at, bytes):
            return {"path": self.file, "size": self.size, "zip": PLACE.unpack(self.at)}
        return {"path": self.file, "size": self.size, "offset": self.at}

    @property
    def folder(self) -> str:
        """What stands before its last name."""
        return self.name.rpartition("/")[0]

    @property
    def expected(self) -> bool:
        """Whether its name claims to be a picture (or says nothing)."""
        return self.pictured or "." not in self.name.rpartition("/")[2]

    @property
    def pictured(self) -> bool:
        """Whether the name claims to be an image file."""
        _, dot, ending = self.name.rpartition("/")[2].rpartition(".")
        return dot + ending.lower() in PICTURES


@dataclass
class Listing:
    """Candidates in order, files left aside with the reason, and classes by label."""

    path: Path
    entries: list[Entry]
    skipped: list[tuple[str, str]] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    factors: dict[str, list[int]] = field(default_factory=dict)
    """Known attributes by name, one number per entry."""
    texts: dict[str, str] = field(default_factory=dict)
    """Contents of the `TEXTS` and the class files found, by their path in the source."""
    notes: Counter[str] = field(default_factory=Counter)
    """What was done with pictures that were kept, and with how many."""
    shards: bool = False
    """whether it is a folder of tars or Parquet files, whose names come first in the entries' names"""

    def keep(self, wanted: Callable[[Entry], bool], reason: str) -> None:
        """Leave the other entries aside."""
        self.skipped += [(e.name, reason) for e in self.entries if not wanted(e)]
        self.entries = [e for e in self.entries if wanted(e)]

    def text(self, *names: str) -> str | None:
        """The table of the first of these names that is there, in whatever folder."""
        for name in names:
            for path, content in self.texts.items():
                if path.rpartition("/")[2] == name:
                    return content
        return None
