"""Charts of the report as inline SVG: colours come from the page, so that they follow its light or dark theme.

Series i is drawn with the classes `c0` … `c7` (colour) and `d0` … `d3` (dash): never by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape as escape_html

import numpy as np

from triptych.core.statistics import estimate, format_number
from triptych.figures.charts import Curve, band
from triptych.system.console import printable

WIDTH, HEIGHT = 380, 236
LEFT, RIGHT, TOP, BOTTOM = 48, 10, 10, 34
MOST = 120
"""Points drawn per curve."""


def escape(text: str) -> str:
    """`text` inside SVG: nothing of it is markup or acts."""
    return escape_html(printable(text))


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


def short(value: float) -> str:
    """An axis label: 250k, 1.5M, 0.02."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.3g}" if value else "0"


def thin(curve: Curve) -> list[tuple[float, float]]:
    """At most `MOST` points of a curve, first and last among them."""
    if len(curve) <= MOST:
        return list(curve)
    keep = np.unique(np.linspace(0, len(curve) - 1, MOST).round().astype(int))
    return [curve[i] for i in keep]


def line_chart(series: Mapping[str, Sequence[Curve]], order: Sequence[str], title: str) -> str:
    """Curves over images shown, mean and 95 % band over seeds; a label keeps the colour of its place in `order`.

    Every curve is drawn where a band cannot be (one seed, or no shared points). Empty when there is nothing to draw.
    """
    drawn = []
    for label, seeds in series.items():
        thinned = [thin(c) for c in seeds if c]
        x, mean, half = band(thinned) if thinned else (np.zeros(0), np.zeros(0), np.zeros(0))
        if len(x):
            drawn.append((order.index(label), label, x, mean, np.nan_to_num(half)))
    if not drawn:
        return ""
    x_high = max(float(d[2].max()) for d in drawn) or 1.0
    tops = np.concatenate([d[3] for d in drawn])
    low, high = limits(tops, np.concatenate([d[3] - d[4] for d in drawn]), np.concatenate([d[3] + d[4] for d in drawn]))

    def at(x: float, y: float) -> tuple[float, float]:
        y = min(max(y, low), high)
        return (
            LEFT + (WIDTH - LEFT - RIGHT) * x / x_high,
            TOP + (HEIGHT - TOP - BOTTOM) * (high - y) / (high - low),
        )

    parts = [frame(title)]
    for y in ticks(low, high):
        py = at(0, y)[1]
        parts.append(f'<path class="rule" d="M{LEFT} {py:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{py + 3.5:.1f}" text-anchor="end">{short(y)}</text>')
    for x in ticks(0, x_high, 4):
        px = at(x, low)[0]
        anchor = "end" if px > WIDTH - 20 else "middle"
        parts.append(f'<text x="{px:.1f}" y="{HEIGHT - 19}" text-anchor="{anchor}">{short(x)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle:.0f}" y="{HEIGHT - 4}" text-anchor="middle">images shown</text>')
    for i, _, x, mean, half in drawn:
        if half.any():
            upper = [at(a, b) for a, b in zip(x, mean + half, strict=True)]
            lower = [at(a, b) for a, b in zip(x, mean - half, strict=True)]
            parts.append(f'<path class="band {css(i)}" d="M{path(upper + lower[::-1])}Z"/>')
    for i, label, x, mean, _ in drawn:
        points = [at(a, b) for a, b in zip(x, mean, strict=True)]
        parts.append(f'<path class="line {css(i)}" d="M{path(points)}"><title>{escape(label)}</title></path>')
    return "".join(parts) + "</svg>"


def limits(mean: np.ndarray, below: np.ndarray, above: np.ndarray) -> tuple[float, float]:
    """The y axis: all means but the wildest hundredth, and the bands as far as three times that range."""
    low, high = np.quantile(mean, [0.005, 0.995]) if len(mean) > 200 else (mean.min(), mean.max())
    span = (high - low) or abs(high) or 1.0
    low, high = max(float(below.min()), low - span), min(float(above.max()), high + span)
    pad = 0.04 * ((high - low) or abs(high) or 1.0)
    return low - pad, high + pad


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
    for x in ticks(low, high, 5):
        parts.append(f'<path class="rule" d="M{at(x):.1f} {top}V{bottom}"/>')
        parts.append(f'<text x="{at(x):.1f}" y="{bottom + 14}" text-anchor="middle">{short(x)}</text>')
    if floor is not None:
        text = f"floor {format_number(floor)}"
        parts.append(f'<path class="floor" d="M{at(floor):.1f} {top}V{bottom}"><title>{text}</title></path>')
    for row, (label, v, e) in enumerate(found):
        i, y = order.index(label), top + line * row + 21
        parts.append(f'<text x="12" y="{y - 9}">{escape(label)}</text>')
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
