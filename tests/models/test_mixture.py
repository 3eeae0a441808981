"""A mixture of Gaussians as a bijection to N(0, I)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from triptych.errors import UserError
from triptych.models.flows.coupling import RealNVP
from triptych.models.layers.mixture import ToNormal


def made(d: int, k: int, dtype: torch.dtype = torch.float64) -> ToNormal:
    """A mixture of unequal weights and deviations."""
    torch.manual_seed(0)
    found = ToNormal(d, k).to(dtype)
    torch.nn.init.normal_(found.raw, std=0.5)
    torch.nn.init.normal_(found.log_weights)
    return found


def density(t: ToNormal, x: Tensor) -> Tensor:
    """The mixture's own log density, by torch's distributions."""
    parts = torch.distributions.Independent(torch.distributions.Normal(t.means, t.deviations), 1)
    weights = torch.distributions.Categorical(logits=t.log_weights)
    return torch.distributions.MixtureSameFamily(weights, parts).log_prob(x)


@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-7), (torch.float32, 1e-5)])
def test_the_inverse_is_one(dtype, error):
    t = made(3, 5, dtype)
    z = torch.randn(2_000, 3, dtype=dtype)
    back, _ = t(t.inverse(z))
    assert (back - z).abs().max() < error


def test_the_density_is_that_of_the_mixture():
    t = made(3, 5)
    x = 2 * torch.randn(500, 3, dtype=torch.float64)
    z, log_det = t(x)
    log_p = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1) + log_det
    torch.testing.assert_close(log_p, density(t, x), rtol=0, atol=1e-9)


def test_the_jacobian_and_its_inverse():
    t = made(3, 4)
    x = torch.randn(1, 3, dtype=torch.float64)
    forward = torch.func.jacrev(lambda x: t(x[None])[0][0])(x[0])
    z, log_det = t(x)
    back = torch.func.jacrev(lambda z: t.inverse(z[None])[0])(z[0].detach())
    assert torch.linalg.slogdet(forward)[1].item() == pytest.approx(log_det.item(), abs=1e-9)
    torch.testing.assert_close(back @ forward, torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-6)


def test_samples_have_the_moments_of_the_mixture():
    """Means of 100,000 within five standard errors: fails once in a million."""
    t = made(2, 4)
    x = t.inverse(torch.randn(100_000, 2, dtype=torch.float64))
    w = t.log_weights.softmax(0)[:, None]
    mean = (w * t.means).sum(0)
    variance = (w * (t.deviations.square() + t.means.square())).sum(0) - mean.square()
    assert ((x.mean(0) - mean).abs() < 5 * (variance / 100_000).sqrt()).all()
    torch.testing.assert_close(x.var(0), variance, rtol=0.05, atol=0)


def test_far_outside_all_is_finite():
    t = made(2, 4, torch.float32)
    x = torch.tensor([[30.0, -30.0], [-1e4, 1e4]], requires_grad=True)
    z, log_det = t(x)
    log_p = -0.5 * z.square().sum(1) + log_det
    (slope,) = torch.autograd.grad(log_p.sum(), x)
    assert torch.isfinite(torch.cat([z.flatten(), log_det, slope.flatten()])).all()


def test_a_flow_with_a_mixture_and_one_without():
    def mixtures(components: int) -> int:
        return sum(
            isinstance(m, ToNormal) for m in RealNVP(layers=2, width=8, components=components).build((2,)).modules()
        )

    assert (mixtures(3), mixtures(0)) == (1, 0)
    for wrong in (-1, 10**6):
        with pytest.raises(UserError, match=r"model.components is"):
            RealNVP(components=wrong)
