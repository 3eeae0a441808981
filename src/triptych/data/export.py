"""Prepared pictures as files again."""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

from triptych.core import Data
from triptych.data.prepare.layouts import safe_names
from triptych.errors import UserError
from triptych.system.files import sync_folder, system_errors


def export(parts: dict[str, Data], folder: Path) -> int:
    """Pictures as PNG files, one folder per split (where there are two) and class; returns their number.

    Read back as a folder, they are the same set.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is no empty folder; give a new one")
    for data in parts.values():
        if not data.is_images:
            raise UserError(f"{data.name} holds vectors, not pictures; only pictures are exported")
    folder = folder.resolve()
    beside = folder.with_name(f".{folder.name}.partial")
    with system_errors(folder, "give another folder to --export"):
        if beside.is_symlink():
            beside.unlink()
        shutil.rmtree(beside, ignore_errors=True)  # what a kill left
        try:
            count = _write(parts, beside)
            if folder.exists():
                folder.rmdir()  # it is empty
            beside.rename(folder)
            sync_folder(folder.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return count


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
