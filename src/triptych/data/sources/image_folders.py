"""Collections of encoded pictures: the birds, the faces, and anybody's folder, zip or tar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from triptych.core import Data, Split
from triptych.core.preparation import Preparation
from triptych.data.prepare.listing import text_of
from triptych.data.prepare.pipeline import prepared
from triptych.data.source import Source
from triptych.errors import UserError
from triptych.system.cache import collections, root
from triptych.system.console import printable
from triptych.system.download import Remote, fetch


@dataclass(frozen=True)
class Pictures(Source):
    """Whatever pictures are at `path`."""

    sets_aside: ClassVar[bool] = True
    encoded: ClassVar[bool] = True
    general: ClassVar[bool] = True
    path: Path

    @classmethod
    def at(cls, path: Path) -> Source | None:
        return cls(path)

    @property
    def summary(self) -> str:
        return f"pictures in {self.path}"

    def load(self, name: str, split: Split, how: Preparation) -> Data:
        shown = text_of(self.path.resolve().name)
        made = prepared(self.path, how, shown, {"licence": "your own pictures: your own terms"})
        return made.load(shown, split, how.holdout)


@dataclass(frozen=True)
class Known(Source):
    """A published collection: in its folder of one of the collections, or fetched where that is allowed."""

    sets_aside: ClassVar[bool] = True
    encoded: ClassVar[bool] = True
    title: str
    folder: str
    inside: tuple[str, ...]
    """patterns of what may hold the pictures, best first"""
    about: str
    licence: str
    citation: str
    remotes: tuple[Remote, ...] = ()
    by_hand: str = ""
    """how a person gets the files, where no program may"""

    @property
    def summary(self) -> str:
        return f"{self.title}: {self.about}"

    @property
    def card(self) -> Mapping[str, Any]:
        return {"title": self.title, "licence": self.licence, "citation": self.citation}

    def here(self) -> Path | None:
        """The folder or archive with the pictures, if there is one."""
        places = (self._inside(place / self.folder) for place in collections())
        return next((p for p in places if p is not None), None)

    def state(self) -> str:
        return "ready" if self.here() else "to be fetched by hand" if self.by_hand else "will be fetched"

    def home(self) -> Path:
        """The same, fetched where that is allowed."""
        if (found := self.here()) is not None:
            return found
        where = root() / "downloads" / self.folder
        if self.by_hand:
            raise UserError(
                f"{self.title} is not here{self._seen()} and has to be fetched by hand; {self.by_hand}, and put into "
                f"{where}"
            )
        fetched = self._inside(fetch(self.folder, self.remotes))
        assert fetched is not None
        return fetched

    def _seen(self) -> str:
        """What lies where the set should be, in words."""
        for place in collections():
            if (folder := place / self.folder).is_dir() and (names := sorted(p.name for p in folder.iterdir())):
                more = f" and {len(names) - 6:,} more" if len(names) > 6 else ""
                return f" ({folder} holds {', '.join(map(printable, names[:6]))}{more}, none of them the pictures)"
        return ""

    def _inside(self, folder: Path) -> Path | None:
        for pattern in self.inside:
            for found in sorted(folder.glob(pattern)):
                return found.parent if found.suffix in (".txt", ".csv") else found
        return None

    def load(self, name: str, split: Split, how: Preparation) -> Data:
        return prepared(self.home(), how, name, self.card).load(name, split, how.holdout)


BIRDS = Known(
    "CUB-200-2011",
    "cub",
    ("images.txt", "CUB_200_2011/images.txt", "CUB_200_2011.tgz", "*.tgz", "*.tar", "*.zip"),
    "birds, 11,788 pictures of 200 species (or a part of them), with a split",
    "non-commercial research and teaching only; the pictures' copyright stays with their owners",
    "Wah, Branson, Welinder, Perona, Belongie: The Caltech-UCSD Birds-200-2011 Dataset. CNS-TR-2011-001, Caltech 2011",
    (
        Remote(
            "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
            "md5:97eceeb196236b17998738112f37df78",
        ),
    ),
)
FACES = Known(
    "CelebA",
    "celeba",
    (
        "img_align_celeba.zip",
        "list_eval_partition.txt",
        "list_eval_partition.csv",
        "img_align_celeba",
        "Img/img_align_celeba.zip",
        "Img/img_align_celeba",
        "*.zip",
        "*.tar",
    ),
    "faces, 202,599 aligned pictures (or a part of them), with a split and 40 attributes where the tables are there",
    "non-commercial research only; no redistribution",
    "Liu, Luo, Wang, Tang: Deep Learning Face Attributes in the Wild. ICCV 2015",
    by_hand="accept the terms at https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html, get img_align_celeba.zip, "
    "list_eval_partition.txt and list_attr_celeba.txt from the drives linked there",
)
SOURCES: dict[str, Source] = {"birds": BIRDS, "celeba": FACES}
