"""Latent metrics on constructed codes whose scores are known."""

import math

import pytest
import torch
from torch import nn

from triptych.core import Sampler
from triptych.core.model import Cost
from triptych.errors import UserError
from triptych.metrics.disentanglement import beta_vae_score, dci, mig, sap
from triptych.metrics.linear_models import lasso
from triptych.metrics.path_length import PathLength, path_length
from triptych.metrics.separability import separability
from triptych.models.latent_space import slerp


@pytest.fixture
def factors():
    g = torch.Generator().manual_seed(0)
    n = 4000
    return {
        "shape": torch.randint(4, (n,), generator=g),
        "x": torch.rand(n, generator=g),
        "size": torch.rand(n, generator=g),
    }


def columns(factors):
    return torch.stack([v.double() for v in factors.values()], 1)


def noise(n=4000, d=3, seed=1):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_an_axis_for_each_factor_scores_one(factors):
    z = columns(factors) * torch.tensor([3.0, -0.1, 7.0]) + 5
    # the histograms of 4,000 examples show about 0.015 of information between independent columns
    assert mig(z, factors) == pytest.approx(1, abs=0.02)
    got = dci(z, factors)
    assert got["dci_disentanglement"] > 0.95
    assert got["dci_completeness"] > 0.95
    assert sap(z, factors) > 0.95
    assert beta_vae_score(z, factors) > 0.99


def test_idle_axes_change_nothing(factors):
    z = torch.cat([noise(d=2), columns(factors), torch.zeros(4000, 1)], 1)
    assert mig(z, factors) > 0.97
    assert dci(z, factors)["dci_disentanglement"] > 0.95
    assert sap(z, factors) > 0.95
    assert beta_vae_score(z, factors) > 0.99


def test_codes_of_nothing_score_zero(factors):
    z = noise()
    assert mig(z, factors) < 0.02
    assert sap(z, factors) < 0.05
    # one of three factors is named by chance: 5 standard deviations of 1500 held-out points are 0.06
    assert abs(beta_vae_score(z, factors) - 1 / 3) < 0.08
    assert dci(z, factors)["dci_informativeness"] < 0.05


def test_a_rotation_by_45_degrees_has_no_gap(factors):
    """Two axes then know each factor equally well."""
    two = {k: factors[k] for k in ("x", "size")}
    z = columns(two)
    rotated = torch.stack([z[:, 0] + z[:, 1], z[:, 0] - z[:, 1]], 1)
    assert mig(rotated, two) < 0.05
    assert sap(rotated, two) < 0.05
    got = dci(rotated, two)
    assert got["dci_disentanglement"] < 0.05
    assert got["dci_informativeness"] > 0.9


def test_a_factor_on_two_axes_is_pure_but_not_complete(factors):
    two = {k: factors[k] for k in ("x", "size")}
    z = columns(two)
    double = torch.stack([z[:, 0] + 0.1 * noise(d=1)[:, 0], z[:, 0] + 0.1 * noise(d=1, seed=2)[:, 0], z[:, 1]], 1)
    got = dci(double, two)
    assert got["dci_disentanglement"] > 0.9
    # half of the factors sit on two axes of three: 1 - (log 2 / log 3 + 0) / 2
    assert got["dci_completeness"] == pytest.approx(1 - math.log(2) / math.log(3) / 2, abs=0.05)
    assert mig(double, two) == pytest.approx(0.5, abs=0.06)


def test_mig_of_a_known_histogram():
    """Half the mass of a fair coin told by one axis: I = log 2 − H(¼), the other axis knows nothing."""
    coin = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]).repeat(500)
    told = torch.tensor([0, 0, 0, 1, 0, 1, 1, 1]).repeat(500)
    z = torch.stack([told, torch.tensor([0, 1] * 2000)], 1).double()
    h = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert mig(z, {"coin": coin}) == pytest.approx((math.log(2) - h) / math.log(2), abs=1e-9)


def test_lasso_soft_thresholds_orthogonal_columns():
    x = torch.linalg.qr(noise(d=3).double())[0] * 4000**0.5
    w = torch.tensor([[1.0], [-0.3], [0.05]], dtype=torch.float64)
    assert lasso(x, x @ w, 0.1)[:, 0].tolist() == pytest.approx([0.9, -0.2, 0], abs=1e-9)


def test_separability_of_planes_and_of_nothing():
    z, g = noise(d=4), torch.Generator().manual_seed(3)
    label = (z[:, 0] > 0).long()
    got = separability(z, label)
    assert got["separability"] == pytest.approx(1, abs=0.1)
    assert got["linear_accuracy"] > 0.98
    chance = separability(z, torch.randint(2, (4000,), generator=g))
    assert chance["separability"] == pytest.approx(2, abs=0.05)  # exp of one fair coin's entropy
    assert abs(chance["linear_accuracy"] - 0.5) < 0.06


def test_examples_in_the_order_of_their_classes_are_judged_as_in_any_other():
    """Folders are read a class after the other: what planes were fitted to was the first classes alone."""
    z = noise(d=4)
    label = torch.bucketize(z[:, 0].contiguous(), torch.tensor([-0.7, 0.0, 0.7]))
    order = label.argsort()
    mixed, sorted_ = separability(z, label), separability(z[order], label[order])
    assert sorted_["linear_accuracy"] == pytest.approx(mixed["linear_accuracy"], abs=0.03)
    assert sorted_["separability"] == pytest.approx(mixed["separability"], abs=0.05)
    a, b = dci(z, {"x": z[:, 0]}), dci(z[order], {"x": z[order, 0]})
    assert b["dci_informativeness"] == pytest.approx(a["dci_informativeness"], abs=0.02)


class Scaled(Sampler):
    """G(z) = s z."""

    def __init__(self, s: float) -> None:
        super().__init__((3,))
        self.latent, self.s = 3, s
        self.player = nn.Linear(1, 1)

    def decode(self, z):
        return self.s * z


def test_path_length_of_a_linear_map():
    """On a straight path the length is s² E |b − a|² = 2 d s² whatever ε."""
    length, error = path_length(Scaled(2.0), lambda x: x.double(), n=4000, epsilon=1e-2, path="lerp")
    assert length == pytest.approx(2 * 3 * 4, rel=0.08)  # the outer 1 % left out
    assert error < 1
    arc, _ = path_length(Scaled(2.0), lambda x: x, n=1000, epsilon=1e-2)
    assert arc > length  # an arc is longer than its chord


@pytest.mark.parametrize(("passes", "points"), [(1, 2000), (4, 2000), (16, 500), (1000, 250)])
def test_path_length_takes_fewer_steps_where_a_sample_takes_many_passes(passes, points):
    class Slow(Scaled):
        cost = Cost(sample=passes)

    assert PathLength().afford(Slow(1.0)) == points


def test_slerp_keeps_unit_length_and_meets_its_ends():
    a, b = torch.nn.functional.normalize(noise(50), dim=1), torch.nn.functional.normalize(noise(50, seed=2), dim=1)
    half = slerp(a, b, torch.full((50, 1), 0.5))
    torch.testing.assert_close(half.norm(dim=1), torch.ones(50), atol=1e-4, rtol=0)
    torch.testing.assert_close(slerp(a, b, torch.zeros(50, 1)), a)
    torch.testing.assert_close(slerp(a, b, torch.ones(50, 1)), b)
    torch.testing.assert_close(slerp(a, a, torch.full((50, 1), 0.3)), a)


def test_bad_factors_are_one_line(factors):
    z = noise()
    with pytest.raises(UserError, match="no factor takes"):
        mig(z, {"x": torch.zeros(4000)})
    with pytest.raises(UserError, match="factor x has shape"):
        sap(z, {"x": torch.rand(5)})
    with pytest.raises(UserError, match="only x varies"):
        beta_vae_score(z, {"x": factors["x"]})
    with pytest.raises(UserError, match="one class"):
        separability(z, torch.zeros(4000, dtype=torch.int64))
