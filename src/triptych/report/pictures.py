"""The pictures of run folders on the report's page: as data, checked, and no larger than the page needs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from triptych.errors import UserError
from triptych.figures.canvas import open_picture, pictures_in
from triptych.figures.tiles import GAP, SMALL
from triptych.report.entries import Entry
from triptych.report.table import Table
from triptych.system import files

HEAVY = 100_000
"""A picture of more bytes is compressed again for the page."""
STRIP = 6
"""Moments of training shown in a strip."""
SHEETS = 12
"""Sheets of one kind of walk that are shown of a run."""
WIDEST = 4_096
"""Pixels of a side on the page; larger pictures are shrunk."""


def pictures(table: Table, omitted: list[str]) -> list[dict[str, Any]]:
    """Per label: the newest samples of every seed, and a strip over training of the first."""
    found = []
    for label in table.labels:
        shown = [(e, sheets) for e in table.of(label) if (sheets := sheets_of(e, "samples"))]
        newest = [
            (e, sheets, picture(sheets[-1], e, omitted, small=i > 0 or typed(e))) for i, (e, sheets) in enumerate(shown)
        ]
        newest = [(e, sheets, shot) for e, sheets, shot in newest if shot is not None]
        if not newest:
            continue
        first, sheets, shot = newest[0]
        again, cool, near = (sheets_of(first, kind) for kind in ("reconstructions", "cooled", "neighbours"))
        # a yardstick is fitted at once: it has no way to show
        along = [] if first.yardstick else spread(sheets, STRIP)
        strip = [(moment(f), picture(f, first, omitted, small=True)) for f in along]
        found.append(
            {
                "label": label,
                "first": shot,
                "seed": first.seed,
                "images": moment(sheets[-1]),
                "plane": len(first.env.get("shape", ())) == 1 and not typed(first),
                "classes": bool(first.env.get("classes")) and len(first.env.get("shape", ())) == 3,
                "columns": picture(sheets[-1], first, omitted) if typed(first) else None,
                "others": [(e.seed, shot) for e, _, shot in newest[1:]],
                "strip": [(at, epoch(first, at), shot) for at, shot in strip if at is not None and shot is not None],
                "reconstructions": picture(again[-1], first, omitted) if again else None,
                "cooled": picture(cool[-1], first, omitted) if cool else None,
                "neighbours": picture(near[0], first, omitted) if near else None,
            }
        )
    return found


def typed(entry: Entry) -> bool:
    """Whether the examples are rows of a typed table."""
    return bool((entry.env.get("data") or {}).get("columns"))


def real_picture(table: Table, omitted: list[str]) -> dict[str, Any] | None:
    """Real examples, as the first run that kept some drew them; None where none has."""
    for entry in table.entries:
        if sheets := sheets_of(entry, "real"):
            return picture(sheets[0], entry, omitted)
    return None


def sheets_of(entry: Entry, kind: str) -> list[Path]:
    """The pictures in one folder of a run, by name; none where the folder is a link to elsewhere."""
    folder = entry.path / kind
    return [] if folder.is_symlink() else pictures_in(folder)


def moment(file: Path) -> int | None:
    """The images shown at which samples were drawn, which is their file's name."""
    return int(file.stem) if file.stem.isascii() and file.stem.isdecimal() and len(file.stem) < 20 else None


def epoch(entry: Entry, images: int) -> str:
    """How often the training set was seen by then; empty where the run does not say how large it is."""
    examples = (entry.env.get("data") or {}).get("examples")
    return f"{images / examples:.3g}" if isinstance(examples, int) and examples else ""


def walks(table: Table, kind: str, omitted: list[str]) -> list[dict[str, Any]]:
    """The sheets that `interpolate` or `sweep` wrote into the first run of each label that has them."""
    found: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for label in table.labels:
        for entry in table.of(label):
            sheets = sheets_of(entry, kind)
            for file in sheets[:SHEETS]:
                if (shot := picture(file, entry, omitted)) is not None:
                    found.setdefault(file.stem, []).append((label, shot))
            if len(sheets) > SHEETS:
                omitted.append(f"{len(sheets) - SHEETS:,} more sheets in {entry.path / kind}")
            if sheets:
                break
    told = {
        "linear": (
            "straight lines between codes",
            "Each row is a linear interpolation between two codes.",
        ),
        "spherical": ("spherical interpolations", "Each row is a spherical interpolation between two codes."),
        "square": (
            "z[0] × z[1]",
            "z[0] grows from −1 to 1 down the rows, z[1] along the columns; all other numbers are held.",
        ),
        "sweep": (
            "one latent dimension at a time",
            "Each row moves one latent dimension from low to high, −2.5 to 2.5 as a rule, the others held.",
        ),
    }
    return [
        {"kind": kind, "title": told.get(stem, (stem, ""))[0], "about": told.get(stem, (stem, ""))[1], "sheets": sheets}
        for stem, sheets in found.items()
    ]


def spread(files: Sequence[Path], most: int) -> list[Path]:
    """At most `most` files, evenly spread, first and last among them."""
    if len(files) <= most:
        return list(files)
    return [files[round(i * (len(files) - 1) / (most - 1))] for i in range(most)]


def picture(file: Path, entry: Entry, omitted: list[str], *, small: bool = False) -> dict[str, Any] | None:
    """A picture as a data URI with its size; large ones as WebP, small ones cut to a corner or shrunk.

    None, and the reason in `omitted`, where there is no picture that may be shown.
    """
    try:
        if file.is_symlink():
            raise UserError(f"{file} is a link to elsewhere; put the picture itself there")
        opened = open_picture(file)
        raw = files.read_bytes(file)
    except (UserError, OSError) as e:
        omitted.append(str(e))
        return None
    size, kind = opened.size, str(opened.format).lower()
    if small or len(raw) > HEAVY or max(size) > WIDEST:
        image = opened if opened.mode == "RGB" else opened.convert("RGB")
        image = corner(image, entry) if small else image
        image.thumbnail((WIDEST, WIDEST))
        size, kind = image.size, "webp"
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=80 if small else 88, method=2)
        raw = buffer.getvalue()
    return {"uri": f"data:image/{kind};base64,{base64.b64encode(raw).decode()}", "width": size[0], "height": size[1]}


def corner(image: Image.Image, entry: Entry, side: int = 4) -> Image.Image:
    """The first `side` × `side` pictures of a grid; other figures at half size."""
    shape = entry.env.get("shape", [])
    if len(shape) != 3 or not all(shape):
        return image.resize((max(1, image.width // 2), max(1, image.height // 2)), Image.Resampling.LANCZOS)
    h, w = (side * max(1, SMALL // shape[2]) + GAP for side in shape[1:])
    return image.crop((0, 0, min(image.width, side * w - GAP), min(image.height, side * h - GAP)))
