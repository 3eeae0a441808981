"""CIFAR-10 from its python batches: checksums first, then an unpickler that can build nothing but arrays."""

from __future__ import annotations

import hashlib
import io
import lzma
import pickle
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from triptych.core import Data, Split
from triptych.data import cache
from triptych.data.arrays import recast
from triptych.data.download import Remote, fetch
from triptych.data.listing import stamp
from triptych.data.source import Source, digest
from triptych.errors import UserError
from triptych.preparation import Preparation

FOLDER = "cifar-10-batches-py"
MEMBERS = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCH = 10_000
LIMIT = 64 << 20  # bytes of one batch file; they have 31 million
OFFICIAL = Remote("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", "md5:c58f30108f718f92721af3b95e74349a")
RECONSTRUCT: Any = np.empty(0).__reduce__()[0]  # the function behind pickled arrays, wherever this numpy keeps it


class _Arrays(pickle.Unpickler):
    """Loads numpy arrays in plain containers; any other class or function in the file is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy.core.multiarray", "_reconstruct"):
            return RECONSTRUCT
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"it wants {module}.{name}")


def unpickle(raw: bytes, md5: str, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 (n, 3, 32, 32) and labels int64 (n,) of one batch file; UserError for another file."""
    if hashlib.md5(raw).hexdigest() != md5:
        raise UserError(f"{what} is not the official file (its md5 differs); fetch it again")
    try:
        batch = _Arrays(io.BytesIO(raw), encoding="bytes").load()
        x, y = batch[b"data"], batch[b"labels"]
        return x.reshape(BATCH, 3, 32, 32), np.array(y, np.int64)
    except (pickle.UnpicklingError, KeyError, TypeError, ValueError, AttributeError, EOFError, IndexError) as e:
        raise UserError(f"{what} is no CIFAR-10 batch ({e}); fetch it again") from e


def _files(place: Path) -> list[Path]:
    """The unpacked folder, the official archive or the two halves at a place; empty where it has none."""
    if place.is_dir():
        if all((place / m).is_file() for m in MEMBERS):
            return [place]
        if (place / FOLDER).is_dir():
            return [place / FOLDER]
        if (place / OFFICIAL.file).is_file():
            return [place / OFFICIAL.file]
        return sorted(place.glob(f"{FOLDER}*.tar.xz"))
    return [place] if place.name.startswith(("cifar-10-python.tar", FOLDER)) else []


def _members(files: list[Path]) -> Iterator[tuple[str, bytes]]:
    for path in files:
        if path.is_dir():
            yield from ((m, (path / m).read_bytes()) for m in MEMBERS if (path / m).is_file())
            continue
        try:
            with tarfile.open(path, "r|*") as t:
                for member in t:
                    name = PurePosixPath(member.name).name
                    if name in MEMBERS and member.isreg() and member.size <= LIMIT:
                        f = t.extractfile(member)
                        yield name, f.read() if f else b""
        except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, OSError) as e:
            raise UserError(f"{path} is a damaged or cut-off tar ({e}); fetch it again") from e


@dataclass(frozen=True)
class Cifar(Source):
    """The six python batches, from a collection, a path, or fetched."""

    root: Path | None = None

    @property
    def summary(self) -> str:
        return "CIFAR-10: 50,000 + 10,000 colour pictures of 32 x 32 in 10 classes"

    @property
    def card(self) -> Mapping[str, Any]:
        return {
            "title": "CIFAR-10",
            "licence": "none stated; the authors ask that the report be cited",
            "citation": "Krizhevsky: Learning Multiple Layers of Features from Tiny Images. Univ. of Toronto, 2009",
        }

    @classmethod
    def at(cls, path: Path) -> Source | None:
        return Cifar(path) if _files(path) else None

    def here(self) -> list[Path]:
        """Where the batches are; empty if nowhere."""
        if self.root is not None:
            return _files(self.root)
        return next((f for place in cache.collections() if (f := _files(place / "cifar10"))), [])

    def state(self) -> str:
        return "ready" if self.here() else "will be fetched"

    def load(self, name: str, split: Split, how: Preparation) -> Data:
        files = self.here() or _files(fetch("cifar10", (OFFICIAL,)))

        def make(folder: Path) -> None:
            found = {m: unpickle(raw, MEMBERS[m], f"{m} in {files[0].parent}") for m, raw in _members(files)}
            if missing := sorted(set(MEMBERS) - set(found)):
                raise UserError(f"{', '.join(map(str, files))} lacks {', '.join(missing)}; fetch the set again")
            x = torch.from_numpy(np.concatenate([found[m][0] for m in MEMBERS]))
            y = torch.from_numpy(np.concatenate([found[m][1] for m in MEMBERS]))
            cache.write_images(folder, x, labels=y, sides=torch.arange(len(x)) >= 5 * BATCH)
            about = {**self.card, "name": "cifar10", "source": ", ".join(map(str, files)), "count": len(x)}
            cache.write_json(folder / "about.json", {**about, "classes": CLASSES, "fingerprint": digest(x, y)})

        key = digest("cifar10", *(stamp(f)[0] for f in files))
        data = cache.Prepared(cache.build("cifar10", key, make)).load("cifar10", split, how.holdout)
        x = recast(data.x, how, name, data.fingerprint)
        mark = digest(data.fingerprint, how.identity())
        about = {**data.about, "preparation": how.plain()}
        return Data(name, x, split, data.labels, fingerprint=mark, classes=CLASSES, about=about)


SOURCES: dict[str, Source] = {"cifar10": Cifar()}
