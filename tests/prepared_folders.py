"""Folders of small pictures, and archives of them."""

import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from triptych import data
from triptych.data.prepare.prepared import read_index


def save(path: Path, seed: int, size: tuple[int, int] = (20, 16), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    a = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(a).convert(mode).save(path)
    return path


@pytest.fixture(name="folder")
def pets(tmp_path: Path) -> Path:
    """Two classes of five."""
    for i in range(10):
        save(tmp_path / "pets" / ("cat" if i < 5 else "dog") / f"{i}.png", i, mode="L" if i == 3 else "RGB")
    return tmp_path / "pets"


def as_zip(folder: Path, to: Path) -> Path:
    with zipfile.ZipFile(to, "w") as z:
        for p in sorted(folder.rglob("*")):
            z.write(p, p.relative_to(folder.parent))
    return to


def as_tar(folder: Path, to: Path, mode: str = "w") -> Path:
    with tarfile.open(to, mode) as t:  # type: ignore[call-overload]
        t.add(folder, folder.name)
    return to


def index(d: data.Data) -> dict:
    sources, skipped = read_index(Path(d.about["folder"]))
    return {"sources": sources, "skipped": skipped}
