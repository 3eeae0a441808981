"""Pictures of what models make: grids of images, 2-D samples over their data, curves over images shown.

Everything is drawn on a fixed scale (no stretching per picture), in the colour-blind safe palette of Okabe and
Ito, and touches no random state. matplotlib is imported when a figure is drawn, not before.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from triptych.core import Data, Density, Model, to_bytes
from triptych.errors import UserError
from triptych.intervals import student
from triptych.system.files import read_bytes, writing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6E6E6E", "#000000")
"""Okabe and Ito 2008, ordered so that neighbours differ in lightness too; yellow is left out (too faint on white)."""
DASHES = ("-", "--", "-.", ":")
FAINT = "#8C8C8C"
GAP = 2
SMALL = 64
"""A picture narrower than this many pixels is enlarged by a whole factor."""
PIXEL_LIMIT = 64_000_000
"""Pixels of the largest picture of a run that is opened: a grid of 8,000 × 8,000."""
FILE_LIMIT = 256 << 20
"""Bytes of its file."""
BROKEN = (255, 0, 255)
"""Colour of a pixel that is not a finite number."""


# ---------------------------------------------------------------------------------------------- grids


def grid(images: Tensor, path: str | Path, columns: int | None = None) -> Path:
    """Write public images (n, c, h, w) in [0, 1] as one PNG, row by row; returns its path.

    0 is black and 1 is white in every grid; values beyond are clipped, pixels that are not finite are magenta.
    Small pictures are enlarged by a whole factor so that they can be seen. `columns` defaults to about √n.
    """
    return save_picture(tile(images, columns), path)


def tile(images: Tensor, columns: int | None = None) -> Image.Image:
    """The picture that `grid` writes."""
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
    """Write pictures of one size as frames of a looping GIF or WebP, `seconds` each, the last held for longer."""
    return loop([open_picture(p).convert("RGB") for p in paths], out, seconds, hold=1.5)


def loop(frames: Sequence[Image.Image], out: str | Path, seconds: float, hold: float = 0.0) -> Path:
    """`animate`, from pictures at hand; the last stays for at least `hold` seconds."""
    out = Path(out)
    if out.suffix.lower() not in (".gif", ".webp"):
        raise UserError(f"{out.name} is not an animation; give a name that ends in .gif or .webp")
    if not frames:
        raise UserError("an animation needs at least one picture; there is none yet")
    if len({f.size for f in frames}) > 1:
        raise UserError("the pictures of an animation must have one size; these differ")
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


# ----------------------------------------------------------------------------------------------- plane


def plane(samples: Tensor, data: Data | Tensor, path: str | Path, model: Model | None = None) -> Path:
    """Draw 2-D samples (n, 2) over data (m, 2), with contours of what the model believes; returns the path.

    Contours are the exact log density where the model is a `Density`, else the score of its player `critic`
    where it has one. The view is fixed by the data, so that panels of one data set can be compared; samples
    beyond it are counted in a corner.
    """
    figure, axes = _canvas(4.2, 4.2)
    draw_plane(axes, samples, data, model)
    return _save(figure, path)


def walks(lines: Tensor, data: Data | Tensor, path: str | Path) -> Path:
    """Draw walks (rows, steps, 2) through 2-D space as lines with a dot per step over data (m, 2); returns the path."""
    figure, axes = _canvas(4.2, 4.2)
    draw_plane(axes, torch.zeros(0, 2), data)
    for i, line in enumerate(lines.detach().float().cpu().numpy()):
        axes.plot(*line.T, "o-", color=PALETTE[i % len(PALETTE)], markersize=2.5, linewidth=0.9, alpha=0.85)
    return _save(figure, path)


def draw_plane(axes: Axes, samples: Tensor, data: Data | Tensor, model: Model | None = None) -> None:
    """`plane` on given axes."""
    points = (data.x if isinstance(data, Data) else data)[:2000].detach().float().cpu()
    samples = samples.detach().float().cpu()
    centre, half = view(points)
    if model is not None:
        _contours(axes, model, centre, half)
    size = 5 if len(samples) <= 1000 else 2.5
    axes.scatter(*points.T.numpy(), s=size, c=FAINT, alpha=0.45, linewidths=0, rasterized=True)
    axes.scatter(*samples.T.numpy(), s=size, c=PALETTE[1], alpha=0.7, linewidths=0, rasterized=True)
    axes.set_xlim(centre[0] - half, centre[0] + half)
    axes.set_ylim(centre[1] - half, centre[1] + half)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    outside = int((~((samples - torch.tensor(centre)).abs().amax(dim=1) <= half)).sum())
    if outside:
        axes.text(
            0.985, 0.015, f"{outside} of {len(samples)} outside", transform=axes.transAxes, ha="right", fontsize=8
        )


def view(points: Tensor) -> tuple[tuple[float, float], float]:
    """Centre and half width of the square shown around 2-D data: its extent and a quarter more."""
    low, high = points.amin(dim=0), points.amax(dim=0)
    centre = (low + high) / 2
    return (centre[0].item(), centre[1].item()), 1.25 * max(0.5 * (high - low).max().item(), 1e-6)


@torch.no_grad()
def _contours(axes: Axes, model: Model, centre: tuple[float, float], half: float, n: int = 96) -> None:
    line = torch.linspace(-half, half, n)
    y, x = torch.meshgrid(line + centre[1], line + centre[0], indexing="ij")
    spots = torch.stack([x.flatten(), y.flatten()], dim=1).to(model.device)
    if isinstance(model, Density):
        z = model.log_prob(spots)
        z = z.clamp_min(z[z.isfinite()].max().item() - 12) if z.isfinite().any() else z
    elif "critic" in model.players:
        z = model.players["critic"](spots).flatten()
    else:
        return
    height = z.float().cpu().view(n, n).nan_to_num(posinf=0.0, neginf=0.0).numpy()
    if np.ptp(height) <= 0:
        return
    x, y = x.numpy(), y.numpy()
    axes.contourf(x, y, height, levels=14, cmap="Blues", alpha=0.45, zorder=0)
    axes.contour(x, y, height, levels=14, colors=PALETTE[0], alpha=0.35, linewidths=0.5, zorder=0)


# ---------------------------------------------------------------------------------------------- curves

Curve = Sequence[tuple[float, float]]


def curves(series: Mapping[str, Sequence[Curve]], path: str | Path, *, ylabel: str) -> Path:
    """Draw curves of (images shown, y) points, one colour and dash per label; returns the path (PNG, SVG or PDF).

    A label has one curve per seed. With several, the mean is drawn over a band of its 95 % interval (Student's
    t), at the x that all seeds share; with one, the curve alone.
    """
    figure, axes = _canvas(6.0, 3.6)
    _draw_curves(axes, series, ylabel, "images shown")
    return _save(figure, path)


def panels(
    charts: Mapping[str, Mapping[str, Sequence[Curve]]], path: str | Path, *, xlabel: str, powers: Sequence[str] = ()
) -> Path:
    """Several charts of `curves` side by side, by their y label; a label keeps its colour in all of them.

    Those named in `powers` span powers of ten: their axis is logarithmic on both sides of 0, linear below 0.001.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(charts), 3.7), layout="constrained")
    FigureCanvasAgg(figure)
    order = list(dict.fromkeys(label for chart in charts.values() for label in chart))
    for i, (ylabel, series) in enumerate(charts.items()):
        axes = figure.add_subplot(1, len(charts), i + 1)
        _draw_curves(axes, series, ylabel, xlabel, order)
        if ylabel in powers:
            axes.set_yscale("symlog", linthresh=1e-3)
    return _save(figure, path)


def _draw_curves(
    axes: Axes, series: Mapping[str, Sequence[Curve]], ylabel: str, xlabel: str, order: Sequence[str] = ()
) -> None:
    for label, seeds in series.items():
        i = (order or list(series)).index(label)
        x, mean, reach = band(seeds)
        color, dash = PALETTE[i % len(PALETTE)], DASHES[(i // len(PALETTE)) % len(DASHES)]
        axes.plot(x, mean, label=label, linewidth=1.6, color=color, linestyle=dash)
        if np.isfinite(reach).any():
            axes.fill_between(x, mean - reach, mean + reach, color=color, alpha=0.18, linewidth=0)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    if len(series) > 1:
        axes.legend(frameon=False, fontsize=8)


def band(seeds: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, mean over seeds and half width of its 95 % interval, (k,) each; the half width is NaN with one seed.

    Only the x at which every seed has a finite value count.
    """
    tables = [{x: y for x, y in curve if math.isfinite(y)} for curve in seeds]
    shared = sorted(set.intersection(*(set(t) for t in tables))) if tables else []
    values = np.array([[t[x] for x in shared] for t in tables], float).reshape(len(tables), len(shared))
    if not len(shared):
        return np.zeros(0), np.zeros(0), np.zeros(0)
    mean = values.mean(axis=0)
    if len(tables) < 2:
        return np.array(shared, float), mean, np.full(len(shared), np.nan)
    se = values.std(axis=0, ddof=1) / math.sqrt(len(tables))
    return np.array(shared, float), mean, student(len(tables) - 1) * se


# ----------------------------------------------------------------------------------------------- canvas


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of its own, outside pyplot: no window, no global state, safe in threads."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _save(figure: Figure, path: str | Path) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as file:
        figure.savefig(file, dpi=120, format=path.suffix[1:] or "png")
    return path


# ------------------------------------------------------------------------------------------ files


def save_picture(image: Image.Image, path: str | Path, **how: Any) -> Path:
    """Write a picture in the format that the name asks for, whole or not at all; returns its path."""
    path = Path(path)
    kind = picture_format(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as file:
        image.save(file, kind, **how)
    return path


def open_picture(path: str | Path, formats: tuple[str, ...] = ("PNG", "WEBP")) -> Image.Image:
    """A picture that some process of ours wrote, read whole; it may be a stranger's by now.

    Only `formats` are tried, whatever the name says, from an ordinary file of at most `FILE_LIMIT` bytes, and nothing
    is decoded whose header claims more than `PIXEL_LIMIT` pixels. UserError where it is no such picture.
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
        raise UserError(f"{path} is not a whole {kinds} picture ({type(e).__name__}); remove it") from e
    raise UserError(f"{path} has {width} x {height} pixels, and at most {PIXEL_LIMIT:,} are read; remove it")


def picture_format(path: Path) -> str:
    """What the name asks for: PNG, WEBP, …; UserError where it has no ending of a picture."""
    known = Image.registered_extensions().get(path.suffix.lower())
    if known is None:
        raise UserError(f"{path.name} is not a picture; give a name that ends in .png")
    return known
