"""Solvers of ordinary differential equations: their order, their tolerance, and that rows do not see each other."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from triptych.errors import UserError
from triptych.models.flows import ode


def spin(t: Tensor, x: Tensor, beside: Tensor) -> Tensor:
    """dx/dt = (1 + sin 3t) J x, whose solution turns x by t + (1 − cos 3t) / 3."""
    return (1 + (3 * t).sin()) * torch.stack([-x[:, 1], x[:, 0]], 1)


def turned(x: Tensor, t: float) -> Tensor:
    angle = t + (1 - math.cos(3 * t)) / 3
    c, s = math.cos(angle), math.sin(angle)
    return torch.stack([c * x[:, 0] - s * x[:, 1], s * x[:, 0] + c * x[:, 1]], 1)


def start(n: int = 5) -> Tensor:
    return torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def none(x: Tensor) -> Tensor:
    return x.new_zeros(len(x), 0)


@pytest.mark.parametrize("solver", ode.SOLVERS)
def test_the_error_falls_as_the_order_says(solver: str) -> None:
    """Twice the steps: 2^order times less, within 15 % of the exponent."""
    x, errors = start(), []
    for steps in (32, 64, 128):
        times = [2 * i / steps for i in range(steps + 1)]
        errors.append((ode.fixed(spin, x, times, solver, none(x)) - turned(x, 2.0)).norm().item())
    for coarse, fine in itertools.pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(ode.TABLEAUS[solver].order, rel=0.15)


@pytest.mark.parametrize("solver", ode.SOLVERS)
def test_the_weights_of_a_method_add_up(solver: str) -> None:
    t = ode.TABLEAUS[solver]
    assert sum(t.b) == pytest.approx(1, abs=1e-14)
    for c, a in zip(t.c, t.a, strict=True):
        assert sum(a) == pytest.approx(c, abs=1e-12)
    assert not t.lower or sum(t.lower) == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("tolerance", [1e-4, 1e-7, 1e-10])
@pytest.mark.parametrize("back", [False, True])
def test_the_tolerance_is_kept(tolerance: float, back: bool) -> None:
    x = start()
    ends = (2.0, 0.0) if back else (0.0, 2.0)
    found, evaluations = ode.adaptive(spin, turned(x, 2.0) if back else x, *ends, tolerance, none(x))
    assert (found - (x if back else turned(x, 2.0))).abs().max().item() < 30 * tolerance
    assert 7 <= evaluations < 3000


def test_a_row_is_solved_alike_in_every_batch() -> None:
    x = start(6) * torch.tensor([0.1, 1, 3, 10, 0.5, 30], dtype=torch.float64)[:, None]
    speed = torch.linspace(0.1, 20, 6, dtype=torch.float64)[:, None]

    def field(t: Tensor, x: Tensor, beside: Tensor) -> Tensor:
        return beside * spin(t, x, beside)

    together, _ = ode.adaptive(field, x, 0.0, 1.0, 1e-6, speed)
    alone = torch.cat([ode.adaptive(field, x[i : i + 1], 0.0, 1.0, 1e-6, speed[i : i + 1])[0] for i in range(6)])
    torch.testing.assert_close(together, alone, rtol=1e-13, atol=1e-13)


def test_solutions_are_differentiable() -> None:
    x = start().requires_grad_()
    for solved in (
        ode.fixed(spin, x, [i / 32 for i in range(33)], "rk4", none(x)),
        ode.adaptive(spin, x, 0.0, 1.0, 1e-8, none(x))[0],
    ):
        (g,) = torch.autograd.grad(solved[:, 0].sum(), x)
        (want,) = torch.autograd.grad(turned(x, 1.0)[:, 0].sum(), x)
        torch.testing.assert_close(g, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tolerance", [0.0, 1e-9, 0.5, math.nan])
def test_a_tolerance_that_rounding_forbids_is_refused(tolerance: float) -> None:
    with pytest.raises(UserError, match=r"cannot be kept; give 1e-07 to 0\.01"):
        ode.check_tolerance(tolerance)


def test_a_field_with_a_pole_is_given_up_in_words() -> None:
    with pytest.raises(UserError, match="steps become too small or too many"):
        ode.adaptive(lambda t, x, _: x / (0.5 - t).square(), start().float(), 0.0, 1.0, 1e-6, none(start()).float())


def test_no_rows_are_solved_to_none() -> None:
    x = start(0)
    assert ode.adaptive(spin, x, 0.0, 1.0, 1e-6, none(x))[0].shape == (0, 2)
