"""How sure a difference over seeds is: Student intervals, Welch's test, Holm's correction.

Plain floats, no dependency. Every test is two-sided.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and how far the truth may lie from it."""

    mean: float
    half_width: float
    """half width of the 95 % interval of the mean; NaN with one seed"""
    values: tuple[float, ...]
    """of each seed"""

    @property
    def n(self) -> int:
        """Seeds."""
        return len(self.values)

    def __str__(self) -> str:
        """Mean ± half width from three seeds; two values as they are, since their interval would span everything."""
        if self.n < 3:
            return ", ".join(map(format_number, self.values))
        value, half_width = self.rounded
        return f"{value} ± {half_width}"

    @property
    def rounded(self) -> tuple[str, str]:
        """Mean and half width, both to the place of the half width's second digit; without one the mean alone."""
        if not self.half_width > 0:
            return format_number(self.mean), "0" if self.half_width == 0 else ""
        return format_to(self.mean, self.half_width), format_to(self.half_width, self.half_width)


def format_number(value: float) -> str:
    """A number for people: whole ones as they are, others with three significant digits."""
    if not math.isfinite(value):
        return "?"
    if value == 0:
        return "0"
    if abs(value) >= 1e7 or abs(value) < 1e-3:
        return f"{value:.2e}".replace("e-0", "e-").replace("e+0", "e")
    if value == int(value):
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def duration(seconds: float) -> str:
    """A time for people: seconds up to two minutes, minutes up to two hours, then hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"


def format_to(value: float, spread: float) -> str:
    """A number to the place of the second digit of `spread` > 0: what lies beyond says nothing."""
    size = max(abs(value), spread)
    if not (math.isfinite(value) and math.isfinite(spread)) or size >= 1e7 or size < 1e-3:
        return format_number(value)
    places = 1 - math.floor(math.log10(spread))
    if places > 6:
        return format_number(value)
    return f"{round(value, places):,.{max(0, places)}f}"


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and half width of its 95 % interval by Student's t; ValueError without values."""
    n = len(values)
    if not n:
        raise ValueError("no values to average")
    mean = math.fsum(values) / n
    if n < 2:
        return Estimate(mean, math.nan, tuple(values))
    return Estimate(mean, student(n - 1) * math.sqrt(variance(values) / n), tuple(values))


def variance(values: Sequence[float]) -> float:
    """Unbiased sample variance of at least two values."""
    mean = math.fsum(values) / len(values)
    return math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)


@dataclass(frozen=True)
class Difference:
    """How far one mean lies from another, over seeds."""

    value: float
    """mean of the first less mean of the second"""
    half_width: float
    """half width of its 95 % interval, without assuming equal variances; NaN with fewer than two values a side"""
    effect: float
    """Hedges' g: the difference in standard deviations over seeds, corrected for few seeds; NaN where nothing varies"""


def difference(a: Sequence[float], b: Sequence[float]) -> Difference:
    """The difference of two means with its Welch interval and effect size. ValueError where a side has no values.

    Source: Welch 1947; Hedges 1981.
    """
    if not a or not b:
        raise ValueError("no values to compare")
    gap = math.fsum(a) / len(a) - math.fsum(b) / len(b)
    if len(a) < 2 or len(b) < 2:
        return Difference(gap, math.nan, math.nan)
    va, vb, degrees = variance(a) / len(a), variance(b) / len(b), len(a) + len(b) - 2
    if va + vb == 0:
        return Difference(gap, 0.0, math.nan)
    freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    pooled = math.sqrt(((len(a) - 1) * variance(a) + (len(b) - 1) * variance(b)) / degrees)
    return Difference(gap, student(freedom) * math.sqrt(va + vb), gap / pooled * (1 - 3 / (4 * degrees - 1)))


def welch(a: Sequence[float], b: Sequence[float]) -> float:
    """p value of equal means without assuming equal variances; NaN where a side has fewer than two values.

    Where neither side varies at all: 1 for equal means; whole numbers (modes) are taken as rounded, each with the
    variance 1/12 of that; of other numbers nothing can be said, NaN.
    Source: Welch 1947; degrees of freedom by Satterthwaite; the 1/12 is Sheppard's.
    """
    if len(a) < 2 or len(b) < 2:
        return math.nan
    va, vb = variance(a) / len(a), variance(b) / len(b)
    gap = math.fsum(a) / len(a) - math.fsum(b) / len(b)
    if va + vb == 0:
        if not gap:
            return 1.0
        if not all(float(v).is_integer() for v in (*a, *b)):
            return math.nan
        va, vb = 1 / 12 / len(a), 1 / 12 / len(b)
    freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    return two_sided(gap / math.sqrt(va + vb), freedom)


def holm(p: Sequence[float]) -> list[float]:
    """p values corrected so that the chance of any false alarm among them stays below the level.

    Source: Holm 1979. NaN (a test that could not be made) stays NaN and does not count.
    """
    order = sorted((i for i, v in enumerate(p) if not math.isnan(v)), key=lambda i: p[i])
    out = [math.nan] * len(p)
    worst = 0.0
    for rank, i in enumerate(order):
        worst = max(worst, min(1.0, (len(order) - rank) * p[i]))
        out[i] = worst
    return out


@functools.cache
def student(freedom: float, confidence: float = 0.95) -> float:
    """The t with P(|T| ≤ t) = `confidence` for Student's T, by bisection on `two_sided`."""
    low, high = 0.0, 1e3
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided(middle, freedom) > 1 - confidence else (low, middle)
    return (low + high) / 2


def two_sided(t: float, freedom: float) -> float:
    """P(|T| > |t|) for Student's T: the regularised incomplete beta I_x(ν/2, ½) at x = ν / (ν + t²).

    Source: Abramowitz and Stegun 26.7.1, by the continued fraction 26.5.8.
    """
    a, b, x = freedom / 2, 0.5, freedom / (freedom + t * t)
    if x >= 1:
        return 1.0
    if x <= 0:
        return 0.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front / (a * _fraction(a, b, x))
    return 1 - front / (b * _fraction(b, a, 1 - x))


def _fraction(a: float, b: float, x: float) -> float:
    """1 + d₁/(1 + d₂/(1 + …)), from the inside out; 200 terms are far beyond double precision here."""
    value = 1.0
    for k in range(200, 0, -1):
        m = k // 2
        if k % 2:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        value = 1 + d / value
    return value
