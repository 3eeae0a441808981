"""Prepared pictures as files again."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from triptych.core import Data
from triptych.data.prepare.layouts import safe_names
from triptych.errors import UserError
from triptych.system.files import making_folder
from triptych.system.refusals import refuse_unwritable

ADVICE = "give another folder to --export"


def export(parts: dict[str, Data], folder: Path) -> int:
    """Pictures as PNG files, one folder per split (where there are two) and class; returns their number.

    Read back as a folder, they are the same set.
    """
    refuse(folder)
    for data in parts.values():
        if not data.is_images:
            raise UserError(f"{data.name} holds vectors, not pictures; only pictures are exported")
    with making_folder(folder.resolve(), ADVICE) as part:
        return _write(parts, part)


def refuse(folder: Path) -> None:
    """UserError, before anything is prepared, where `export` could not write there."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is no empty folder; {ADVICE}")
    refuse_unwritable(folder, ADVICE, folder=True)


def _write(parts: dict[str, Data], folder: Path) -> int:
    count = 0
    for split, data in parts.items():
        base = folder / split if len(parts) > 1 else folder
        names = safe_names(data.classes) if data.labels is not None else []
        for i, picture in enumerate(data.x):
            place = base / names[int(data.labels[i])] if data.labels is not None else base
            place.mkdir(parents=True, exist_ok=True)
            a = picture.numpy()
            Image.fromarray(a[0] if len(a) == 1 else a.transpose(1, 2, 0)).save(place / f"{i:06d}.png")
            count += 1
    return count
