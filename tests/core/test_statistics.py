"""Intervals and tests over seeds, against scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from triptych.core.statistics import estimate, format_to, holm, student, two_sided, welch


@pytest.mark.parametrize("freedom", [1, 1.7, 2, 4, 9.3, 30, 400])
@pytest.mark.parametrize("t", [0.0, 1e-3, 0.5, 1.0, 2.776, 12.7, 200.0])
def test_tail_equals_scipy(t, freedom):
    assert two_sided(t, freedom) == pytest.approx(2 * stats.t.sf(t, freedom), rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("freedom", [1, 2, 4, 29])
def test_quantile_equals_scipy(freedom):
    assert student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-9)


def test_welch_equals_scipys():
    rng = np.random.default_rng(0)
    for n, m in ((2, 2), (3, 5), (8, 8)):
        a, b = rng.normal(0, 1, n).tolist(), rng.normal(1, 3, m).tolist()
        assert welch(a, b) == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue, rel=1e-9)


def test_one_seed_cannot_be_judged():
    assert math.isnan(welch([1.0], [2.0, 3.0]))
    assert math.isnan(estimate([3.0]).half_width)


def test_whole_numbers_without_spread_are_taken_as_rounded():
    assert welch([25, 25], [25, 25]) == 1.0
    assert welch([25, 25], [8, 8]) < 0.001
    assert welch([8, 8], [7, 7]) > 0.05, "two seeds that agree do not make one mode a discovery"
    assert welch([8] * 5, [7] * 5) < 0.01
    assert math.isnan(welch([0.5, 0.5], [0.4, 0.4]))


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    got = holm([0.02, math.nan, 0.6])
    assert got[0] == pytest.approx(0.04)
    assert math.isnan(got[1])
    assert got[2] == pytest.approx(0.6)


def test_interval_covers_the_truth_as_often_as_it_says():
    """5 seeds of N(0, 1), 4,000 times: 95 % ± 1.4 points is four standard errors (false alarm 6e-5)."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4000, 5))
    reach = student(4) * x.std(axis=1, ddof=1) / math.sqrt(5)
    assert abs((np.abs(x.mean(axis=1)) <= reach).mean() - 0.95) < 0.014


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.5], "0.500"),
        ([62.8, 110.3], "62.8, 110"),
        ([0.5, 0.52, 0.48], "0.500 ± 0.050"),
        ([1234.5, 1250.0, 1300.0], "1,262 ± 85"),
        ([8.0, 8.0, 8.0], "8 ± 0"),
        ([61234.0, 60000.0, 90000.0], "70,000 ± 42,000"),
    ],
)
def test_two_seeds_are_shown_and_from_three_the_interval_decides_the_digits(values, text):
    assert str(estimate(values)) == text


def test_digits_beyond_the_intervals_second_are_left_out():
    assert format_to(0.123456, 0.0123) == "0.123"
    assert format_to(123456.0, 2345.0) == "123,500"
    assert format_to(1e-5, 1e-6) == "1.00e-5"
    assert format_to(math.nan, 1.0) == "?"
