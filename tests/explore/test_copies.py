"""The test of copies: seldom alarmed by honest models, however sharp or blurred, and sure of those that copy."""

import pytest
import torch

from triptych.core.conformal import p_values, proportion, tail
from triptych.errors import TooFew
from triptych.explore.copies import copied

D, MODES = 8, 12
CENTRES = 3 * torch.randn(MODES, D, generator=torch.Generator().manual_seed(99))


def draw(n: int, g: torch.Generator, std: float = 1.0, modes: int = MODES) -> torch.Tensor:
    return CENTRES[torch.randint(modes, (n,), generator=g)] + std * torch.randn(n, D, generator=g)


HONEST = {"exact": {}, "narrow": {"std": 0.6}, "wide": {"std": 1.5}, "few modes": {"modes": 4}}


def test_honest_models_raise_no_more_alarms_than_the_level():
    """100 simulated ones, a quarter each: the exact distribution, blurred, widened, and of few modes."""
    alarms = 0
    for i in range(100):
        g = torch.Generator().manual_seed(i)
        kind = list(HONEST.values())[i % 4]
        result = copied(draw(300, g, **kind), draw(400, g), draw(400, g), seed=i)
        alarms += result.p < 0.05
    assert alarms <= 5


@pytest.mark.parametrize(("share", "power"), [(0.01, 0.8), (0.05, 1.0), (0.2, 1.0)])
def test_models_that_copy_are_found(share, power):
    """1,000 samples, a share of which are training examples with a little noise; the interval holds the share."""
    found, inside, runs = 0, 0, 6
    for i in range(runs):
        g = torch.Generator().manual_seed(1000 + i)
        train, samples = draw(1000, g), draw(1000, g)
        k = int(share * len(samples))
        samples[:k] = train[torch.randperm(len(train), generator=g)[:k]] + 0.01 * torch.randn(k, D, generator=g)
        result = copied(samples, train, draw(1000, g), seed=i)
        found += result.p < 0.05
        inside += result.low <= share <= result.high
        if share >= 0.05:
            assert set(result.ratios.argsort()[: k // 2].tolist()) <= set(range(k))
    assert found >= power * runs
    assert inside >= 0.9 * runs


def test_too_few_held_out_examples_are_said():
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    with pytest.raises(TooFew, match="held-out"):
        copied(x, x, x[:70])


def test_the_tail_is_the_probability_of_orders():
    """Against counting, where both sets are small."""
    import itertools

    m, n = 4, 5
    for rank, found in itertools.product(range(1, n + 1), range(m + 1)):
        hits = total = 0
        for places in itertools.combinations(range(m + n), m):  # where the samples stand in order
            others = [i for i in range(m + n) if i not in places]
            hits += sum(p < others[rank - 1] for p in places) >= found
            total += 1
        assert tail(found, m, rank, n) == pytest.approx(hits / total)


def test_the_interval_of_a_share_is_clopper_pearsons():
    from scipy.stats import binomtest

    for found, n in ((0, 10), (3, 50), (50, 50), (7, 1000)):
        wanted = binomtest(found, n).proportion_ci(method="exact")
        assert proportion(found, n) == pytest.approx((wanted.low, wanted.high), abs=1e-6)


@pytest.mark.parametrize("level", [0.01, 0.05, 0.1])
def test_conformal_p_values_have_their_level_over_50_splits(level):
    """In each split 400 calibration scores and 400 new ones; the share below the level lies within its interval."""
    hits, total = 0, 0
    for i in range(50):
        x = torch.randn(800, generator=torch.Generator().manual_seed(i)).exp()
        hits += int((p_values(x[:400], x[400:]) <= level).sum())
        total += 400
    wanted = int(level * 401) / 401  # p values are multiples of 1 / 401
    # the new examples of a split share its calibration: their number varies as a beta-binomial does
    spread = (wanted * (1 - wanted) * (1 / total + 1 / (50 * 402))) ** 0.5
    assert abs(hits / total - wanted) < 2.6 * spread  # 1 % of honest trials fail
    assert hits / total <= level + 2.6 * spread
