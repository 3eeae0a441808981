"""A mixed table whose distribution is known: any number of fresh rows of it can be drawn.

A person has a job (three, unequal), an age (whole, by job), a city (four, by job), a first day of work
(a date, the later the younger), children (whole, by age), an income (log-normal, by job and age, in cents; missing
oftener for one job), and smokes or not (by age).
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

JOBS = ("clerk", "cook", "pilot")
CITIES = ("Lagos", "Lima", "Oslo", "Rome")
CITY = np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.5, 0.1, 0.3], [0.25, 0.05, 0.6, 0.1]])
MISSING = np.array([0.05, 0.25, 0.02])
FIRST = date(1990, 1, 1)


def rows(n: int, seed: int) -> dict[str, list[str]]:
    """n rows as cells, by column."""
    g = np.random.default_rng(seed)
    job = g.choice(3, n, p=(0.5, 0.35, 0.15))
    age = 18 + np.minimum(g.gamma((3.0, 1.6, 5.0), (6.0, 7.0, 5.0), (n, 3))[np.arange(n), job], 62).astype(int)
    city = (g.random(n)[:, None] > CITY[job].cumsum(1)).sum(1)
    worked = np.maximum(age - 18 - g.exponential(4.0, n), 0)
    day = np.clip(12_700 - 300 * worked + g.normal(0, 200, n), 0, 13_000).astype(int)
    children = np.minimum(g.poisson(np.clip((age - 20) / 15, 0, 2.2)), 6)
    income = np.exp(g.normal(np.array([9.9, 9.5, 11.0])[job] + 0.01 * (age - 18), 0.35))
    gone = g.random(n) < MISSING[job]
    smokes = g.random(n) < 1 / (1 + np.exp(-(age - 45) / 8))
    return {
        "job": [JOBS[i] for i in job],
        "age": [str(v) for v in age],
        "city": [CITIES[i] for i in city],
        "since": [(FIRST + timedelta(days=int(v))).isoformat() for v in day],
        "children": [str(v) for v in children],
        "income": ["" if m else f"{v:.2f}" for v, m in zip(income, gone, strict=True)],
        "smokes": ["yes" if v else "no" for v in smokes],
    }
