"""The idx format of MNIST and Fashion-MNIST, read strictly, and the sets made from it."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from triptych.core import Data, Split
from triptych.data import cache
from triptych.data.arrays import recast
from triptych.data.download import Remote, fetch
from triptych.data.source import Source, digest
from triptych.errors import UserError
from triptych.preparation import Preparation

IMAGES, LABELS = 0x803, 0x801  # idx magic: unsigned bytes in three dimensions, in one
LIMIT = 4 << 30  # bytes a file may claim; no idx set comes near


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
            if size > LIMIT or 0 in shape:
                raise UserError(f"{path} claims {' x '.join(map(str, shape))} values; it is damaged, {again}")
            body = f.read(size + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as e:
        raise UserError(f"{path} is damaged ({e}); {again}") from e
    except OSError as e:
        raise UserError(f"{path} cannot be read ({e.strerror}); check the path") from e
    if len(body) != size:
        word = "fewer" if len(body) < size else "more"
        raise UserError(f"{path} holds {word} than the {shape[0]} examples its header claims; {again}")
    return torch.from_numpy(np.frombuffer(bytearray(body), np.uint8).reshape(shape))


def _find(folder: Path, stem: str, dims: int) -> Path | None:
    for name in (f"{stem}-idx{dims}-ubyte", f"{stem}.idx{dims}-ubyte"):
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    return None


def read_pair(folder: Path, stem: str, classes: int = 256) -> tuple[Tensor, Tensor]:
    """Images uint8 (n, 1, h, w) and labels int64 (n,) of `train` or `t10k`; UserError where they do not match."""
    paths = _find(folder, f"{stem}-images", 3), _find(folder, f"{stem}-labels", 1)
    if paths[0] is None or paths[1] is None:
        kind = "images" if paths[0] is None else "labels"
        raise UserError(f"{folder} has no {stem}-{kind} idx file; put the four official files there")
    x, y = read_idx(paths[0], IMAGES), read_idx(paths[1], LABELS)
    if len(x) != len(y):
        raise UserError(f"{folder} has {len(x)} {stem} images but {len(y)} labels; fetch both files again")
    if int(y.max()) >= classes:
        raise UserError(f"{paths[1]} has the label {int(y.max())}, but there are {classes} classes; fetch it again")
    return x[:, None], y.long()


@dataclass(frozen=True)
class Idx(Source):
    """Four idx files in a folder of one of the collections, at a given path, or fetched."""

    title: str
    folder: str
    classes: tuple[str, ...]
    licence: str
    citation: str
    remotes: tuple[Remote, ...]
    root: Path | None = None

    @property
    def summary(self) -> str:
        return f"{self.title}: 60,000 + 10,000 grey pictures of 28 x 28 in {len(self.classes)} classes"

    @property
    def card(self) -> Mapping[str, Any]:
        return {"title": self.title, "licence": self.licence, "citation": self.citation}

    @classmethod
    def at(cls, path: Path) -> Source | None:
        """This source reading from `path`, when the path is a folder of idx files."""
        if path.is_dir() and any(_find(path, f"{stem}-images", 3) for stem in ("train", "t10k")):
            return Idx(f"idx files in {path}", "", (), "unknown", "", (), path)
        return None

    def here(self) -> Path | None:
        """The folder with the files, if there is one."""
        if self.root is not None:
            return self.root
        places = (place / self.folder for place in cache.collections())
        return next((p for p in places if _find(p, "train-images", 3)), None)

    def state(self) -> str:
        return "ready" if self.here() else "will be fetched"

    def load(self, name: str, split: Split, how: Preparation) -> Data:
        if how.holdout:
            raise UserError(f"{name} has a test split of its own, which --split train keeps aside; drop --holdout")
        stems = {"train": ["train"], "test": ["t10k"], "all": ["train", "t10k"]}[split]
        home = self.here() or fetch(self.folder, self.remotes)
        parts = [read_pair(home, stem, len(self.classes) or 256) for stem in stems]
        x, y = torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])
        original = digest(x, y)
        x = recast(x, how, name, original)
        classes = self.classes or tuple(str(i) for i in range(int(y.max()) + 1))
        about = {**self.card, "name": name, "source": str(home), "count": len(x), "preparation": how.plain()}
        return Data(name, x, split, y, fingerprint=digest(original, how.identity()), classes=classes, about=about)


@dataclass(frozen=True)
class Derived(Source):
    """Abstract base of the sets made from an idx set."""

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
    """uint8 pictures of 0 and 255, each pixel 255 with probability x / 255."""
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
            return Data(name, x, split, y, fingerprint=mark, classes=parts[0].classes, about=parts[0].about)
        digits = self.base.load(name, split, how)
        assert digits.labels is not None
        n, seed = (self.train, 9_011) if split == "train" else (self.test, 9_012)
        which = torch.randint(len(digits), (n, 3), generator=torch.Generator().manual_seed(seed))
        x = torch.stack([digits.x[:, 0].index_select(0, w) for w in which.T], 1)
        y = (digits.labels[which] * torch.tensor([100, 10, 1])).sum(1)
        classes = tuple(f"{i:03d}" for i in range(1000))
        about = {**digits.about, "count": n, "modes": 1000}
        mark = digest(digits.fingerprint, f"stacked {n} {seed}")
        return Data(name, x, split, y, fingerprint=mark, classes=classes, about=about)


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
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        {
            "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
)
SOURCES: dict[str, Source] = {
    "mnist": MNIST,
    "fashionmnist": FASHION,
    "binarymnist": Binarised(MNIST),
    "stackedmnist": Stacked(MNIST),
}
