"""Images side by side, and as animations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from triptych.core import to_bytes
from triptych.errors import UserError
from triptych.figures.canvas import open_picture, picture_format, save_picture
from triptych.figures.letters import font_of
from triptych.system.files import writing

GAP = 2
LETTERS = 13
"""Pixels of a label's height."""
SMALL = 64
"""An image narrower than this many pixels is enlarged by a whole factor."""


BROKEN = (255, 0, 255)
"""Colour of a pixel that is not a finite number."""


def grid(images: Tensor, path: str | Path, columns: int | None = None, labels: Sequence[str] = ()) -> Path:
    """Write public images (n, c, h, w) in [0, 1] as one PNG, row by row; returns its path.

    0 is black and 1 is white in every grid; values beyond are clipped, pixels that are not finite are magenta.
    Small images are enlarged by a whole factor so that they can be seen. `columns` defaults to about √n; `labels` stand
    left of the rows.
    """
    sheet = tile(images, columns)
    return save_picture(labelled(sheet, labels) if labels else sheet, path)


def letters(texts: Sequence[str]) -> ImageFont.FreeTypeFont:
    """The font of some labels."""
    return ImageFont.truetype(font_of(texts), LETTERS)


def labelled(sheet: Image.Image, labels: Sequence[str]) -> Image.Image:
    """A sheet with a label left of each of its rows, which are of one height."""
    font = letters(labels)
    margin = 2 * GAP + max(math.ceil(font.getlength(label)) for label in labels)
    wide = Image.new(sheet.mode, (margin + sheet.width, sheet.height), "white")
    wide.paste(sheet, (margin, 0))
    draw, height = ImageDraw.Draw(wide), (sheet.height + GAP) / len(labels)
    for row, label in enumerate(labels):
        draw.text((GAP, (row + 0.5) * height), label, fill="black", font=font, anchor="lm")
    return wide


def board(rows: Sequence[Sequence[Image.Image]], labels: Sequence[str], heads: Sequence[str]) -> Image.Image:
    """Rows of pictures with a label left of each row and a heading over each column, cells as large as the largest.

    A row may be shorter than `heads`; its last picture then stands in the last column.
    """
    font, gap = letters([*labels, *heads]), 4 * GAP
    lines = [line for label in labels for line in label.split("\n")]
    left, top = gap + max(math.ceil(font.getlength(line)) for line in lines) + gap, LETTERS + gap
    width, height = (max(picture.size[i] for row in rows for picture in row) for i in (0, 1))
    across, down = width + gap, height + gap
    sheet = Image.new("RGB", (left + len(heads) * across - gap, top + len(rows) * down - gap), "white")
    draw = ImageDraw.Draw(sheet)
    for column, head in enumerate(heads):
        draw.text((left + column * across + width / 2, top / 2), head, fill="black", font=font, anchor="mm")
    for down_to, (row, label) in enumerate(zip(rows, labels, strict=True)):
        y = top + down_to * down
        draw.multiline_text((gap, y + height / 2), label, fill="black", font=font, anchor="lm", spacing=gap)
        for i, picture in enumerate(row):
            column = i if i < len(row) - 1 else len(heads) - 1
            sheet.paste(picture, (left + column * across, y))
    return sheet


def tile(images: Tensor, columns: int | None = None) -> Image.Image:
    """The image that `grid` writes, of public images (n, c, h, w)."""
    if images.dim() != 4 or not len(images):
        raise ValueError(f"a grid needs images (n, c, h, w) with n ≥ 1, not {tuple(images.shape)}")
    pixels = picture_bytes(images)
    n, h, w, _ = pixels.shape
    across = min(n, columns or math.ceil(math.sqrt(n)))
    rows = math.ceil(n / across)
    scale = max(1, SMALL // w)
    pixels = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
    h, w = h * scale, w * scale
    sheet = np.full((rows * (h + GAP) - GAP, across * (w + GAP) - GAP, pixels.shape[3]), 255, np.uint8)
    for i, one in enumerate(pixels):
        top, left = (i // across) * (h + GAP), (i % across) * (w + GAP)
        sheet[top : top + h, left : left + w] = one
    return Image.fromarray(sheet[..., 0] if sheet.shape[2] == 1 else sheet)


def picture_bytes(images: Tensor) -> np.ndarray:
    """Public images (n, c, h, w) to uint8 (n, h, w, 1 or 3), non-finite pixels in magenta."""
    images = images.detach().float().cpu()
    if images.shape[1] not in (1, 3):
        images = images[:, :1]
    bad = ~images.isfinite()
    out = to_bytes(images.masked_fill(bad, 0.0)).permute(0, 2, 3, 1).numpy()
    if bad.any():
        out = out.repeat(3 // out.shape[3], axis=3)
        out[bad.any(dim=1).numpy()] = BROKEN
    return out


def animate(paths: Sequence[str | Path], out: str | Path, seconds: float = 0.25) -> Path:
    """Write image files of one size as frames of a looping GIF or WebP, `seconds` each, the last held for longer."""
    return loop([open_picture(p).convert("RGB") for p in paths], out, seconds, hold=1.5)


def loop(frames: Sequence[Image.Image], out: str | Path, seconds: float, hold: float = 0.0) -> Path:
    """`animate`, from images in memory; the last stays for at least `hold` seconds."""
    out = Path(out)
    if out.suffix.lower() not in (".gif", ".webp"):
        raise UserError(f"{out.name} is not an animation; give a name that ends in .gif or .webp")
    if not frames:
        raise UserError("an animation needs at least one image; there is none yet")
    if len({f.size for f in frames}) > 1:
        raise UserError("the images of an animation must have one size; these differ")
    times = [int(1000 * seconds)] * (len(frames) - 1) + [int(1000 * max(hold, seconds))]
    extra: dict[str, Any] = {"lossless": True} if out.suffix.lower() == ".webp" else {}
    out.parent.mkdir(parents=True, exist_ok=True)
    with writing(out) as file:
        frames[0].save(
            file,
            picture_format(out),
            save_all=True,
            append_images=list(frames[1:]),
            duration=times,
            loop=0,
            **extra,
        )
    return out


def pairs(x: Tensor, y: Tensor) -> Tensor:
    """x₀ y₀ x₁ y₁ …: two batches (n, c, h, w) interleaved, (2n, c, h, w)."""
    return torch.stack([x, y], dim=1).flatten(0, 1)
