"""The idx format of MNIST and the sets of its kind, read strictly, and the sets made from it."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from triptych.core import Data, Split
from triptych.core.preparation import Preparation
from triptych.data.prepare.arrays import recast
from triptych.data.source import Source, digest, names_in
from triptych.errors import UserError
from triptych.system.cache import collections
from triptych.system.download import Remote, check_trusted, fetch
from triptych.system.notices import say

IMAGES, LABELS = 0x803, 0x801  # idx magic: unsigned bytes in three dimensions, in one
LIMIT = 1 << 30  # bytes a file may claim; the largest idx set has 547 million
SWELLING = 1032  # deflate packs no tighter: a file that claims more than so many times its size lies
CHUNK = 1 << 24


def read_idx(path: Path, magic: int) -> Tensor:
    """The bytes of an idx file, plain or gzipped: uint8 (n, h, w) or (n,).

    UserError for another magic number and for a file that is shorter or longer than its header says.
    """
    again = "fetch it again"
    try:
        with path.open("rb") as probe:
            zipped = probe.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as f:
            head = f.read(4)
            if len(head) < 4:
                raise UserError(f"{path} is truncated: it has no idx header; {again}")
            found = int.from_bytes(head, "big")
            if found != magic:
                raise UserError(
                    f"{path} has the magic number {found:#010x}, not {magic:#010x}; it is another kind of file"
                )
            dims = f.read(4 * (magic & 0xFF))
            shape = tuple(int(d) for d in np.frombuffer(dims[: len(dims) // 4 * 4], ">u4"))
            if len(shape) < (magic & 0xFF):
                raise UserError(f"{path} is truncated: its header is cut off; {again}")
            size = int(np.prod(shape, dtype=object))
            room = path.stat().st_size * (SWELLING if zipped else 1)
            if size > LIMIT or 0 in shape or size > room + CHUNK:
                raise UserError(f"{path} claims {' x '.join(map(str, shape))} values; it is damaged, {again}")
            body = bytearray()
            while len(body) <= size and (part := f.read(min(CHUNK, size + 1 - len(body)))):
                body += part
    except (gzip.BadGzipFile, EOFError, zlib.error) as e:
        raise UserError(f"{path} is damaged ({e}); {again}") from e
    except OSError as e:
        raise UserError(f"{path} cannot be read ({e.strerror}); check the path") from e
    if len(body) != size:
        word = "fewer" if len(body) < size else "more"
        raise UserError(f"{path} holds {word} than the {shape[0]} examples its header claims; {again}")
    return torch.from_numpy(np.frombuffer(body, np.uint8).reshape(shape))


NAME = re.compile(
    r"(?P<prefix>.*?)(?P<side>train|training|t10k|test|testing)[-_.]?(?P<kind>images|labels)[-_.]idx[13][-_.]ubyte(\.gz)?",
    re.IGNORECASE,
)


def groups(folder: Path) -> dict[str, dict[str, Path]]:
    """Sets of idx files in a folder: by what comes before `train`, the files by `train-images`, `test-labels`, ..."""
    found: dict[str, dict[str, Path]] = {}
    for name in reversed(names_in(folder)):  # the plain file is taken before its .gz
        if (m := NAME.fullmatch(name)) and (folder / name).is_file():
            side = "train" if m["side"].lower().startswith("train") else "test"
            found.setdefault(m["prefix"].strip("-_. ").lower(), {})[f"{side}-{m['kind'].lower()}"] = folder / name
    return {k: v for k, v in sorted(found.items()) if any(name.endswith("images") for name in v)}


def layouts(path: Path) -> dict[str, dict[str, Path]]:
    """The sets of idx files at a folder or where libraries put them below it (raw, MNIST/raw, gzip), by name."""
    if found := groups(path):
        return found
    found = {}
    owners = [path, *(path / name for name in names_in(path) if "." not in name)]
    for inside, owner in [*((owner / "raw", owner) for owner in owners), (path / "gzip", path)]:
        for prefix, files in groups(inside).items():
            found[prefix or owner.name.lower()] = files
    return found


def read_pair(files: Mapping[str, Path], side: str, place: Path, classes: int = 256) -> tuple[Tensor, Tensor]:
    """Images uint8 (n, 1, h, w) and labels int64 (n,) of `train` or `test`; UserError where they do not match."""
    for kind in ("images", "labels"):
        if f"{side}-{kind}" not in files:
            raise UserError(f"{place} has no {side} {kind} idx file; put the official files there")
    x, y = read_idx(files[f"{side}-images"], IMAGES), read_idx(files[f"{side}-labels"], LABELS)
    if len(x) != len(y):
        raise UserError(f"{place} has {len(x)} {side} images but {len(y)} labels; fetch both files again")
    if int(y.max()) >= classes:
        raise UserError(
            f"{files[f'{side}-labels']} has the label {int(y.max())}, but there are {classes} classes; fetch it again"
        )
    return x[:, None], y.long()


@dataclass(frozen=True)
class Idx(Source):
    """A set of idx files in a folder of one of the collections, at a given path, or fetched."""

    sets_aside: ClassVar[bool] = True
    title: str
    folder: str
    classes: tuple[str, ...]
    licence: str
    citation: str
    remotes: tuple[Remote, ...] = ()
    root: Path | None = None
    prefix: str = ""
    """which of several sets in one folder; empty: the only one"""
    turned: bool = False
    """whether the files hold the pictures with rows and columns exchanged"""
    first: int = 0
    """the lowest label in the files"""
    size: str = "60,000 + 10,000"

    @property
    def summary(self) -> str:
        many = f" in {len(self.classes)} classes" if self.classes else ""
        return f"{self.title}: {self.size} grey pictures of 28 x 28{many}"

    @property
    def card(self) -> Mapping[str, Any]:
        return {"title": self.title, "licence": self.licence, "citation": self.citation}

    @classmethod
    def at(cls, path: Path) -> Source | None:
        if not path.is_dir() or not (found := layouts(path)):
            return None
        return Idx(f"idx files in {path}", "", (), "unknown", "", root=path).part(
            next(iter(found)) if len(found) == 1 else ""
        )

    def part(self, name: str) -> Source:
        """The set whose name begins or ends so, among several in one folder."""
        if self.root is None:
            return super().part(name)
        if not name:
            return self
        found = [k for k in layouts(self.root) if name.lower() in (k, k.removeprefix("emnist-"))]
        if not found:
            raise UserError(f"{self.root} has no idx files named {name!r}; it has {', '.join(layouts(self.root))}")
        known = KNOWN.get(found[0]) or KNOWN.get(found[0].replace("-", ""))
        one = replace(self, prefix=found[0], turned="emnist" in found[0])
        if known is None:
            return one
        about = {k: getattr(known, k) for k in ("title", "classes", "licence", "citation", "first", "size")}
        return replace(one, **about)

    def here(self) -> Path | None:
        """The folder with the files, if there is one."""
        if self.root is not None:
            return self.root
        places = (place / self.folder for place in collections())
        return next((p for p in places if p.is_dir() and self._files(p)), None)

    def _files(self, place: Path) -> dict[str, Path]:
        """The files of this set at a place; empty where it has none. UserError where it has several sets."""
        found = layouts(place)
        if self.prefix and self.prefix in found:
            return found[self.prefix]
        if len(found) > 1 and self.root is not None and not self.prefix:
            raise UserError(
                f"{place} holds several sets of idx files: {', '.join(found)}; name one: {place}:{next(iter(found))}"
            )
        return next(iter(found.values()), {}) if not self.prefix else {}

    def _counts_from_first(self, files: Mapping[str, Path]) -> bool:
        """Whether no label of any side is below `first`: people share copies that were made to count from 0."""
        return all(
            int(read_idx(file, LABELS).min()) >= self.first for kind, file in files.items() if kind.endswith("labels")
        )

    def state(self) -> str:
        return "ready" if self.here() else "will be fetched"

    def fetched(self) -> Path:
        """The folder that the files were fetched into."""
        return fetch(self.folder, self.remotes)

    def load(self, name: str, split: Split, how: Preparation) -> Data:
        if how.holdout:
            raise UserError(f"{name} has a test split of its own, which --split train keeps aside; drop --holdout")
        home = self.here() or self.fetched()
        files = self._files(home)
        for file in files.values():
            check_trusted(file)
        sides = {"train": ["train"], "test": ["test"], "all": ["train", "test"]}[split]
        first = self.first if self.first and self._counts_from_first(files) else 0
        most = len(self.classes) + first if self.classes else 256
        parts = [read_pair(files, side, home, most) for side in sides]
        x, y = torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])
        taken = []
        if self.turned:
            x = x.mT.contiguous()
            taken.append("EMNIST's files hold pictures with rows and columns exchanged: they were turned")
        if first:
            y = y - first
            taken.append(f"labels count from {first} in the files: they were made to count from 0")
        elif self.first:
            taken.append(f"labels count from 0 in these files, not from {self.first} as in the original")
        for text in taken:
            say(f"{name}: {text}")
        original = digest(x, y)
        x = recast(x, how, name, original)
        classes = self.classes or tuple(str(i) for i in range(int(y.max()) + 1))
        about = {**self.card, "name": name, "source": str(home), "count": len(x), "preparation": how.plain()}
        about |= {"taken": taken} if taken else {}
        return Data(name, x, split, y, fingerprint=digest(original, how.identity()), classes=classes, about=about)


@dataclass(frozen=True)
class Derived(Source):
    """Abstract base of the sets made from an idx set."""

    sets_aside: ClassVar[bool] = True
    base: Idx

    @property
    def card(self) -> Mapping[str, Any]:
        return self.base.card

    def state(self) -> str:
        return self.base.state()


@dataclass(frozen=True)
class Binarised(Derived):
    """Every pixel is 1 with the probability of its grey level: drawn anew whenever an example is trained on.

    `Data.x` holds one fixed draw (0 or 255), which is also what the test split is judged on.
    Source: Salakhutdinov and Murray 2008, "On the Quantitative Analysis of Deep Belief Networks".
    """

    @property
    def summary(self) -> str:
        return f"{self.base.title} with every pixel drawn 0 or 1 by its grey level, anew at every showing"

    def load(self, name: str, split: Split, how: Preparation) -> Data:
        grey = self.base.load(name, split, how)
        seed = {"train": 9_001, "test": 9_002, "all": 9_003}[split]
        x = binarise(grey.x, torch.Generator().manual_seed(seed))
        about = {**grey.about, "binarised": "dynamic in training, one fixed draw elsewhere"}
        return Data(
            name,
            x,
            split,
            grey.labels,
            fingerprint=digest(grey.fingerprint, "binarised"),
            classes=grey.classes,
            about=about,
            intensities=grey.x,
        )


def binarise(x: Tensor, generator: torch.Generator) -> Tensor:
    """uint8 images (n, c, h, w) of 0 and 255, each pixel 255 with probability x / 255."""
    drawn = torch.empty_like(x)
    for i in range(0, len(x), 4096):
        part = x[i : i + 4096]
        drawn[i : i + 4096] = torch.rand(part.shape, generator=generator).mul_(255).lt(part).to(torch.uint8).mul_(255)
    return drawn


@dataclass(frozen=True)
class Stacked(Derived):
    """Three random digits as the red, green and blue of one picture: 1,000 modes, label 100 r + 10 g + b.

    128,000 train and 26,000 test pictures, made of the digits of the same split.
    Source: Metz et al. 2017, "Unrolled Generative Adversarial Networks"; the sizes are those of PacGAN.
    """

    digits: str = "mnist"
    """name of the set of digits"""
    train: int = 128_000
    test: int = 26_000

    @property
    def summary(self) -> str:
        return f"three {self.base.title} digits as red, green and blue: {self.train:,} pictures, 1,000 modes"

    def load(self, name: str, split: Split, how: Preparation) -> Data:
        if how.channels not in (None, 3):
            raise UserError(f"{name} pictures have 3 channels by construction; drop --channels")
        if split == "all":
            parts = [self.load(name, s, how) for s in ("train", "test")]
            x, y = torch.cat([p.x for p in parts]), torch.cat([p.labels for p in parts if p.labels is not None])
            mark = digest(*(p.fingerprint for p in parts))
            return replace(parts[0], x=x, split=split, labels=y, fingerprint=mark)
        digits = self.base.load(name, split, how)
        assert digits.labels is not None
        n, seed = (self.train, 9_011) if split == "train" else (self.test, 9_012)
        which = torch.randint(len(digits), (n, 3), generator=torch.Generator().manual_seed(seed))
        x = torch.stack([digits.x[:, 0].index_select(0, w) for w in which.T], 1)
        y = (digits.labels[which] * torch.tensor([100, 10, 1])).sum(1)
        classes = tuple(f"{i:03d}" for i in range(1000))
        about = {**digits.about, "count": n, "modes": 1000}
        mark = digest(digits.fingerprint, f"stacked {n} {seed}")
        return Data(
            name,
            x,
            split,
            y,
            fingerprint=mark,
            classes=classes,
            channels_are=self.digits,
            usual_samples=self.test,
            about=about,
        )


def _remotes(base: str, sums: Mapping[str, str]) -> tuple[Remote, ...]:
    return tuple(Remote(f"{base}/{name}.gz", f"md5:{md5}") for name, md5 in sums.items())


MNIST = Idx(
    "MNIST",
    "mnist",
    tuple("0123456789"),
    "Creative Commons Attribution-Share Alike 3.0 (as commonly stated)",
    "LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition. Proc. IEEE 86(11), 1998",
    _remotes(
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        {
            "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
        },
    ),
)
FASHION = Idx(
    "Fashion-MNIST",
    "fashionmnist",
    ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
    "MIT",
    "Xiao, Rasul, Vollgraf: Fashion-MNIST, a novel image dataset for benchmarking machine learning algorithms. 2017",
    _remotes(
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
        {
            "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
)
KUZUSHIJI = Idx(
    "Kuzushiji-MNIST",
    "kmnist",
    ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    "Creative Commons Attribution-ShareAlike 4.0",
    "Clanuwat, Bober-Irizar, Kitamoto, Lamb, Yamamoto, Ha: Deep Learning for Classical Japanese Literature. 2018",
    _remotes(
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist",
        {
            "train-images-idx3-ubyte": "bdb82020997e1d708af4cf47b453dcf7",
            "train-labels-idx1-ubyte": "e144d726b3acfaa3e44228e80efcd344",
            "t10k-images-idx3-ubyte": "5c965bf0a639b31b8f53240b1b52f4d7",
            "t10k-labels-idx1-ubyte": "7320c461ea6c1c855c0b718fb2a4b134",
        },
    ),
)
KNOWN: dict[str, Idx] = {"mnist": MNIST, "fashionmnist": FASHION, "kmnist": KUZUSHIJI}
"""Sets that are known by the name of their folder or files."""
SOURCES: dict[str, Source] = {
    "mnist": MNIST,
    "fashionmnist": FASHION,
    "kmnist": KUZUSHIJI,
    "binarymnist": Binarised(MNIST),
    "stackedmnist": Stacked(MNIST),
}
