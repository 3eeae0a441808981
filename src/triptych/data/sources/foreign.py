"""What a file is by its first bytes, where its name says something else."""

from __future__ import annotations

from pathlib import Path

HEAD = 64  # bytes that are looked at
MARKS: tuple[tuple[bytes, str], ...] = (
    (b"\x93NUMPY", "npy"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"version https://git-lfs", "lfs"),
    (b"<!doctype html", "html"),
    (b"<html", "html"),
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ", "xz"),
    (b"BZh", "bzip2"),
    (b"\x89HDF", "hdf5"),
    (b"MATLAB ", "matlab"),
    (b"PAR1", "parquet"),
    (b"%PDF", "pdf"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"\x80\x02", "pickle"),
    (b"\x80\x03", "pickle"),
    (b"\x80\x04", "pickle"),
    (b"\x80\x05", "pickle"),
)
ADVICE = {
    "lfs": "is a pointer of Git LFS, not the file itself; run `git lfs pull` where it lies",
    "html": "is a web page, not the file it is named after; fetch it again",
    "gzip": "is compressed with gzip; unpack it first",
    "xz": "is compressed with xz; unpack it first",
    "bzip2": "is compressed with bzip2; unpack it first",
    "hdf5": "is an HDF5 file; save its array with numpy as .npy or .npz",
    "matlab": "is a MATLAB file; save its array with numpy as .npy or .npz",
    "pdf": "is a PDF document; give a table or an array",
    "utf-16": "is text in UTF-16; save it as UTF-8",
    "pickle": "is a Python pickle, which is never opened; save its array with numpy as .npy or .npz",
    "empty": "is empty; fetch or write it again",
}
"""What to say of a file that holds no array."""


def kind(path: Path) -> str:
    """`npy`, `zip`, a key of `ADVICE`, or nothing where the first bytes are no known mark."""
    with path.open("rb") as f:
        head = f.read(HEAD)
    if not head.strip():
        return "empty"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for mark, name in MARKS:
        if head.startswith(mark) or start.startswith(mark):
            return name
    return ""
