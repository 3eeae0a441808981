"""Typed tables as a sheet: the marginal of each column, real and sampled, and the pairs that differ most."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from torch import Tensor

from triptych.core import Data
from triptych.core.columns import Column, Columns
from triptych.core.marginals import codes, contingency, edges, marginals, pairs
from triptych.figures.canvas import FAINT, PALETTE, rendered, save_picture
from triptych.figures.letters import lettered
from triptych.system.console import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 16
"""Columns whose marginals are drawn: the worst, in the table's order."""
PAIRS = 4
ACROSS = 4
TALL = 2.4
"""Inches of a row."""
BARS = 12
"""Categories of a column that have a bar, the commonest; the others share one."""
BINS = 30
LONG = 14
"""Characters of a category's name."""


def sheet(samples: Tensor, data: Data, path: str | Path) -> Path:
    """Draw marginals and pairs of samples (n, d) beside those of a typed table; returns the path."""
    return save_picture(sheet_image(samples, data), path)


def sheet_image(samples: Tensor, data: Data) -> Image.Image:
    """The picture that `sheet` writes. Titles have the distance of each marginal or pair, 0 to 1."""
    assert data.typed is not None
    names = [printable(text) for column in data.typed.all for text in (column.name, *column.values)]
    with lettered(names), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)  # it was said
        return rendered(_drawn(samples, data.x, data.typed))


def _drawn(samples: Tensor, x: Tensor, columns: Columns) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    real, fake = columns.decode(x), columns.decode(samples)
    alone, both = marginals(columns, real, fake), pairs(columns, real, fake)
    shown = [i for i, c in enumerate(columns.all) if c.name in sorted(alone, key=lambda k: -alone[k])[:SHOWN]]
    worst = sorted(both, key=lambda k: -both[k])[:PAIRS]
    rows = math.ceil(len(shown) / ACROSS)
    down = rows + math.ceil(len(worst) / 2)
    figure = Figure(figsize=(11, TALL * down))
    FigureCanvasAgg(figure)
    # room for labels in inches: a layout that measures every text takes as long as the drawing
    edge = 0.45 / (TALL * down)
    grid = figure.add_gridspec(
        down, ACROSS, left=0.06, right=0.99, bottom=edge, top=1 - edge / 2, wspace=0.28, hspace=0.42
    )
    for k, i in enumerate(shown):
        axes = figure.add_subplot(grid[k // ACROSS, k % ACROSS])
        _marginal(axes, columns.all[i], real[i], fake[i])
        axes.set_title(f"{_short(columns.names[i], 24)}  {alone[columns.names[i]]:.3f}", fontsize=8)
        if k == 0:
            axes.legend(frameon=False, fontsize=7)
    for k, (i, j) in enumerate(worst):
        spots = [grid[rows + k // 2, 2 * (k % 2) + side] for side in range(2)]
        _pair(figure, spots, columns, (i, j), real, fake, both[i, j])
    return figure


def _marginal(axes: Axes, column: Column, real: np.ndarray, fake: np.ndarray) -> None:
    """Bars of categories; steps of numbers over the range of the real ones, a fifth more each side."""
    if column.kind == "category":
        shares = [np.bincount(codes(column, real, v), minlength=column.choices) / len(v) for v in (real, fake)]
        names = [*column.values, *(["(missing)"] if column.missing else [])]
        order = list(np.argsort(-shares[0], kind="stable"))
        kept, others = order[:BARS], order[BARS:]
        at = np.arange(len(kept) + bool(others))
        for side, (share, label) in enumerate(zip(shares, ("real", "samples"), strict=True)):
            heights = [*share[kept], *([share[others].sum()] if others else [])]
            axes.bar(at + 0.4 * side - 0.2, heights, 0.4, color=(FAINT, PALETTE[1])[side], label=label)
        labels = [*(_short(names[i], LONG) for i in kept), *([f"{len(others)} others"] if others else [])]
        axes.set_xticks(
            at, labels, fontsize=6, rotation=0 if len(at) < 4 else 40, ha="center" if len(at) < 4 else "right"
        )
    else:
        a, b = (v[~np.isnan(v)] for v in (real, fake))
        low, high = np.quantile(a, (0.005, 0.995))
        margin = 0.2 * (high - low) or 1.0
        low, high = low - margin, high + margin
        n = BINS
        if column.step and (high - low) / column.step <= 2 * BINS:  # a bin for each value, or for each few
            n = max(1, round((high - low) / column.step))
            low = math.floor(low / column.step) * column.step - column.step / 2
            high = low + n * column.step
        bins = np.linspace(low, high, n + 1)
        for side, (v, whole, label) in enumerate(((a, real, "real"), (b, fake, "samples"))):
            share = np.histogram(v, bins)[0] / len(whole)
            axes.stairs(share, bins, fill=side == 0, color=(FAINT, PALETTE[1])[side], label=label, linewidth=1.2)
        ticks = np.linspace(low + margin / 2, high - margin / 2, 3)
        axes.set_xticks(ticks, [_label(column, t) for t in ticks], fontsize=6)
        if column.missing:
            gone = [f"{np.isnan(v).mean():.0%}" for v in (real, fake)]
            axes.text(
                0.98, 0.95, f"missing {gone[0]}, {gone[1]}", transform=axes.transAxes, ha="right", va="top", fontsize=6
            )
    axes.tick_params(axis="y", labelsize=6)
    axes.spines[["top", "right"]].set_visible(False)


def _label(column: Column, value: float) -> str:
    """Whole numbers and dates are rounded to one that there is."""
    if column.kind == "date":  # the time of day below the day
        return column.text(round(value)).replace(" ", "\n").replace("T", "\n")
    return column.text(round(value)) if column.decimals == 0 else f"{value:.3g}"


def _pair(
    figure: Figure,
    spots: list,
    columns: Columns,
    places: tuple[int, int],
    real: list[np.ndarray],
    fake: list[np.ndarray],
    distance: float,
) -> None:
    """The contingency tables of two columns, real and sampled, on one scale of shares."""
    two = [columns.all[i] for i in places]
    sides = [[codes(c, real[i], v[i]) for c, i in zip(two, places, strict=True)] for v in (real, fake)]
    shape = (int(max(s[0].max() for s in sides)) + 1, int(max(s[1].max() for s in sides)) + 1)
    tables = [contingency(a, b, shape) for a, b in sides]
    top = max(t.max() for t in tables)
    for spot, table, label in zip(spots, tables, ("real", "samples"), strict=True):
        axes = figure.add_subplot(spot)
        axes.imshow(table, cmap="Blues", vmin=0, vmax=top, aspect="auto", origin="lower")
        axes.set_xlabel(_short(two[1].name, 24), fontsize=7)
        axes.set_ylabel(_short(two[0].name, 24), fontsize=7)
        axes.set_title(f"{label}{f'  {distance:.3f}' if label == 'samples' else ''}", fontsize=8)
        for axis, column, i in ((axes.yaxis, two[0], places[0]), (axes.xaxis, two[1], places[1])):
            _ticks(axis, column, real[i])
        if two[0].kind == "date":  # too long to lie beside the axis
            axes.tick_params(axis="y", labelrotation=90, pad=8)
            for label in axes.get_yticklabels():
                label.set(va="center", ha="center")


def _ticks(axis, column: Column, real: np.ndarray) -> None:
    if column.kind == "category":
        names = [*column.values, *(["(missing)"] if column.missing else [])]
        if len(names) <= 6:
            axis.set_ticks(range(len(names)), [_short(n, 8) for n in names], fontsize=6)
            return
        axis.set_ticks([])
        return
    inner = edges(real)
    some = sorted({0, len(inner) // 2, len(inner) - 1}) if len(inner) else []
    axis.set_ticks([i + 0.5 for i in some], [_label(column, inner[i]) for i in some], fontsize=6)


def _short(text: str, most: int) -> str:
    """A name of the table's, whatever it holds: cut, without control characters, its dollars no formulas."""
    text = printable(text)
    text = text if len(text) <= most else f"{text[: most - 1]}…"
    return text.replace("$", r"\$")
