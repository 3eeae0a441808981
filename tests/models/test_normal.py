"""The quotient of polynomials that stands in for the normal quantile."""

from __future__ import annotations

import torch

from triptych.models.layers.normal import quantile, rational


def test_the_quotient_is_the_quantile():
    tails = torch.logspace(-300, -1, 2_000, dtype=torch.float64)
    p = torch.cat([tails, torch.linspace(1e-3, 0.999, 2_001, dtype=torch.float64), 1 - tails[tails > 1e-15]])
    torch.testing.assert_close(rational(p), torch.special.ndtri(p), rtol=1e-12, atol=1e-14)
    assert torch.equal(quantile(p), torch.special.ndtri(p))


def test_in_float32_too():
    p = torch.cat([torch.logspace(-37, -1, 1_000), torch.linspace(0.01, 0.99, 999)])
    torch.testing.assert_close(rational(p), torch.special.ndtri(p), rtol=2e-6, atol=1e-6)
