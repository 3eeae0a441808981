"""Flows of pictures: exact inverses and densities, all of z reachable, bits per dimension."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from triptych.core import Clock, Data
from triptych.core.units import bits_per_dim
from triptych.errors import UserError
from triptych.models import FlowModel
from triptych.models.flows.multiscale import Dequantizer, Glow, MultiScaleRealNVP, Quantiles
from triptych.objectives.flow import NLL

SPECS = [
    Glow(levels=2, steps=2, width=8),
    Glow(levels=1, steps=1, width=8, preprocess="logit"),
    MultiScaleRealNVP(levels=2, couplings=1, width=8),
    MultiScaleRealNVP(levels=2, couplings=2, width=8, preprocess="logit", dequantise="variational"),
    Glow(levels=1, steps=1, width=8, preprocess="quantiles"),
]


def made(spec: Glow | MultiScaleRealNVP, shape: tuple[int, ...]) -> FlowModel:
    """Initialised by data, then moved away from its start; float64."""
    torch.manual_seed(0)
    model = spec.build(shape).double().train()
    grey = (256 * torch.rand(50, *shape) ** 3).to(torch.uint8)
    NLL().prepare(model, Data("grey", grey))
    model.log_prob(torch.rand(8, *shape, dtype=torch.float64))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return model.eval()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("spec", SPECS)
def test_log_det_is_autograds_and_decode_inverts_encode(spec, channels):
    shape = (channels, 4, 8)
    model = made(spec, shape)
    x = torch.rand(3, *shape, dtype=torch.float64)
    z = model.encode(x)
    assert z.shape == (3, model.latent)
    torch.testing.assert_close(model.decode(z).double(), x, rtol=0, atol=1e-7)
    jacobian = torch.autograd.functional.jacobian(lambda v: model.encode(v[None])[0], x[0])
    log_det = torch.linalg.slogdet(jacobian.reshape(model.latent, model.latent))[1]
    base = -0.5 * (z[0].square().sum() + model.latent * math.log(2 * math.pi))
    torch.testing.assert_close(model.log_prob(x[:1])[0], base + log_det, rtol=1e-10, atol=1e-8)


def test_every_number_of_z_reaches_the_picture():
    """Latents that leave at an early level are part of z: changing any of them changes what is decoded."""
    model = made(SPECS[0], (1, 8, 8))
    z = model.encode(torch.full((1, 1, 8, 8), 0.5, dtype=torch.float64))
    jacobian = torch.autograd.functional.jacobian(lambda v: model.flow.inverse(v[None])[0].flatten(), z[0])
    assert torch.linalg.matrix_rank(jacobian) == 64


def test_a_uniform_density_costs_exactly_the_bits_of_the_grey_levels():
    shape = (3, 8, 8)
    assert bits_per_dim(torch.zeros(5), shape).tolist() == [8.0] * 5
    assert bits_per_dim(torch.zeros(1), shape, levels=32).item() == 5.0


def test_the_logit_alone_is_the_logistic_density_of_its_range():
    """One pixel-wise logit, nothing learned: log p(x) = Σ log N(logit p) + log slope, in closed form."""
    model = MultiScaleRealNVP(levels=1, couplings=1, preprocess="logit").build((1, 2, 2)).double().eval()
    x = torch.rand(4, 1, 2, 2, dtype=torch.float64)
    p = 0.025 + 0.95 * x
    normal = torch.distributions.Normal(0.0, 1.0)
    expected = (normal.log_prob(torch.logit(p)) + (0.95 / (p * (1 - p))).log()).flatten(1).sum(1)
    torch.testing.assert_close(model.log_prob(x), expected)


def test_all_images_are_counted_and_not_transformed(monkeypatch):
    """Of 50,000 pictures that takes half a minute and gigabytes, and nobody looks at the outcome."""
    monkeypatch.setattr(Quantiles, "forward", lambda *_: pytest.fail("transformed"))
    model = Glow(levels=1, steps=1, width=4, preprocess="quantiles").build((1, 8, 8))
    NLL().prepare(model, Data("black", torch.zeros(20, 1, 8, 8, dtype=torch.uint8)))
    (head,) = (part for part in model.flow.modules() if isinstance(part, Quantiles))
    assert head.cumulative[0, 1] == pytest.approx((20 * 64 + 1) / (20 * 64 + 256))


def test_quantiles_alone_cost_the_entropy_of_the_grey_levels():
    """Independent pixels of a known histogram: the bits per dimension are its entropy (within 5 s.e. and smoothing)."""
    torch.manual_seed(0)
    model = Glow(levels=1, steps=1, width=4, preprocess="quantiles").build((1, 8, 8)).eval()
    grey = torch.where(torch.rand(2000, 1, 8, 8) < 0.75, 0, 200).to(torch.uint8)
    NLL().prepare(model, Data("grey", grey))
    out = NLL().validate(model, [grey / 127.5 - 1], Clock(0, 0, 0.0))
    entropy = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))
    assert out["bits_per_dim"] == pytest.approx(entropy, abs=0.02)
    assert out["round_trip"] < 1e-4


@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan, math.inf])
def test_values_outside_the_unit_cube_are_refused(value):
    x = torch.full((2, 1, 4, 4), 0.5)
    x[1, 0, 2, 2] = value
    model = Glow(levels=1, steps=1, width=4).build((1, 4, 4))
    with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
        model.log_prob(x)


def test_sides_that_cannot_be_halved_are_refused_with_the_way_out():
    with pytest.raises(UserError, match="divisible by 8"):
        Glow(levels=3).build((1, 28, 28))
    with pytest.raises(UserError, match="vectors"):
        Glow().build((2,))


def test_learned_noise_is_a_density_on_the_unit_cube():
    """E_q[1 / q(u)] is the volume of the cube, 1: importance weights with a known mean (5 s.e. of 20,000 draws)."""
    torch.manual_seed(0)
    q = Dequantizer(1, 4, couplings=2).double()
    with torch.no_grad():
        for p in q.parameters():
            p.add_(0.03 * torch.randn_like(p))
    u, log_q = q(torch.zeros(20_000, 1, 2, 2, dtype=torch.float64))
    assert ((u > 0) & (u < 1)).all()
    weight = (-log_q).exp()
    assert abs(weight.mean() - 1) < 5 * weight.std() / math.sqrt(len(weight))


def test_learned_noise_moves_with_the_flow_in_one_move():
    torch.manual_seed(0)
    model = MultiScaleRealNVP(levels=1, couplings=1, width=4, dequantise="variational").build((1, 4, 4))
    x = torch.randint(0, 256, (6, 1, 4, 4)) / 127.5 - 1
    (move,) = NLL().step(model, iter([x]), Clock(0, 0, 0.0))
    assert move.names == ("flow", "dequantizer")
    move.loss.backward()
    assert any(p.grad is not None and bool(p.grad.ne(0).any()) for p in model.players["dequantizer"].parameters())


def test_only_convolutions_may_run_in_reduced_precision():
    model = Glow(levels=1, steps=1, width=4).build((1, 4, 4))
    inside = model.autocast_modules()
    assert inside
    assert all(isinstance(layer, nn.Conv2d) for part in inside for layer in part.children())


def test_validation_reports_what_goes_wrong_first():
    torch.manual_seed(0)
    model = Glow(levels=1, steps=1, width=4).build((1, 4, 4)).eval()
    x = torch.randint(0, 256, (6, 1, 4, 4)) / 127.5 - 1
    with torch.no_grad():
        out = NLL().validate(model, [x, x], Clock(0, 0, 0.0))
        assert out["bits_per_dim"] == pytest.approx(out["nll"] / (16 * math.log(2)) + 8)
        assert out["nonfinite"] == 0
        assert out["round_trip"] < 1e-5
        assert out["max_log_scale"] == 0
        next(model.flow.parameters()).fill_(math.nan)
        assert NLL().validate(model, [x], Clock(0, 0, 0.0))["nonfinite"] == 6
