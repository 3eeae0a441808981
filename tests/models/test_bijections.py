"""Single transforms: what they promise beside inverting exactly."""

from __future__ import annotations

import pytest
import torch

from triptych.core import Recipe
from triptych.models.flows.coupling import ElementwiseSpline
from triptych.models.flows.multiscale import MultiScale, Squeeze
from triptych.models.layers.bijections import ActNorm, Compose, DataInitialised, LULinear, Permutation, Standardize
from triptych.models.layers.spline import LEAST, knots, spline, spline_inverse
from triptych.recipes.flows import RECIPES, TOYS


def test_the_first_training_batch_normalises_every_channel_and_no_later_one():
    torch.manual_seed(0)
    norm = ActNorm(3)
    x = torch.randn(64, 5, 5, 3) * torch.tensor([0.1, 1.0, 30.0]) + 7
    assert torch.equal(norm.eval()(x)[0], x)  # not in evaluation
    z, _ = norm.train()(x)
    torch.testing.assert_close(z.mean((0, 1, 2)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(z.var((0, 1, 2), correction=0), torch.ones(3), atol=1e-3, rtol=0)
    before = norm.log_scale.clone()
    norm(2 * x)
    assert torch.equal(norm.log_scale, before)


def test_a_channel_that_never_varies_keeps_a_finite_scale():
    norm = ActNorm(2).train()
    z, log_det = norm(torch.zeros(8, 2))
    assert torch.isfinite(z).all()
    assert torch.isfinite(log_det).all()


def test_each_transform_at_the_head_is_set_from_what_those_before_it_leave():
    x = 30 * torch.randn(4_000, 2, generator=torch.Generator().manual_seed(0)).exp() + 700
    head = Compose([Standardize(2), ElementwiseSpline(2, 8, 5.0), LULinear(2)])
    DataInitialised.fit_each(head, x)
    alone = ElementwiseSpline(2, 8, 5.0)
    standard = (x - x.mean(0)) / x.std(0)
    alone.fit(standard)
    z, _ = head.parts[1](head.parts[0](x)[0])
    torch.testing.assert_close(z, alone(standard)[0], atol=1e-3, rtol=0)
    assert z.median(0).values.abs().max() < 0.05  # of raw rows the spline would know no part of this range


@pytest.mark.parametrize("d", [2, 7])
def test_the_linear_map_starts_as_a_rotation(d):
    torch.manual_seed(0)
    w = LULinear(d).double().weight()
    torch.testing.assert_close(w @ w.T, torch.eye(d, dtype=torch.float64), atol=1e-5, rtol=0)


def test_squeeze_keeps_neighbours_together():
    x = torch.arange(16.0).view(1, 4, 4, 1)
    z, _ = Squeeze()(x)
    assert z[0, 0, 0].tolist() == [0, 1, 4, 5]
    assert z[0, 1, 1].tolist() == [10, 11, 14, 15]


def test_the_parts_of_z_are_those_of_the_levels():
    flow = MultiScale([Compose([Squeeze()]), Compose([Squeeze()])], (4, 4, 1))
    x = torch.arange(16.0).view(1, 4, 4, 1)
    z, _ = flow(x)
    assert sorted(z[0].tolist()) == list(range(16))
    assert z[0, :8].tolist() == [4, 5, 6, 7, 12, 13, 14, 15]  # the lower row of each square left first
    assert torch.equal(flow.inverse(z), x)


def test_permutations_invert():
    p = Permutation(torch.tensor([2, 0, 1]))
    x = torch.randn(4, 3)
    assert torch.equal(p.inverse(p(x)[0]), x)


def test_splines_are_the_identity_at_zero_and_increase_everywhere():
    x = torch.linspace(-6, 6, 1001, dtype=torch.float64)
    z, log_slope = spline(x, torch.zeros(14, 1001, dtype=torch.float64), 3.0)
    torch.testing.assert_close(z, x)
    torch.testing.assert_close(log_slope, torch.zeros_like(x), atol=1e-12, rtol=0)
    torch.manual_seed(0)
    raw = (5 * torch.randn(14, 1, dtype=torch.float64)).expand(14, 1001)
    z, log_slope = spline(x, raw, 3.0)
    assert (z.diff() > 0).all()
    at_x, at_y, slope = knots(raw[:, 0], 3.0)
    assert (at_x.diff() >= 6 * LEAST * 0.99).all()
    assert (slope > 0).all()
    torch.testing.assert_close(spline(at_x, raw[:, :6], 3.0)[0], at_y)


def test_gradients_of_the_spline_are_those_of_finite_differences_both_ways():
    torch.manual_seed(0)
    raw = torch.randn(14, 2, 3, dtype=torch.float64, requires_grad=True)
    x = (2 * torch.randn(2, 3, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, raw: spline(x, raw, 3.0), (x, raw))
    assert torch.autograd.gradcheck(lambda x, raw: spline_inverse(x, raw, 3.0), (x, raw))


def test_every_plane_has_the_three_flows():
    assert {f"{m}-{t}" for m in ("realnvp", "spline", "maf") for t in TOYS} <= RECIPES.keys()


@pytest.mark.parametrize("name", ["realnvp-moons", "spline-moons", "maf-moons", "glow-mnist", "realnvp-mnist"])
def test_recipes_build(name):
    recipe = RECIPES[name]
    assert isinstance(recipe, Recipe)
    shape = (1, 28, 28) if "mnist" in name else (2,)
    model = recipe.model.build(shape)
    assert model.players.keys() == {"flow"}
