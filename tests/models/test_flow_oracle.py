"""The same knots, scales and shifts through zuko's transforms give the same values and log-determinants."""

from __future__ import annotations

import pytest
import torch

from triptych.core import Clock, Data
from triptych.errors import UserError
from triptych.models.flows.autoregressive import MaskedAutoregressive
from triptych.models.flows.coupling import AffineCoupling, conditioner
from triptych.models.flows.zuko import Zuko, adapt
from triptych.models.layers.spline import knots, spline, spline_inverse
from triptych.objectives.flow import NLL

zuko = pytest.importorskip("zuko")


def close(ours, theirs) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)


def randomised(module):
    module = module.double()
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return module


def test_spline_and_its_inverse():
    torch.manual_seed(0)
    bins, bound = 7, 3.0
    raw = torch.randn(3 * bins - 1, 500, dtype=torch.float64)
    x = torch.randn(500, dtype=torch.float64) * 2
    theirs = zuko.transforms.MonotonicRQSTransform(
        *torch.zeros(3, 500, bins, dtype=torch.float64)[:2],
        torch.zeros(500, bins - 1, dtype=torch.float64),
        bound=bound,
    )
    theirs.horizontal, theirs.vertical, theirs.derivatives = (k.T.contiguous() for k in knots(raw, bound))
    z, log_slope = spline(x, raw, bound)
    y, log_det = theirs.call_and_ladj(x)
    close(z, y)
    close(log_slope, log_det)
    close(spline_inverse(z, raw, bound), x)
    close(spline_inverse(x, raw, bound), theirs.inv(x))


def test_affine_coupling():
    torch.manual_seed(0)
    ours = randomised(AffineCoupling(3, conditioner(3, 4, 8, 1)))
    x = torch.randn(50, 5, dtype=torch.float64)
    mask = torch.tensor([True, True, True, False, False])

    def meta(a):
        s, t = ours.scale_and_shift(a)
        return zuko.transforms.DependentTransform(Affine(t, s.exp()), 1)

    theirs = zuko.transforms.CouplingTransform(meta, mask)
    z, log_det = ours(x)
    y, ladj = theirs.call_and_ladj(x)
    close(z, y)
    close(log_det, ladj)


def test_masked_autoregressive():
    torch.manual_seed(0)
    ours = randomised(MaskedAutoregressive(4, [16, 16]))
    x = torch.randn(50, 4, dtype=torch.float64)

    def meta(seen):
        s, t = ours.scale_and_shift(seen)
        return zuko.transforms.DependentTransform(Affine(t, s.exp()), 1)

    theirs = zuko.transforms.AutoregressiveTransform(meta, passes=4)
    z, log_det = ours(x)
    y, ladj = theirs.call_and_ladj(x)
    close(z, y)
    close(log_det, ladj)
    close(ours.inverse(z), theirs.inv(y))


def Affine(shift, scale):
    return torch.distributions.AffineTransform(shift, scale)


@pytest.mark.parametrize("name", ["NSF", "MAF", "NICE"])
def test_a_zuko_flow_is_a_model(name):
    torch.manual_seed(0)
    model = Zuko(name, transforms=2, width=16).build((3,))
    x = torch.randn(200, 3) * 5 + 2
    NLL().prepare(model, Data("table", x))
    z = model.encode(x)
    assert z.shape == (200, 3)
    torch.testing.assert_close(model.decode(z), x, rtol=1e-3, atol=1e-3)
    inside = model.flow.parts[0](x)[0]
    std = model.flow.parts[0].std
    expected = model.flow.parts[1].flow().log_prob(inside) - std.log().sum()
    torch.testing.assert_close(model.log_prob(x), expected)
    (move,) = NLL().step(model, iter([x]), Clock(0, 0, 0.0))
    move.loss.backward()
    assert model.sample(5).shape == (5, 3)


def test_a_zuko_flow_with_another_base_is_refused():
    with pytest.raises(UserError, match="base"):
        adapt(zuko.flows.NCSF(features=2), (2,))
