"""Curves over training and their bands."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from triptych.core.statistics import student
from triptych.figures.canvas import DASHES, PALETTE, _canvas, _save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

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
    charts: Mapping[str, Mapping[str, Sequence[Curve]]],
    path: str | Path,
    *,
    xlabel: str,
    powers: Sequence[str] = (),
    log_x: bool = False,
) -> Path:
    """Several charts of `curves` side by side, by their y label; a label keeps its colour in all of them.

    Those named in `powers` span powers of ten: their axis is logarithmic, on both sides of 0 where some y are not
    positive, linear below 0.001 then. With `log_x` every x axis is logarithmic, too, and its x positive. On a
    logarithmic axis of y the mean over seeds is the geometric one, and the band the interval of the logarithms.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(charts), 3.7), layout="constrained")
    FigureCanvasAgg(figure)
    order = list(dict.fromkeys(label for chart in charts.values() for label in chart))
    for i, (ylabel, series) in enumerate(charts.items()):
        axes = figure.add_subplot(1, len(charts), i + 1)
        ys = [y for seeds in series.values() for curve in seeds for _, y in curve if math.isfinite(y)]
        powers_of_ten = ylabel in powers and min(ys, default=0) > 0
        _draw_curves(axes, series, ylabel, xlabel, order, log=powers_of_ten)
        if log_x:
            axes.set_xscale("log")
            _plain_numbers(axes.xaxis)
        if powers_of_ten:
            axes.set_yscale("log")
            _plain_numbers(axes.yaxis)
        elif ylabel in powers:
            axes.set_yscale("symlog", linthresh=1e-3)
    return _save(figure, path)


def _plain_numbers(axis: Axis) -> None:
    """Ticks of a logarithmic axis at 1, 2 and 5 times a power of ten, in digits; at the powers alone where many fit."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = sorted(axis.get_view_interval())
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _draw_curves(
    axes: Axes,
    series: Mapping[str, Sequence[Curve]],
    ylabel: str,
    xlabel: str,
    order: Sequence[str] = (),
    *,
    log: bool = False,
) -> None:
    for label, seeds in series.items():
        i = (order or list(series)).index(label)
        x, mean, low, high = band(seeds, log=log)
        color, dash = PALETTE[i % len(PALETTE)], DASHES[(i // len(PALETTE)) % len(DASHES)]
        axes.plot(x, mean, label=label, linewidth=1.6, color=color, linestyle=dash)
        if np.isfinite(low).any():
            axes.fill_between(x, low, high, color=color, alpha=0.18, linewidth=0)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    if len(series) > 1:
        axes.legend(frameon=False, fontsize=8)


def band(seeds: Sequence[Curve], *, log: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x, mean over seeds, and both ends of its 95 % interval, (k,) each; the ends are NaN with one seed.

    Only the x at which every seed has a finite value count. With `log` the mean is the geometric one, and the interval
    that of the logarithms, of which there are none where a y is not positive.
    """
    tables = [{x: math.log(y) if log else y for x, y in curve if math.isfinite(y)} for curve in seeds]
    shared = sorted(set.intersection(*(set(t) for t in tables))) if tables else []
    values = np.array([[t[x] for x in shared] for t in tables], float).reshape(len(tables), len(shared))
    if not len(shared):
        return np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0)
    mean = values.mean(axis=0)
    reach = np.full(len(shared), np.nan)
    if len(tables) > 1:
        reach = student(len(tables) - 1) * values.std(axis=0, ddof=1) / math.sqrt(len(tables))
    x, low, high = np.array(shared, float), mean - reach, mean + reach
    return (x, np.exp(mean), np.exp(low), np.exp(high)) if log else (x, mean, low, high)
