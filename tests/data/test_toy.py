"""Toy distributions: the density integrates to 1, and the samples follow it.

The goodness-of-fit test rejects a correct sampler with probability 1e-6 per distribution (the seed is fixed, so a
pass stays a pass until the code changes).
"""

import functools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from triptych import data
from triptych.data.sources.toy import SwissRoll
from triptych.errors import UserError

FAILURE_RATE = 1e-6
BOX = 3.0
# Cells of the quadrature: at most one standard deviation of the finest structure, where the midpoint rule is exact
# to 1e-8; the checkerboard's edges fall on cell borders.
CELLS = {"8gaussians": 480, "25gaussians": 480, "swissroll": 240, "moons": 120, "checkerboard": 240, "rings": 160}
TOYS = ["8gaussians", "25gaussians", "swissroll", "moons", "checkerboard", "pinwheel", "rings", "spiral", "links"]
TURNED = ["25gaussians@30", "pinwheel@-17.5", "spiral@100"]


@functools.cache
def mass(name: str) -> torch.Tensor:
    """Probability of every cell of a fine grid over [-3, 3]², (k, k)."""
    k = CELLS.get(name, 480)
    centre = (torch.arange(k, dtype=torch.float64) + 0.5) * (2 * BOX / k) - BOX
    points = torch.cartesian_prod(centre, centre)
    return data.load(name).log_prob(points).exp().view(k, k) * (2 * BOX / k) ** 2


@pytest.mark.parametrize("name", [*TOYS, *TURNED])
def test_density_integrates_to_one(name: str) -> None:
    assert mass(name).sum().item() == pytest.approx(1.0, abs=2e-5)


@pytest.mark.parametrize("name", [*TOYS, *TURNED])
def test_samples_follow_the_density(name: str) -> None:
    coarse = 20
    p = mass(name)
    k = len(p) // coarse
    expected = p.view(coarse, k, coarse, k).sum((1, 3)).flatten()
    n = 100_000
    x = data.load(name).sample(n, seed=11)
    cell = ((x.double() + BOX) / (2 * BOX) * coarse).floor().long().clamp(0, coarse - 1)
    observed = torch.bincount(cell[:, 0] * coarse + cell[:, 1], minlength=coarse**2).double()
    big = expected * n >= 10
    e = torch.cat([expected[big], expected[~big].sum()[None]]) * n
    o = torch.cat([observed[big], observed[~big].sum()[None]])
    chi2 = ((o - e).square() / e.clamp(min=5)).sum().item()
    assert chi2 < stats.chi2.isf(FAILURE_RATE, df=len(e) - 1)


@pytest.mark.parametrize("name", TOYS)
def test_fixed_splits_and_fresh_points(name: str) -> None:
    train, test, both = (data.load(name, split=s) for s in ("train", "test", "all"))
    assert train.x.shape == (100_000, 2)
    assert train.x.dtype == torch.float32
    assert test.x.shape == (50_000, 2)
    assert len(both) == 150_000
    assert torch.equal(train.x, data.load(name).x)
    assert train.fingerprint == data.load(name).fingerprint != test.fingerprint
    assert not torch.equal(train.x[:1000], test.x[:1000])
    assert torch.equal(train.sample(100, seed=3), test.sample(100, seed=3))
    assert not torch.equal(train.sample(100, seed=3), train.sample(100, seed=4))
    assert train.log_prob(train.x[:5000]).isfinite().all()


@pytest.mark.parametrize("name", [t for t in TOYS if t != "checkerboard"])
def test_density_is_smooth_enough_to_differentiate(name: str) -> None:
    x = data.load(name).sample(64, seed=0).double().requires_grad_()
    (g,) = torch.autograd.grad(data.load(name).log_prob(x).sum(), x)
    assert g.isfinite().all()


def test_ring_has_eight_distinct_modes_on_its_circle() -> None:
    ring = data.load("8gaussians")
    assert ring.modes.shape == (8, 2)
    assert torch.pdist(ring.modes).min() > 1
    assert ring.modes.norm(dim=1).allclose(torch.tensor(2 / 1.414))
    assert ring.std == pytest.approx(0.01414, abs=1e-5)


def test_grid_spacing() -> None:
    grid = data.load("25gaussians")
    assert grid.modes.shape == (25, 2)
    assert torch.pdist(grid.modes).min().item() == pytest.approx(2 / 2.828)
    assert grid.std == pytest.approx(0.05 / 2.828)


def test_swiss_roll_is_scikit_learns() -> None:
    from sklearn.datasets import make_swiss_roll

    theirs = torch.from_numpy(make_swiss_roll(50_000, noise=0.25, random_state=0)[0][:, [0, 2]] / 7.5)
    ours = data.load("swissroll").sample(50_000, seed=0)
    for one, other in zip(theirs.T, ours.T, strict=True):
        assert stats.ks_2samp(one, other).pvalue > FAILURE_RATE


def test_quadrature_has_converged() -> None:
    class Finer(SwissRoll):
        panels = 256

    x = 1.2 * data.load("swissroll").sample(2000, seed=1).double()
    assert (SwissRoll().log_prob(x) - Finer().log_prob(x)).abs().max() < 1e-6


def test_far_tails_do_not_underflow() -> None:
    for name in ("8gaussians", "swissroll", "rings", "pinwheel"):
        value = data.load(name).log_prob(torch.tensor([[2.9, -2.9]]))
        assert math.isfinite(value.item())


def test_sets_without_modes_say_so() -> None:
    with pytest.raises(TypeError, match="no known modes"):
        _ = data.load("moons").modes


@pytest.mark.parametrize("name", TOYS)
def test_a_turned_set_is_the_set_turned(name: str) -> None:
    plain, turned = data.load(name), data.load(f"{name}@30")
    c, s = math.cos(math.pi / 6), math.sin(math.pi / 6)
    back = turned.x[:2000].double() @ torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
    assert torch.allclose(back, plain.x[:2000].double(), atol=1e-6)  # anticlockwise by 30 degrees, then back
    inside = slice(0, 2000) if name != "checkerboard" else back.frac().abs().sub(0.5).abs().amax(1) < 0.499
    assert torch.allclose(turned.log_prob(turned.x[:2000])[inside], plain.log_prob(plain.x[:2000])[inside], atol=2e-3)
    assert turned.fingerprint != plain.fingerprint
    assert turned.name == f"{name}@30"
    if plain.distribution.modes is not None:
        assert torch.allclose(turned.modes.norm(dim=1), plain.modes.norm(dim=1), atol=1e-5)
        assert turned.weights is plain.weights


def test_the_modes_of_the_spiral_have_their_weights() -> None:
    spiral = data.load("spiral")
    assert spiral.weights is not None
    assert spiral.weights.sum().item() == pytest.approx(1)
    assert torch.pdist(spiral.modes).min() > 7 * spiral.std
    nearest = (spiral.x[:, None] - spiral.modes).norm(dim=2).argmin(1)
    share = torch.bincount(nearest, minlength=16) / len(nearest)
    assert torch.allclose(share.double(), spiral.weights, atol=0.008)  # 5 standard errors of the largest


def test_a_path_of_the_name_comes_before_turning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("points.npy", np.zeros((5, 2), np.float32))
    Path("points.npy").rename("moons@30")
    with pytest.raises(UserError, match="moons@30"):  # it is a file without an ending, and is taken for one
        data.load("moons@30")
    Path("moons@30").unlink()
    assert len(data.load("moons@30")) == 100_000


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("moons@x", "no angle; give degrees, as in moons@30"),
        ("moons@", "no angle"),
        ("moons@inf", "no angle"),
        ("mnist@30", "only sets of points on the plane can be turned"),
        ("glyphs@3", "only sets of points on the plane can be turned"),
        ("mooons@30", "no data set is named"),
    ],
)
def test_what_cannot_be_turned_is_one_line(name: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        data.load(name)


def test_unknown_names_and_senseless_options() -> None:
    with pytest.raises(UserError, match="did you mean 25gaussians"):
        data.load("25gausians")
    with pytest.raises(UserError, match="drop the preparation options"):
        data.load("moons", resolution=32)
    with pytest.raises(UserError, match="unknown split"):
        data.load("moons", split="validation")  # type: ignore[arg-type]
