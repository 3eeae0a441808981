"""What all figures share: colours, an empty canvas, and saving."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from triptych.errors import UserError
from triptych.system.files import read_bytes, writing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6E6E6E", "#000000")
"""Okabe and Ito 2008, ordered so that neighbours differ in lightness too; yellow is left out (too faint on white)."""
DPI = 120
DASHES = ("-", "--", "-.", ":")
FAINT = "#8C8C8C"


PIXEL_LIMIT = 64_000_000
"""Pixels of the largest image of a run that is opened: a grid of 8,000 × 8,000."""
FILE_LIMIT = 256 << 20
"""Bytes of its file."""
ENDINGS = (".png", ".webp")
"""Of the pictures in a run's folder."""
FILM = "animation.webp"
"""The samples of a run over training; a still picture where all are alike."""


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder of a run, by name: a run has them as PNG, one without weights as WebP, too.

    Animations, which lie beside them, are left out.
    """
    return sorted(file for end in ENDINGS for file in folder.glob(f"*{end}") if not animated(file))


def animated(file: Path) -> bool:
    """Whether a file is the film of a run, or another animated WebP, by the flag in its header."""
    if file.name == FILM:
        return True
    if file.suffix != ".webp":
        return False
    try:
        head = read_bytes(file, FILE_LIMIT, first=21)
    except (OSError, UserError):
        return False
    return len(head) == 21 and head[12:16] == b"VP8X" and bool(head[20] & 2)


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of its own, outside pyplot: no window, no global state, safe in threads."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def rendered(figure: Figure) -> Image.Image:
    """The figure as a picture, pixel for pixel what `_save` writes as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.frombytes("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba()))


def _save(figure: Figure, path: str | Path) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as file:
        figure.savefig(file, dpi=DPI, format=path.suffix[1:] or "png")
    return path


def save_picture(image: Image.Image, path: str | Path, **how: Any) -> Path:
    """Write an image in the format that the name asks for, whole or not at all; returns its path."""
    path = Path(path)
    kind = picture_format(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as file:
        image.save(file, kind, **how)
    return path


def open_picture(path: str | Path, formats: tuple[str, ...] = ("PNG", "WEBP")) -> Image.Image:
    """Read an image file of a run folder whole; it may have been replaced by a stranger.

    Only `formats` are tried, whatever the name says, from an ordinary file of at most `FILE_LIMIT` bytes, and nothing
    is decoded whose header claims more than `PIXEL_LIMIT` pixels. UserError where it is no such image.
    """
    path = Path(path)
    try:
        raw = read_bytes(path, FILE_LIMIT)
    except OSError as e:
        raise UserError(f"{path} cannot be read ({e.strerror}); remove it or make it readable") from e
    return picture_of(raw, path, formats)


def picture_of(raw: bytes, path: Path, formats: tuple[str, ...] = ("PNG", "WEBP")) -> Image.Image:
    """`open_picture`, from bytes at hand."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is looked at below
            picture = Image.open(io.BytesIO(raw), formats=formats)
        with picture:
            width, height = picture.size
            if width * height <= PIXEL_LIMIT:
                picture.load()
                return picture
    except Image.DecompressionBombError as e:
        raise UserError(f"{path} has over {PIXEL_LIMIT:,} pixels; remove it") from e
    except (OSError, SyntaxError, ValueError, LookupError, TypeError, struct.error) as e:
        kinds = " or ".join(formats)
        raise UserError(f"{path} is not a whole {kinds} image ({type(e).__name__}); remove it") from e
    raise UserError(f"{path} has {width} x {height} pixels, and at most {PIXEL_LIMIT:,} are read; remove it")


def picture_format(path: Path) -> str:
    """What the name asks for: PNG, WEBP, …; UserError where it has no ending of an image."""
    known = Image.registered_extensions().get(path.suffix.lower())
    if known is None:
        raise UserError(f"{path.name} is not an image; give a name that ends in .png")
    return known
