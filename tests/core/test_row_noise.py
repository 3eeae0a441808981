"""Noise of a row alone."""

import numpy as np
import pytest
import torch

from triptych.core.columns import Column, Columns
from triptych.core.row_noise import RowNoise

COLUMNS = Columns(
    (
        Column("age", "number", centre=40.0, scale=10.0, decimals=0, missing=True),
        Column("dose", "number", centre=0.0, scale=1.0),
        Column("kind", "category", values=("a", "b", "c")),
        Column("same", "category", values=("x",)),
        Column("sex", "category", values=("f", "m")),
    )
)


def values(n: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    age = np.where(rng.random(n) < 0.1, np.nan, rng.integers(20, 60, n).astype(float))
    return [age, rng.normal(size=n), rng.integers(0, 3, n) * 1.0, np.zeros(n), rng.integers(0, 2, n) * 1.0]


def test_a_row_is_the_same_vector_in_any_table():
    whole = COLUMNS.encode_rows(values(50))
    some = torch.randperm(50, generator=torch.Generator().manual_seed(1))[:20]
    assert torch.equal(COLUMNS.encode_rows([v[some.numpy()] for v in values(50)]), whole[some])
    assert torch.equal(COLUMNS.encode_rows([v[7:8] for v in values(50)]), whole[7:8])
    for was, now in zip(values(50), COLUMNS.decode(whole), strict=True):
        assert np.allclose(was, now, atol=1e-6, equal_nan=True)


def test_its_noise_is_as_wide_as_that_of_training():
    """Of 20,000 rows each column's spread about the middle is within 3 % of that of random numbers: for uniform ones
    six standard errors."""
    found = values(20_000)
    middle = COLUMNS.encode(found, None)
    apart = [(x - middle).std(0) for x in (COLUMNS.encode_rows(found), COLUMNS.encode(found))]
    drawn = torch.tensor([i != 0 for i in range(middle.shape[1])])  # in training a missing number is another's
    assert torch.allclose(apart[0][drawn], apart[1][drawn], rtol=0.03)


@pytest.mark.parametrize("shape", [4_000, (4_000, 3)])
def test_its_numbers_are_uniform_and_not_alike(shape):
    """Means of 4,000 numbers within 0.025 of a half, correlations within 0.08: five standard errors."""
    noise = RowNoise([np.arange(4_000) // 1.0])
    one, two = noise.random(shape), noise.random(shape)
    for drawn in (one, two):
        assert 0 <= drawn.min() < drawn.max() < 1
        assert np.abs(drawn.reshape(4_000, -1).mean(0) - 0.5).max() < 0.025
    both = np.corrcoef(np.concatenate([one.reshape(4_000, -1), two.reshape(4_000, -1)], 1).T)
    assert np.abs(both - np.eye(len(both))).max() < 0.08
    assert noise.random((4_000, 0)).shape == (4_000, 0)


def test_values_that_are_equal_are_one_row():
    first, second = (RowNoise([np.array([v]), np.array([1.0])]).random(1) for v in (0.0, -0.0))
    assert first == second
    quiet = np.frombuffer(np.uint64(0x7FF8000000000001).tobytes(), np.float64).copy()
    assert RowNoise([quiet]).random(1) == RowNoise([np.array([np.nan])]).random(1)
