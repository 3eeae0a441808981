"""CIFAR-10 and CIFAR-100, from their python batches or their binary version.

Of the pickles the checksums come first, then an unpickler that can build nothing but arrays. The binary files are bytes
and nothing else: a label or two and 3,072 pixels a picture.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import pickle
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np
import torch

from triptych.core import Data, Split
from triptych.core.preparation import Preparation
from triptych.data.prepare import prepared
from triptych.data.prepare.arrays import recast
from triptych.data.prepare.listing import stamp
from triptych.data.source import Source, digest, names_in
from triptych.errors import UserError
from triptych.system.cache import collections
from triptych.system.download import Remote, check_trusted, fetch

LIMIT = 256 << 20  # bytes of one batch file; the largest has 155 million
PIXELS = 3 * 32 * 32
RECONSTRUCT: Any = np.empty(0).__reduce__()[0]  # the function behind pickled arrays, wherever this numpy keeps it


class _Arrays(pickle.Unpickler):
    """Loads numpy arrays in plain containers; any other class or function in the file is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy.core.multiarray", "_reconstruct"):
            return RECONSTRUCT
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"it wants {module}.{name}")


def unpickle(raw: bytes, md5: str, what: str, key: bytes = b"labels") -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 (n, 3, 32, 32) and labels int64 (n,) of one batch file; UserError for another file."""
    batch = _plain(raw, md5, what)
    try:
        x, y = batch[b"data"].reshape(-1, 3, 32, 32), np.array(batch[key], np.int64)
        if len(x) != len(y):
            raise ValueError(f"{len(x)} pictures and {len(y)} labels")
        return x, y
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise UserError(f"{what} is no CIFAR batch ({e}); fetch it again") from e


def _plain(raw: bytes, md5: str, what: str) -> Any:
    if hashlib.md5(raw).hexdigest() != md5:
        raise UserError(f"{what} is not the official file (its md5 differs); fetch it again")
    try:
        return _Arrays(io.BytesIO(raw), encoding="bytes").load()
    except (pickle.UnpicklingError, KeyError, TypeError, ValueError, AttributeError, EOFError, IndexError) as e:
        raise UserError(f"{what} is no CIFAR batch ({e}); fetch it again") from e


@dataclass(frozen=True)
class Batches:
    """What one version of a set is made of."""

    folder: str
    """its name when unpacked"""
    archive: str
    """the name of the official archive, without `.tar.gz`"""
    remote: Remote | None
    train: tuple[str, ...]
    test: str
    sums: Mapping[str, str]
    """md5 of each pickle; empty for the binary version"""
    names: str
    """the file with the names of the classes"""
    key: bytes = b"labels"
    """of a pickle, where the labels are"""
    labels: int = 1
    """of the binary version, bytes before the pixels, of which the last is taken"""

    @property
    def members(self) -> tuple[str, ...]:
        """Names of all files, the test file last."""
        return (*self.train, self.test)

    def read(self, raw: bytes, member: str, what: str) -> tuple[np.ndarray, np.ndarray]:
        """Pictures and labels of one file."""
        if self.sums:
            return unpickle(raw, self.sums[member], what, self.key)
        row = self.labels + PIXELS
        if not raw or len(raw) % row:
            raise UserError(f"{what} has {len(raw):,} bytes, not a multiple of {row:,}; fetch it again")
        a = np.frombuffer(raw, np.uint8).reshape(-1, row)
        return a[:, self.labels :].reshape(-1, 3, 32, 32), a[:, self.labels - 1].astype(np.int64)

    def files(self, place: Path) -> list[Path]:
        """The unpacked folder, the official archive or parts of one at a place; empty where it has none."""
        if not place.is_dir():
            return [place] if place.name.startswith((f"{self.archive}.tar", f"{self.folder}.")) else []
        if all((place / m).is_file() for m in self.members):
            return [place]
        if (place / self.folder).is_dir():
            return [place / self.folder]
        for suffix in (".tar.gz", ".tar"):
            if (place / f"{self.archive}{suffix}").is_file():
                return [place / f"{self.archive}{suffix}"]
        return [place / n for n in names_in(place) if n.startswith(self.folder) and n.endswith(".tar.xz")]

    def contents(self, files: list[Path]) -> Iterator[tuple[str, bytes]]:
        """Name and bytes of every member found."""
        wanted = {*self.members, self.names}
        for path in files:
            if path.is_dir():
                for m in wanted:
                    if (path / m).is_file() and (path / m).stat().st_size <= LIMIT:
                        yield m, (path / m).read_bytes()
                continue
            try:
                with tarfile.open(path, "r|*") as t:
                    for member in t:
                        name = PurePosixPath(member.name).name
                        if name in wanted and member.isreg() and member.size <= LIMIT:
                            f = t.extractfile(member)
                            yield name, f.read() if f else b""
            except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, OSError) as e:
                raise UserError(f"{path} is a damaged or cut-off tar ({e}); fetch it again") from e


@dataclass(frozen=True)
class Cifar(Source):
    """One of the two sets, in any of its versions, from a collection, a path, or fetched."""

    sets_aside: ClassVar[bool] = True
    title: str
    versions: tuple[Batches, ...]
    """the first is fetched where none is here"""
    classes: tuple[str, ...] = ()
    """names of the classes; empty where they are in a file of the set"""
    many: int = 10
    root: Path | None = None

    @property
    def folder(self) -> str:
        """Its name, and that of its folder in a collection."""
        return self.title.lower().replace("-", "")

    @property
    def summary(self) -> str:
        return f"{self.title}: 50,000 + 10,000 colour pictures of 32 x 32 in {self.many} classes"

    @property
    def card(self) -> Mapping[str, Any]:
        return {
            "title": self.title,
            "licence": "none stated; the authors ask that the report be cited",
            "citation": "Krizhevsky: Learning Multiple Layers of Features from Tiny Images. Univ. of Toronto, 2009",
        }

    @classmethod
    def at(cls, path: Path) -> Source | None:
        return next((replace(s, root=path) for s in KNOWN for v in s.versions if v.files(path)), None)

    def here(self) -> tuple[Batches, list[Path]] | None:
        """The version and where it is; None if nowhere."""
        places = [self.root] if self.root is not None else [p / self.folder for p in collections()]
        return next(((v, files) for p in places for v in self.versions if (files := v.files(p))), None)

    def state(self) -> str:
        return "ready" if self.here() else "will be fetched"

    def load(self, name: str, split: Split, how: Preparation) -> Data:
        version, files = self.here() or self._fetched()

        def make(folder: Path) -> None:
            for f in files:
                check_trusted(f)
            raw = dict(version.contents(files))
            found = {m: version.read(raw[m], m, f"{m} in {files[0].parent}") for m in version.members if m in raw}
            if missing := sorted(set(version.members) - set(raw)):
                raise UserError(f"{', '.join(map(str, files))} lacks {', '.join(missing)}; fetch the set again")
            x = torch.from_numpy(np.concatenate([found[m][0] for m in version.members]))
            y = torch.from_numpy(np.concatenate([found[m][1] for m in version.members]))
            if int(y.max()) >= self.many:
                raise UserError(f"{files[0]} has the label {int(y.max())}, but there are {self.many}; fetch it again")
            tests = len(found[version.test][0])
            prepared.write_images(folder, x, labels=y, sides=torch.arange(len(x)) >= len(x) - tests)
            about = {**self.card, "name": self.folder, "source": ", ".join(map(str, files)), "count": len(x)}
            about |= {"classes": self._names(version, raw.get(version.names)), "fingerprint": digest(x, y)}
            prepared.write_json(folder / "about.json", about)

        key = digest(self.folder, *(stamp(f)[0] for f in files))
        data = prepared.Prepared(prepared.build(self.folder, key, make)).load(self.folder, split, how.holdout)
        x = recast(data.x, how, name, data.fingerprint)
        mark = digest(data.fingerprint, how.identity())
        about = {**data.about, "preparation": how.plain()}
        return Data(name, x, split, data.labels, fingerprint=mark, classes=data.classes, about=about)

    def _fetched(self) -> tuple[Batches, list[Path]]:
        first = self.versions[0]
        assert first.remote is not None
        return first, first.files(fetch(self.folder, (first.remote,)))

    def _names(self, version: Batches, raw: bytes | None) -> tuple[str, ...]:
        """Names of the classes: known, or from the set's own file, else numbers."""
        names: list[str] = list(self.classes)
        if not names and raw is not None and not version.sums:
            names = raw.decode("utf-8", "replace").split()
        elif not names and raw is not None:
            found = _plain(raw, version.sums[version.names], version.names)
            names = [n.decode("utf-8", "replace") for n in found.get(b"fine_label_names", ()) if isinstance(n, bytes)]
        return tuple(names) if len(names) == self.many else tuple(map(str, range(self.many)))


PYTHON_10 = Batches(
    "cifar-10-batches-py",
    "cifar-10-python",
    Remote("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", "md5:c58f30108f718f92721af3b95e74349a"),
    tuple(f"data_batch_{i}" for i in range(1, 6)),
    "test_batch",
    {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
    "batches.meta",
)
BINARY_10 = Batches(
    "cifar-10-batches-bin",
    "cifar-10-binary",
    None,
    tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
    "test_batch.bin",
    {},
    "batches.meta.txt",
)
PYTHON_100 = Batches(
    "cifar-100-python",
    "cifar-100-python",
    Remote("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz", "md5:eb9058c3a382ffc7106e4002c42a8d85"),
    ("train",),
    "test",
    {
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        "meta": "7973b15100ade9c7d40fb424638fde48",
    },
    "meta",
    key=b"fine_labels",
)
BINARY_100 = Batches(
    "cifar-100-binary", "cifar-100-binary", None, ("train.bin",), "test.bin", {}, "fine_label_names.txt", labels=2
)
CIFAR10 = Cifar(
    "CIFAR-10",
    (PYTHON_10, BINARY_10),
    ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)
CIFAR100 = Cifar("CIFAR-100", (PYTHON_100, BINARY_100), many=100)
KNOWN = (CIFAR10, CIFAR100)
SOURCES: dict[str, Source] = {"cifar10": CIFAR10, "cifar100": CIFAR100}
