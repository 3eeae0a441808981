"""Charts of the report as inline SVG: colours come from the page, so that they follow its light or dark theme.

Plain SVG, and no library for charts: a page has to stand on paper and without scripts, and a hundred points need no
canvas. The page's script only reads `data-points` back to the pointer.

Series i is drawn with the classes `c0` … `c7` (colour) and `d0` … `d3` (dash): never by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape as escape_html
from typing import Literal, TypeVar, get_args

import numpy as np

from triptych.core.statistics import estimate, format_number
from triptych.system.console import printable

T = TypeVar("T")
WIDTH, HEIGHT = 380, 236
LEFT, RIGHT, TOP, BOTTOM = 48, 10, 10, 34
MOST, FEW = 100, 40
"""Points drawn of a mean, and of a run below it."""
HALF_LINE, LINE = 24, 54
"""Letters of a name that half the width has room for, and that all of it has."""
DECADES = 2
"""Powers of ten that values have to span for a logarithmic axis."""


def escape(text: str) -> str:
    """`text` inside SVG: nothing of it is markup or acts."""
    return escape_html(printable(text))


def cut(text: str, most: int) -> str:
    """`text` for a picture with room for so many letters; whole where it fits."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def css(i: int) -> str:
    """Classes of series i."""
    return f"c{i % 8} d{(i // 8) % 4}"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers between low and high, at most `most` + 1 of them."""
    span = high - low
    if not span > 0:
        return [low]
    raw = span / most
    if not 1e-200 < raw < 1e200:  # neither a step nor a label could be told apart
        return [low]
    size = 10 ** math.floor(math.log10(raw))
    step = next(m * size for m in (1, 2, 2.5, 5, 10) if m * size >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def short(value: float, digits: int = 4) -> str:
    """An axis label of so many digits: 250k, 1.5M, 0.02."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.{digits}g}{letter}"
    return f"{value:.{digits}g}" if value else "0"


def labels(at: Sequence[float]) -> list[str]:
    """Axis labels with as many digits as tell them apart."""
    for digits in range(3, 9):
        found = [short(value, digits) for value in at]
        if len(set(found)) == len(at):
            return found
    return [short(value) for value in at]


def thin(curve: Sequence[T], most: int = MOST) -> list[T]:
    """At most `most` points of a curve, first and last among them."""
    if len(curve) <= most:
        return list(curve)
    keep = np.unique(np.linspace(0, len(curve) - 1, most).round().astype(int))
    return [curve[i] for i in keep]


Point = tuple[float, float, float, float]


@dataclass(frozen=True)
class Curve:
    """One logged number of one run."""

    points: Sequence[Point]
    """(images shown, seconds of training, steps, value)"""
    alarms: Sequence[tuple[float, str]] = ()
    """images shown at an alarm, and what it said"""


Over = Literal["images", "seconds", "steps"]
"""What a chart goes over: the first three numbers of a point, in this order."""


@dataclass(frozen=True)
class Axes:
    """Where a value stands in the picture."""

    right: float
    low: float
    high: float
    log: bool
    left: float = 0.0
    """where x begins; an x axis that begins above 0 is logarithmic"""

    def at(self, x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + (WIDTH - LEFT - RIGHT) * share(x, self.left, self.right, log=self.left > 0),
            TOP + (HEIGHT - TOP - BOTTOM) * (1 - share(y, self.low, self.high, log=self.log)),
        )

    def ticks(self) -> list[float]:
        return log_ticks(self.low, self.high) if self.log else ticks(self.low, self.high)

    def ticks_along(self) -> list[float]:
        return log_ticks(self.left, self.right) if self.left > 0 else ticks(0, self.right, 4)


def share(value: float, low: float, high: float, *, log: bool) -> float:
    """How far a value is on its way from low to high, held between them."""
    value = min(max(value, low), high)
    if log:
        value, low, high = math.log10(value), math.log10(low), math.log10(high)
    return (value - low) / (high - low)


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten between low and high, at most six; where there is one or none, also twice and five times them, and
    where that is one, any round numbers."""
    powers = range(math.floor(math.log10(low) + 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    found = [10.0**k for k in powers if 10.0**k >= low * (1 - 1e-9)]
    if len(found) < 2:
        found = [m * 10.0**k for k in powers for m in (1, 2, 5) if low * (1 - 1e-9) <= m * 10.0**k <= high * (1 + 1e-9)]
    if len(found) < 2:
        return ticks(low, high)
    return found[:: max(1, -(-len(found) // 6))]


def line_chart(
    series: Mapping[str, Sequence[Curve]],
    order: Sequence[str],
    title: str,
    over: Over = "images",
    *,
    runs: bool = True,
    noun: str = "images",
) -> str:
    """The mean over seeds as a line, every run as a thin one below it, alarms as triangles.

    A label keeps the colour of its place in `order`. The mean stands at the images that all seeds share; over seconds
    and steps, at the mean of them there; `noun` is what
    examples are called. The axis is logarithmic where values are positive and span `DECADES`. Empty when
    there is nothing to draw.
    """
    pick = get_args(Over).index(over)
    drawn = []
    for label, curves in series.items():
        found = [[p for p in c.points if all(map(math.isfinite, p))] for c in curves]
        mean = [(p[pick], p[3]) for p in thin(mean_curve(found))]
        if len(mean) > 1:
            own = [[(p[pick], p[3]) for p in thin(points, FEW)] for points in found] if runs and len(found) > 1 else []
            drawn.append((order.index(label), label, mean, own, [a for c in curves for a in placed(c, pick)]))
    if not drawn:
        return ""
    values = np.array([y for _, _, mean, own, _ in drawn for line in (mean, *own) for _, y in line])
    low, high = np.quantile(values, [0.005, 0.995]) if len(values) > 200 else (values.min(), values.max())
    low, high, log = float(low), float(high), bool(values.min() > 0 and values.max() / values.min() >= 10**DECADES)
    if log:
        low, high = float(values.min()) * 0.9, float(values.max()) * 1.1
    else:
        pad = 0.04 * ((high - low) or abs(high) or 1.0)
        low, high = low - pad, high + pad
    right = max(x for _, _, mean, own, _ in drawn for line in (mean, *own) for x, _ in line) or 1.0
    axes = Axes(right, low, high, log)
    parts = [
        frame(title),
        *grid_lines(axes, {"images": f"{noun} shown", "seconds": "seconds of training", "steps": "steps"}[over]),
    ]
    for i, _, _, own, _ in drawn:
        parts += [f'<path class="run {css(i)}" d="M{path([axes.at(*p) for p in line])}"/>' for line in own]
    for i, label, mean, _, _ in drawn:
        told = " ".join(f"{x:.4g},{y:.4g}" for x, y in mean)
        parts.append(
            f'<path class="line {css(i)}" data-name="{escape(label)}" data-points="{told}" '
            f'd="M{path([axes.at(*p) for p in mean])}"><title>{escape(label)}</title></path>'
        )
    for i, label, _, _, alarms in drawn:
        for x, y, text in alarms:
            px, py = axes.at(x, y)
            mark = f"M{px:.1f} {py - 5:.1f}l4.5 8h-9z"
            parts.append(f'<path class="alarm {css(i)}" d="{mark}"><title>{escape(f"{label}: {text}")}</title></path>')
    return "".join(parts) + "</svg>"


def log_chart(
    series: Mapping[str, Sequence[tuple[float, float]]],
    order: Sequence[str],
    levels: Mapping[str, float],
    title: str,
    name: str,
    *,
    joined: bool = True,
) -> str:
    """Series of (x > 0, y), `joined` by lines or as dots, over a logarithmic x axis called `name`; `levels` go across.

    The y axis is logarithmic, too, where every value is positive. Empty when there is nothing to draw.
    """
    kept = {k: [p for p in points if all(map(math.isfinite, p)) and p[0] > 0] for k, points in series.items()}
    kept = {k: thin(points) for k, points in kept.items() if len(points) > joined}
    if not kept:
        return ""
    xs = [x for points in kept.values() for x, _ in points]
    ys = [*(y for points in kept.values() for _, y in points), *levels.values()]
    low, high, log = min(ys), max(ys), min(ys) > 0
    if log:
        low, high = low / 1.15, high * 1.15
    else:
        pad = 0.05 * ((high - low) or abs(high) or 1.0)
        low, high = low - pad, high + pad
    axes = Axes(max(xs) * 1.1, low, high, log, left=min(xs) / 1.1)
    parts = [frame(title), *grid_lines(axes, name)]
    ends = {f'x="{WIDTH - RIGHT}" text-anchor="end"': -math.inf, f'x="{LEFT + 2}"': -math.inf}
    for label, y in sorted(levels.items(), key=lambda level: -level[1]):
        py, text = axes.at(axes.right, y)[1], f"{label}: {format_number(y)}"
        parts.append(f'<path class="floor" d="M{LEFT} {py:.1f}H{WIDTH - RIGHT}"><title>{escape(text)}</title></path>')
        # to the other end of its line where another name is as high; with both taken only the line's title tells it
        if at := next((end for end, before in ends.items() if py - before >= 12), ""):
            parts.append(f'<text {at} y="{py - 3:.1f}">{escape(cut(label, HALF_LINE))}</text>')
            ends[at] = py
    for label, points in kept.items():
        look, named = css(order.index(label)), f"<title>{escape(label)}</title>"
        placed_at = [axes.at(*p) for p in points]
        if joined:
            parts.append(f'<path class="line {look}" d="M{path(placed_at)}">{named}</path>')
        else:
            dots = "".join(f"M{x - 4:.1f} {y:.1f}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0" for x, y in placed_at)
            parts.append(f'<path class="alarm {look}" d="{dots}">{named}</path>')
    return "".join(parts) + "</svg>"


def grid_lines(axes: Axes, name: str) -> list[str]:
    """Rules and labels of both axes."""
    parts = []
    up, along = axes.ticks(), axes.ticks_along()
    for y, label in zip(up, labels(up), strict=True):
        py = axes.at(0, y)[1]
        parts.append(f'<path class="rule" d="M{LEFT} {py:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{py + 3.5:.1f}" text-anchor="end">{label}</text>')
    for x, label in zip(along, labels(along), strict=True):
        px = axes.at(x, axes.low)[0]
        anchor = "end" if px > WIDTH - 20 else "middle"
        parts.append(f'<text x="{px:.1f}" y="{HEIGHT - 19}" text-anchor="{anchor}">{label}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle:.0f}" y="{HEIGHT - 4}" text-anchor="middle">{name}</text>')
    return parts


def mean_curve(seeds: Sequence[Sequence[Point]]) -> list[Point]:
    """(images, and the means of seconds, steps and values) at the images that all seeds have."""
    tables = [{images: rest for images, *rest in points} for points in seeds if points]
    shared = sorted(set.intersection(*(set(t) for t in tables))) if tables else []

    def mean(x: float, k: int) -> float:
        return math.fsum(t[x][k] for t in tables) / len(tables)

    return [(x, mean(x, 0), mean(x, 1), mean(x, 2)) for x in shared]


def placed(curve: Curve, pick: int) -> list[tuple[float, float, str]]:
    """(x, y, text) of the alarms of a run, on the nearest point of its curve."""
    found = []
    for images, text in curve.alarms:
        if curve.points:
            near = min(curve.points, key=lambda p: abs(p[0] - images))
            found.append((near[pick], near[3], text))
    return found


def interval_chart(values: Mapping[str, Sequence[float]], order: Sequence[str], title: str, floor: float | None) -> str:
    """One row per label: a mark per seed, the mean, its 95 % interval; a dashed line at the floor."""
    rows = [(label, list(values[label])) for label in order if values.get(label)]
    if not rows:
        return ""
    found = [(label, v, estimate(v)) for label, v in rows]
    every = [x for _, v in rows for x in v] + ([floor] if floor is not None else [])
    low, high = min(every), max(every)
    span = (high - low) or abs(high) or 1.0
    for _, _, e in found:
        if math.isfinite(e.half_width):
            low, high = (
                max(min(low, e.mean - e.half_width), low - span),
                min(max(high, e.mean + e.half_width), high + span),
            )
    pad = 0.05 * ((high - low) or 1.0)
    low, high = low - pad, high + pad
    line, top = 30, 8
    height = top + line * len(rows) + 22

    def at(x: float) -> float:
        return 12 + (WIDTH - 24) * (min(max(x, low), high) - low) / (high - low)

    parts = [frame(title, height)]
    bottom = top + line * len(rows)
    along = ticks(low, high, 5)
    for x, label in zip(along, labels(along), strict=True):
        parts.append(f'<path class="rule" d="M{at(x):.1f} {top}V{bottom}"/>')
        parts.append(f'<text x="{at(x):.1f}" y="{bottom + 14}" text-anchor="middle">{label}</text>')
    if floor is not None:
        text = f"floor {format_number(floor)}"
        parts.append(f'<path class="floor" d="M{at(floor):.1f} {top}V{bottom}"><title>{text}</title></path>')
    for row, (label, v, e) in enumerate(found):
        i, y = order.index(label), top + line * row + 21
        parts.append(f'<text x="12" y="{y - 9}">{escape(cut(label, LINE))}</text>')
        if math.isfinite(e.half_width):
            left, right = at(e.mean - e.half_width), at(e.mean + e.half_width)
            parts.append(f'<path class="line {css(i)}" d="M{left:.1f} {y}H{right:.1f}"/>')
        parts += [f'<circle class="seed {css(i)}" cx="{at(x):.1f}" cy="{y}" r="2.5"/>' for x in v]
        middle, text = f"M{at(e.mean):.1f} {y - 5}V{y + 5}", format_number(e.mean)
        parts.append(f'<path class="mean {css(i)}" d="{middle}"><title>{text}</title></path>')
    return "".join(parts) + "</svg>"


def frame(title: str, height: int = HEIGHT) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}" class="chart">'


def path(points: Sequence[tuple[float, float]]) -> str:
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
