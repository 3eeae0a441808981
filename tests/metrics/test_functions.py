"""Plain metric functions against known values and independent implementations."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import pairwise_distances

from triptych.core.assignment import assignment
from triptych.core.units import bits_per_dim
from triptych.errors import UserError
from triptych.metrics.coverage import ceiling, mode_coverage
from triptych.metrics.frechet import frechet_distance, frechet_from_features
from triptych.metrics.kernel import kernel_distance, kernel_distance_subsets, kernel_statistics
from triptych.metrics.neighbours import nearest, prdc
from triptych.metrics.transport import sliced_wasserstein, wasserstein


@pytest.fixture
def g():
    return torch.Generator().manual_seed(0)


def ring(m: int = 8) -> torch.Tensor:
    angle = torch.arange(m) * 2 * math.pi / m
    return torch.stack([angle.cos(), angle.sin()], 1)


# ------------------------------------------------------------------------------------------ coverage


def test_perfect_sampler_scores_the_ceiling(g):
    modes, n = ring(), 200_000
    x = modes[torch.randint(8, (n,), generator=g)] + 0.01 * torch.randn(n, 2, generator=g)
    got = mode_coverage(x, modes, 0.01)
    assert got["modes"] == 8
    # one standard deviation of the share is 2.3e-4 here: five of them fail once in 2 million seeds
    assert got["high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=1.2e-3)
    assert ceiling(2) == pytest.approx(1 - math.exp(-4.5), rel=1e-12)
    assert 0 <= got["reverse_kl"] < 1e-3


def test_collapse_is_log_of_the_number_of_modes():
    got = mode_coverage(torch.zeros(100, 2), torch.cartesian_prod(torch.arange(-2.0, 3), torch.arange(-2.0, 3)), 0.05)
    assert got == {"modes": 1, "high_quality": 1.0, "reverse_kl": pytest.approx(math.log(25))}


def test_far_and_non_finite_samples_are_of_low_quality():
    x = torch.tensor([[1.0, 0.0], [50.0, 0.0], [math.nan, 0.0], [math.inf, 0.0]])
    assert mode_coverage(x, ring(), 0.1) == {"modes": 1, "high_quality": 0.25, "reverse_kl": pytest.approx(math.log(8))}
    lost = mode_coverage(x[1:], ring(), 0.1)
    assert lost["modes"] == 0
    assert lost["high_quality"] == 0
    assert math.isnan(lost["reverse_kl"])


# ------------------------------------------------------------------------------------------- Fréchet


def test_mode_coverage_compares_with_the_weights() -> None:
    w = torch.tensor([0.4, 0.3, 0.1, 0.1, 0.025, 0.025, 0.025, 0.025], dtype=torch.float64)
    as_weighted = ring().repeat_interleave((w * 1000).round().long(), 0)
    assert mode_coverage(as_weighted, ring(), 0.1, w)["reverse_kl"] == pytest.approx(0, abs=1e-12)
    even = mode_coverage(ring(), ring(), 0.1, w)["reverse_kl"]
    assert even == pytest.approx(-math.log(8) - w.log().mean().item())
    collapsed = mode_coverage(ring()[2:3].expand(50, 2), ring(), 0.1, w)["reverse_kl"]
    assert collapsed == pytest.approx(-math.log(0.1))
    uniform = torch.full((8,), 0.125, dtype=torch.float64)
    x = ring()[:5]
    assert mode_coverage(x, ring(), 0.1, uniform) == pytest.approx(mode_coverage(x, ring(), 0.1))


def test_frechet_of_known_gaussians():
    mu, a, b = torch.zeros(3), torch.diag(torch.tensor([1.0, 4.0, 9.0])), torch.eye(3)
    assert frechet_distance(mu, a, mu + 2, b) == pytest.approx(12 + 0 + 1 + 4)


def test_frechet_equals_the_matrix_square_root(g):
    x, y = torch.randn(300, 20, generator=g).double(), (torch.randn(200, 20, generator=g) * 2 + 1).double()
    x[:, 1] = x[:, 0] * x[:, 2]
    covs = np.cov(x.numpy().T), np.cov(y.numpy().T)
    mus = x.mean(0).numpy(), y.mean(0).numpy()
    want = np.sum((mus[0] - mus[1]) ** 2) + np.trace(covs[0] + covs[1] - 2 * sqrtm(covs[0] @ covs[1]).real)
    assert frechet_distance(mus[0], covs[0], mus[1], covs[1]) == pytest.approx(want, rel=1e-10)
    assert frechet_from_features(x, y) == pytest.approx(want, rel=1e-10)


@pytest.mark.parametrize(("n", "m"), [(10, 12), (10, 200), (200, 10), (30, 30), (31, 31), (32, 33)])
def test_few_examples_take_another_road_to_the_same_value(g, n, m):
    x, y = torch.randn(n, 30, generator=g).double(), torch.randn(m, 30, generator=g).double() + 0.3
    roots = []
    for z in (x, y):
        values, vectors = torch.linalg.eigh(torch.cov(z.T))
        roots.append(vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T)
    cross = torch.linalg.svdvals(roots[0] @ roots[1]).sum()
    want = (x.mean(0) - y.mean(0)).square().sum() + torch.cov(x.T).trace() + torch.cov(y.T).trace() - 2 * cross
    assert frechet_from_features(x, y) == pytest.approx(want.item(), rel=1e-6)
    assert frechet_from_features(y, x) == pytest.approx(want.item(), rel=1e-6)
    direct = frechet_distance(x.mean(0), torch.cov(x.T), y.mean(0), torch.cov(y.T))
    assert direct == pytest.approx(want.item(), rel=1e-5)


def test_frechet_of_a_set_with_itself_is_zero(g):
    for n in (10, 500):
        x = torch.randn(n, 64, generator=g)
        assert frechet_from_features(x, x) == pytest.approx(0, abs=1e-6)
    assert frechet_from_features(torch.ones(10, 4), torch.ones(10, 4)) == 0


# ------------------------------------------------------------------------------------------- kernels


@pytest.mark.parametrize("block", [7, 1024])
def test_kernel_distance_is_the_u_statistic(g, block, monkeypatch):
    monkeypatch.setattr("triptych.metrics.kernel.BLOCK", block)
    x, y = torch.randn(40, 5, generator=g).double(), torch.randn(30, 5, generator=g).double() + 0.5
    k = lambda a, b: (a @ b.T / 5 + 1) ** 3  # noqa: E731
    off = lambda m: (m.sum() - m.trace()) / (len(m) * (len(m) - 1))  # noqa: E731
    want = off(k(x, x)) + off(k(y, y)) - 2 * k(x, y).mean()
    value, error = kernel_statistics(x, y)
    assert value == pytest.approx(want.item(), rel=1e-12)
    assert kernel_distance(x, y) == value
    left_x = torch.tensor([kernel_distance(x[torch.arange(40) != i], y) for i in range(40)])
    left_y = torch.tensor([kernel_distance(x, y[torch.arange(30) != i]) for i in range(30)])
    jackknife = 39 * left_x.var(correction=0) + 29 * left_y.var(correction=0)
    assert error == pytest.approx(jackknife.sqrt().item(), rel=1e-6)
    assert math.isnan(kernel_statistics(x[:2], y)[1])


def test_kernel_distance_is_unbiased(g):
    draws = [kernel_distance(torch.randn(50, 4, generator=g), torch.randn(50, 4, generator=g)) for _ in range(200)]
    mean, error = np.mean(draws), np.std(draws) / 200**0.5
    assert abs(mean) < 5 * error
    assert min(draws) < 0


def test_kernel_subsets_never_shrink(g):
    x = torch.randn(60, 4, generator=g)
    assert kernel_distance_subsets(x, x + 1, subsets=3, size=50) == kernel_distance_subsets(
        x, x + 1, subsets=3, size=50
    )
    with pytest.raises(UserError, match="subsets of 1000"):
        kernel_distance_subsets(x, x)


# ---------------------------------------------------------------------------------------- neighbours


def reference_prdc(real, fake, k):
    rr, ff, rf = pairwise_distances(real), pairwise_distances(fake), pairwise_distances(real, fake)
    r, f = np.partition(rr, k, 1)[:, k], np.partition(ff, k, 1)[:, k]
    return {
        "precision": (rf < r[:, None]).any(0).mean(),
        "recall": (rf < f).any(1).mean(),
        "density": (rf < r[:, None]).sum(0).mean() / k,
        "coverage": (rf.min(1) < r).mean(),
    }


def test_prdc_equals_the_definition(g, monkeypatch):
    monkeypatch.setattr("triptych.metrics.neighbours.BLOCK", 64)
    real, fake = torch.randn(150, 6, generator=g), torch.randn(170, 6, generator=g) * 0.8 + 0.3
    assert prdc(real, fake, k=3) == pytest.approx(reference_prdc(real.double(), fake.double(), 3), rel=1e-12)


def test_prdc_of_coinciding_and_of_identical_sets(g):
    for x in (torch.full((20, 3), 7.3), torch.randn(100, 512, generator=g) + 30, torch.randn(5, 9).repeat(8, 1)):
        got = prdc(x, x.clone())
        assert (got["precision"], got["recall"], got["coverage"]) == (1, 1, 1)
    # every ball holds its own copy and its five neighbours
    assert prdc(torch.randn(100, 512, generator=g).sort(0).values, torch.zeros(100, 512))["coverage"] <= 1
    x = torch.randn(300, 64, generator=g) + 100
    assert prdc(x, x)["density"] == pytest.approx(1.2, rel=1e-12)


def test_one_outlier_lifts_precision_alone(g):
    real = torch.cat([torch.randn(999, 2, generator=g), torch.tensor([[50.0, 50.0]])])
    fake = torch.rand(1000, 2, generator=g) * 60 + 5
    got = prdc(real, fake)
    assert got["precision"] > 0.9
    assert got["density"] < 0.3
    assert got["coverage"] < 0.05


def test_nearest_neighbours_exclude_self_by_index(monkeypatch):
    monkeypatch.setattr("triptych.metrics.neighbours.BLOCK", 3)
    x = torch.tensor([[0.0], [0.0], [1.0], [4.0], [4.5]], dtype=torch.float64)
    distance, index = nearest(x, x, 2, exclude_self=True)
    assert distance.tolist() == [[0, 1], [0, 1], [1, 1], [0.5, 3], [0.5, 3.5]]
    assert index[:2, 0].tolist() == [1, 0]


# ----------------------------------------------------------------------------------------- transport


@pytest.mark.parametrize("seed", range(8))
def test_assignment_is_optimal(seed):
    rng = np.random.default_rng(seed)
    n = [1, 2, 7, 40, 100, 150, 60, 60][seed]
    cost = rng.random((n, n)) if seed < 6 else rng.integers(0, 5, (n, n)).astype(float)
    got = assignment(cost)
    assert sorted(got) == list(range(n))
    rows, columns = linear_sum_assignment(cost)
    assert cost[np.arange(n), got].sum() == pytest.approx(cost[rows, columns].sum(), rel=1e-12)


def test_wasserstein_distances_of_a_shift(g):
    x = torch.randn(200, 2, generator=g)
    shift = torch.tensor([3.0, 4.0])
    assert wasserstein(x, x[torch.randperm(200, generator=g)] + shift) == pytest.approx(5, rel=1e-5)
    # E (direction · shift)² = |shift|² / d
    assert sliced_wasserstein(x, x + shift, 20_000) == pytest.approx(5 / 2**0.5, rel=0.02)
    assert sliced_wasserstein(x, x.repeat(3, 1)) == pytest.approx(0, abs=1e-12)
    assert wasserstein(x, x) == pytest.approx(0, abs=1e-7)


# ---------------------------------------------------------------------------------------- likelihood


@pytest.mark.parametrize("levels", [256, 32, 2])
def test_uniform_density_has_the_bits_of_its_levels(levels):
    assert bits_per_dim(0.0, (3, 32, 32), levels) == math.log2(levels)
    assert bits_per_dim(torch.zeros(4), (2,), levels).tolist() == [math.log2(levels)] * 4
    assert bits_per_dim(-math.log(2) * 12, (3, 2, 2)) == pytest.approx(9)


# ----------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: prdc(torch.zeros(5, 2), torch.zeros(9, 2)), "only 5 real examples.*at least 6"),
        (lambda: prdc(torch.zeros(9, 2), torch.zeros(9, 3)), "2 numbers each"),
        (lambda: prdc(torch.zeros(9, 2), torch.full((9, 2), math.nan)), "9 of 9 generated"),
        (lambda: frechet_from_features(torch.zeros(1, 2), torch.zeros(9, 2)), "at least 2"),
        (lambda: frechet_distance(torch.zeros(2), torch.eye(3), torch.zeros(3), torch.eye(3)), "do not match"),
        (lambda: frechet_distance(torch.zeros(2), torch.eye(2) * math.nan, torch.zeros(2), torch.eye(2)), "cov1"),
        (lambda: kernel_distance(torch.zeros(1, 2), torch.zeros(9, 2)), "at least 2"),
        (lambda: mode_coverage(torch.zeros(0, 2), ring(), 0.1), "no samples"),
        (lambda: mode_coverage(torch.zeros(4, 2), ring(), 0.1, torch.ones(8)), "of sum 1"),
        (lambda: mode_coverage(torch.zeros(4, 2), ring(), 0.1, torch.full((4,), 0.25)), "weights of 8 modes"),
        (lambda: mode_coverage(torch.zeros(4, 3), ring(), 0.1), "must be"),
        (lambda: mode_coverage(torch.zeros(4, 2), ring(), 0.0), "std is 0"),
        (lambda: wasserstein(torch.zeros(4, 2), torch.zeros(5, 2)), "equal numbers"),
        (lambda: sliced_wasserstein(torch.zeros(4), torch.zeros(4)), "one row per example"),
        (lambda: sliced_wasserstein(torch.zeros(4, 2), torch.zeros(4, 2), projections=0), "projections is 0"),
        (lambda: prdc(torch.zeros(9, 2), torch.zeros(9, 2), k=2.5), "k is 2.5"),
        (lambda: kernel_distance_subsets(torch.zeros(9, 2), torch.zeros(9, 2), subsets=0, size=4), "subsets is 0"),
        (lambda: kernel_distance_subsets(torch.zeros(9, 2), torch.zeros(9, 2), size=1), "size is 1"),
        (lambda: mode_coverage(torch.zeros(4, 2), ring() * math.nan, 0.1), "must be finite"),
        (lambda: mode_coverage(torch.zeros(4, 2), torch.zeros(0, 2), 0.1), "0 modes"),
        (lambda: mode_coverage(torch.zeros(4, 2), ring(), math.inf), "std is inf"),
        (lambda: bits_per_dim(1.0, (0, 2)), "no dimensions"),
        (lambda: frechet_distance(torch.zeros(2), -torch.eye(2), torch.zeros(2), torch.eye(2)), "cov1 is not positive"),
        (
            lambda: frechet_distance(
                torch.zeros(2), torch.eye(2), torch.zeros(2), torch.diag(torch.tensor([1, -0.01]))
            ),
            r"cov2 is not positive semi-definite \(its lowest eigenvalue is -0.01",
        ),
        (
            lambda: frechet_distance(torch.zeros(2), torch.eye(2), torch.zeros(2), torch.tensor([[1, 0.1], [0, 1]])),
            "cov2 is not symmetric",
        ),
    ],
)
def test_bad_input_is_one_line(call, words):
    with pytest.raises(UserError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


def test_a_covariance_is_taken_as_float32_made_it(g):
    """Rounding, and fewer examples than dimensions, are no fault."""
    x = torch.randn(40, 100, generator=g)
    cov, mu = torch.cov(x.T), x.mean(0)
    assert cov.dtype == torch.float32
    assert frechet_distance(mu, cov, mu, cov) == pytest.approx(0, abs=1e-3)
