"""Distances of typed columns: 0 of a table and itself, known values of known tables, and what each of them sees."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy import stats

from triptych.core import Data
from triptych.core.columns import Column, Columns
from triptych.core.marginals import association, marginal, pair, ranks
from triptych.figures.columns import sheet_image
from triptych.metrics.comparison import Comparison
from triptych.metrics.tables import TypedColumns, distances

NUMBER = Column("x", "number", scale=1.0)
KIND = Column("kind", "category", values=("a", "b", "c"))
HOLES = Column("holes", "number", scale=1.0, missing=True)
TABLE = Columns((NUMBER, KIND, HOLES))


def rows(n: int, seed: int, *, tied: bool = True, shift: float = 0.0) -> list[np.ndarray]:
    """x and kind go together where they are tied; a third of the holes are missing."""
    g = np.random.default_rng(seed)
    kind = g.integers(0, 3, n).astype(float)
    x = g.normal(size=n) + (2 * kind if tied else 2 * g.permutation(kind)) + shift
    return [x, kind, np.where(g.random(n) < 1 / 3, np.nan, g.normal(size=n))]


def vectors(*args: int, **how: float) -> torch.Tensor:
    return TABLE.encode(rows(*args, **how), 0)  # pyright: ignore[reportArgumentType]


def test_a_table_and_itself_are_at_no_distance():
    x = vectors(500, 0)
    assert all(v == pytest.approx(0, abs=1e-12) for v in distances(TABLE, x, x).values())


def test_marginals_are_kolmogorov_smirnov_and_total_variation():
    a, b = rows(400, 0), rows(300, 1, shift=0.5)
    assert marginal(NUMBER, a[0], b[0]) == pytest.approx(stats.ks_2samp(a[0], b[0]).statistic)
    kinds = [np.bincount(v[1].astype(int), minlength=3) / len(v[1]) for v in (a, b)]
    assert marginal(KIND, a[1], b[1]) == pytest.approx(np.abs(kinds[0] - kinds[1]).sum() / 2)
    gone = np.full(300, np.nan)
    assert marginal(HOLES, a[2], gone) == pytest.approx(1 - np.isnan(a[2]).mean())


def test_associations_are_those_of_the_field():
    x, kind, _ = rows(2000, 3)
    y = x + np.random.default_rng(0).normal(size=2000)
    assert association((NUMBER, NUMBER), (x, y)) == pytest.approx(stats.spearmanr(x, y).statistic)
    r = ranks(x)
    parts = [r[kind == k] for k in range(3)]
    between = sum(len(p) * (p.mean() - r.mean()) ** 2 for p in parts)
    assert association((KIND, NUMBER), (kind, x)) == pytest.approx(math.sqrt(between / ((r - r.mean()) ** 2).sum()))
    other = np.where(np.random.default_rng(1).random(2000) < 0.3, (kind + 1) % 3, kind)
    wanted = stats.contingency.association(stats.contingency.crosstab(kind, other).count, method="cramer")
    assert association((KIND, KIND), (kind, other)) == pytest.approx(wanted)
    assert association((KIND, KIND), (kind, kind)) == pytest.approx(1)
    assert association((NUMBER, NUMBER), (np.ones(9), np.arange(9.0))) == 0


def test_pairs_see_what_marginals_do_not():
    real, tied, loose = vectors(4000, 0), vectors(4000, 1), vectors(4000, 2, tied=False)
    good, bad = distances(TABLE, real, tied), distances(TABLE, real, loose)
    assert bad["marginal_distance"] < 0.03
    assert good["pair_distance"] < 0.05 < bad["pair_distance"]
    assert bad["pair_worst"] > 0.4
    assert good["association_distance"] < 0.03 < bad["association_distance"]
    a, b = rows(4000, 0), rows(4000, 2, tied=False)
    assert pair((NUMBER, KIND), a[:2], b[:2]) == pytest.approx(bad["pair_worst"])


def comparison(fake: torch.Tensor) -> Comparison:
    real = Data("t", vectors(600, 0), "test", typed=TABLE, fingerprint="t")
    return Comparison(real, dataclasses.replace(real, x=fake, fingerprint=""))


def test_the_worst_are_named_and_floors_stand_beside():
    found = TypedColumns().evaluated(comparison(vectors(600, 1, shift=3.0)))
    assert found["marginal_worst"].note == "of x"
    assert found["pair_worst"].note.startswith("of x and ")
    assert found["marginal_worst"].value > 5 * found["marginal_worst"].floor
    assert found["association_distance"].note.startswith("most between ")
    assert all(v.better == "lower" and v.n == 600 for v in found.values())


def test_samples_that_are_not_finite_are_not_rows():
    fake = vectors(600, 1)
    fake[3, 0] = math.nan
    found = TypedColumns().evaluated(comparison(fake))
    assert found["marginal_distance"].value is None
    assert "1 of 600 samples are not finite" in found["marginal_distance"].note


def test_vectors_without_types_have_none():
    plain = Data("points", torch.randn(50, 2))
    assert TypedColumns().applies(Comparison(plain, Data("samples", torch.randn(50, 2)))) != ""


def test_the_sheet_shows_every_column_that_varies():
    columns = Columns(
        (*TABLE.all, Column("same", "category", values=("z",)), Column("day", "date", 19_000, 40, 0, "%d.%m.%Y"))
    )
    g = np.random.default_rng(5)
    values = [*rows(200, 0), np.zeros(200), 19_000 + g.integers(-50, 50, 200)]
    data = Data("t", columns.encode(values), typed=columns)
    one = sheet_image(data.x[:50], data)
    assert one.width == 1320
    wide = Columns(tuple(dataclasses.replace(KIND, name=f"k{i}") for i in range(40)))
    many = [g.integers(0, 3, 60).astype(float) for _ in range(40)]
    sheet = sheet_image(wide.encode(many), Data("w", wide.encode(many, 1), typed=wide))
    assert sheet.height < 4_000


def test_names_of_any_kind_are_drawn():
    """Escapes, dollars and letters that no font has: warnings are errors here."""
    odd = ("\x1b[31mred", "$5_000$", "$", "北京", "a" * 300)
    columns = Columns((Column("pay in $", "category", values=odd), NUMBER))
    g = np.random.default_rng(6)
    x = columns.encode([g.integers(0, 5, 80).astype(float), g.normal(size=80)])
    assert sheet_image(x, Data("t", x, typed=columns)).width == 1320
