"""MNIST's kind of files, made small: for tests that need a set of that name and not the real digits."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np

N = {"train": 40, "t10k": 20}


def idx(a: np.ndarray) -> bytes:
    """An array of bytes as an idx file."""
    return struct.pack(">I", 0x800 | a.ndim) + struct.pack(f">{a.ndim}I", *a.shape) + a.tobytes()


def digits(folder: Path, zipped: bool = True) -> Path:
    """The four files of MNIST with random pictures, in `folder`, which is made."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for stem, n in N.items():
        parts = {"images-idx3": rng.integers(0, 256, (n, 28, 28)), "labels-idx1": np.arange(n) % 10}
        for kind, a in parts.items():
            raw = idx(a.astype(np.uint8))
            path = folder / f"{stem}-{kind}-ubyte"
            if zipped:
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(raw, 1))
            else:
                path.write_bytes(raw)
    return folder
