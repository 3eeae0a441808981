"""A run as a notebook shows it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from triptych.core.statistics import duration, format_number
from triptych.figures.canvas import open_picture, pictures_in
from triptych.run import schema
from triptych.system import files
from triptych.system.console import printable

MOST = 8
"""Numbers shown."""


def importance(told: Mapping[str, Any]) -> tuple[bool, int]:
    """Of a number, to sort by: first what compares models of every family, then by rank.

    That is no likelihood, and no distance of pixels, which sees no shapes.
    """
    common = told.get("axis") != "likelihood" and not str(told.get("extractor") or "").startswith("pixels")
    return not common, told.get("rank", 50)


def newest(folder: Path) -> bytes | None:
    """The newest picture of samples, as a PNG file's bytes; None where there is none."""
    sheets = [] if (folder / "samples").is_symlink() else pictures_in(folder / "samples")
    if not sheets or sheets[-1].is_symlink():
        return None
    if sheets[-1].suffix == ".png":
        return files.read_bytes(sheets[-1])
    made = io.BytesIO()
    open_picture(sheets[-1]).save(made, "PNG")
    return made.getvalue()


def html(folder: Path, status: Mapping[str, Any]) -> str:
    """State, numbers and the newest samples; nothing of the folder's text is markup."""
    seconds = status.get("seconds")
    took = f" in {duration(seconds)}" if isinstance(seconds, int | float) else ""
    parts = [f"<p><b>{text(folder.name)}</b>: {text(status['state'])}, {status['images']:,} images{took}</p>"]
    found = schema.read_evaluation(folder) if (folder / "eval.json").exists() else {}
    known = {k: v for k, v in found.items() if v.get("value") is not None}
    if known:
        rows = "".join(
            f"<tr><td>{text(str(v.get('title') or k))}</td><td>{format_number(v['value'])}</td>"
            f"<td>{'' if v.get('floor') is None else format_number(v['floor'])}</td></tr>"
            for k, v in sorted(known.items(), key=lambda told: importance(told[1]))[:MOST]
        )
        parts.append(f"<table><tr><th>metric</th><th>value</th><th>floor</th></tr>{rows}</table>")
    if (picture := newest(folder)) is not None:
        data = base64.b64encode(picture).decode()
        parts.append(f'<img alt="samples" style="max-width: 32em" src="data:image/png;base64,{data}">')
    return "".join(parts)


def text(value: str) -> str:
    return escape(printable(value))
