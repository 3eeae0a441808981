"""What a file is that is no picture, known by its first bytes, and what to do about each reason.

A reason is written `kind`, or `kind: detail`; reasons are counted by kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping


class Unusable(Exception):
    """Why one file makes no picture."""


HEIC = "HEIC"
UNPACK = "unpack it, and give the folder"
CAMERA = "a raw camera file"
PREVIEW = "its first page is a preview"
RANGE = "values without a stated range"
ADVICE = {
    HEIC: "convert it, or install the extra: pip install 'triptych[heif]'",
    "a Git LFS pointer": "run git lfs pull",
    "an HTML page": "download it again; the server sent a page instead of the file",
    "an XML or JSON text": "download it again, if it should be a picture",
    "empty file": "copy or download it again",
    "only zeros": "copy or download it again; the copy was cut off or the disk is damaged",
    "DICOM": "export it as PNG or TIFF, and give --range for its values",
    "JPEG XL": "convert it to PNG or JPEG",
    "SVG": "draw it as PNG",
    "Photoshop": "export it as PNG or TIFF",
    "PDF or PostScript": "convert its pages to PNG",
    PREVIEW: "export the picture itself; raw camera files hold one",
    CAMERA: "develop it, and export it as TIFF or JPEG",
    "a video": "save its frames as pictures",
    "a zip archive": UNPACK,
    "a tar archive": UNPACK,
    "a compressed file": UNPACK,
    "a NumPy array": "give the .npy or .npz file itself",
    "an idx file": "give it by itself, or a folder of MNIST's four files",
    "an HDF5 or MATLAB file": "save its pictures as .npy",
    "a Parquet table": "save its pictures as files",
    "FITS, NIfTI or OpenEXR": "export it as PNG or TIFF, and give --range for its values",
    "QOI, DDS or Radiance": "convert it to PNG",
    "encrypted": "unpack it with its password, and give the folder",
    "compressed by a method that is not read": "unpack it with another program, and give the folder",
    RANGE: "give --range LOW HIGH, the values shown black and white",
    "too large": "make it smaller, or take it out",
}
"""What to do about a reason, by its kind."""

HTML = (b"<!doctype html", b"<html", b"<head", b"<body")
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
STARTS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"8BPS", "Photoshop"),
    (b"%PDF", "PDF or PostScript"),
    (b"%!PS", "PDF or PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PDF or PostScript"),
    (b"FUJIFILMCCD-RAW", CAMERA),
    (b"IIRO", CAMERA),
    (b"IIRS", CAMERA),
    (b"IIU\0", CAMERA),
    (b"FOVb", CAMERA),
    (b"\0MRM", CAMERA),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"FLV", "a video"),
    (b"PK\3\4", "a zip archive"),
    (b"PK\5\6", "a zip archive"),
    (b"\x1f\x8b", "a compressed file"),
    (b"BZh", "a compressed file"),
    (b"\xfd7zXZ\0", "a compressed file"),
    (b"(\xb5/\xfd", "a compressed file"),
    (b"7z\xbc\xaf\x27\x1c", "a compressed file"),
    (b"Rar!", "a compressed file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\0\0\x08\x01", "an idx file"),
    (b"\0\0\x08\x03", "an idx file"),
    (b"\x89HDF\r\n", "an HDF5 or MATLAB file"),
    (b"MATLAB 5.0", "an HDF5 or MATLAB file"),
    (b"PAR1", "a Parquet table"),
    (b"SIMPLE  =", "FITS, NIfTI or OpenEXR"),
    (b"v/1\x01", "FITS, NIfTI or OpenEXR"),
    (b"qoif", "QOI, DDS or Radiance"),
    (b"DDS ", "QOI, DDS or Radiance"),
    (b"#?RADIANCE", "QOI, DDS or Radiance"),
)
PICTURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\1\0", "ICO"),
)


def kind(data: bytes) -> str:
    """What these bytes are, none of which was read as a picture; `not a picture` where nobody knows."""
    if data.count(0) == len(data):
        return "only zeros" if data else "empty file"
    if data[4:8] == b"ftyp":
        return boxed(data[8:12], data[8:64])
    if data[128:132] == b"DICM":
        return "DICOM"
    if data[257:262] == b"ustar":
        return "a tar archive"
    if data[344:347] in (b"n+1", b"ni1"):
        return "FITS, NIfTI or OpenEXR"
    if data[:4] == b"RIFF" and data[8:12] != b"WEBP":
        return "a video" if data[8:12] == b"AVI " else "not a picture"
    for start, found in STARTS:
        if data.startswith(start):
            return found
    for start, name in (*PICTURES, *(((b"RIFF", "WebP"),) if data[8:12] == b"WEBP" else ())):
        if data.startswith(start):
            return f"damaged: not readable as {name}"
    return text(data[:2048])


def boxed(brand: bytes, brands: bytes) -> str:
    """The kind of a file made of boxes, as HEIC, AVIF, MP4 and CR3 are, by its brand and those it agrees with."""
    if b"avif" in (brand, brands[8:12]) or brand == b"avis":
        return "damaged: not readable as AVIF"
    if brand in HEIC_BRANDS:
        return HEIC
    return CAMERA if brand == b"crx " else "a video"


def text(data: bytes) -> str:
    """The kind of a text, if it is one that people find in place of their pictures."""
    start = data.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if b"<svg" in start and start.startswith(b"<"):
        return "SVG"
    if start.startswith(HTML) or (start.startswith(b"<!--") and any(tag in start for tag in HTML)):
        return "an HTML page"
    if start.startswith((b"<?xml", b'{"', b"[{")):
        html = any(tag in start for tag in HTML)
        return "an HTML page" if html else "an XML or JSON text"
    return "not a picture"


def why(kind: str) -> str:
    """A reason for the index: the kind, with what to do about it where that is known."""
    return f"{kind}: {ADVICE[kind]}" if kind in ADVICE else kind


def counted(reasons: Mapping[str, int] | Counter[str]) -> Counter[str]:
    """The same by kind."""
    total: Counter[str] = Counter()
    for reason, n in reasons.items():
        total[reason.partition(":")[0]] += n
    return total


def advice(reasons: Mapping[str, int]) -> str:
    """The commonest reason of these, by count, and what to do about it: what follows the `;` of an error's line.

    `reasons` are reasons, or kinds of them, with how often each occurred.
    """
    if not (kinds := counted(reasons)):
        return "check what it is"
    (first, n), total = kinds.most_common(1)[0], kinds.total()
    many = f"{n:,} of {total:,} were" if n < total else f"all {n:,} were" if n > 1 else "it was"
    return f"{many} left aside as {first!r}: {ADVICE.get(first, 'check what it is')}"
