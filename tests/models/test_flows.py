"""Flows: exact inverses, exact log-determinants, exact densities."""

from __future__ import annotations

import math

import pytest
import torch
from networks import perturbed
from torch import Tensor, nn

from triptych.core import Clock, Data
from triptych.errors import UserError
from triptych.metrics.comparison import Comparison
from triptych.metrics.round_trip import RoundTrip
from triptych.models import FlowModel
from triptych.models.flows.autoregressive import MAF
from triptych.models.flows.coupling import NSF, RealNVP
from triptych.objectives.flow import NLL

VECTORS = [RealNVP(layers=4, width=16), NSF(layers=3, width=16, bins=6), MAF(layers=3, width=16)]
IDS = [type(s).__name__ for s in VECTORS]


def jacobian_log_det(f: nn.Module, x: Tensor) -> Tensor:
    """log |det ∂z/∂x| of single examples from autograd's Jacobian."""
    rows = []
    for one in x:
        j = torch.autograd.functional.jacobian(lambda v: f(v[None])[0][0], one)
        rows.append(torch.linalg.slogdet(j.reshape(one.numel(), one.numel()))[1])
    return torch.stack(rows)


@pytest.mark.parametrize("d", [2, 5])
@pytest.mark.parametrize("spec", VECTORS, ids=IDS)
def test_log_det_is_autograds_and_the_inverse_is_exact(spec, d):
    torch.manual_seed(0)
    model = perturbed(spec.build((d,)).double())
    x = torch.randn(6, d, dtype=torch.float64) * 2
    z, log_det = model.flow(x)
    torch.testing.assert_close(log_det, jacobian_log_det(model.flow, x), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(model.flow.inverse(z), x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("spec", VECTORS, ids=IDS)
def test_far_away_inputs_stay_finite_both_ways(spec):
    torch.manual_seed(0)
    model = perturbed(spec.build((2,)), 0.02)
    far = torch.tensor([[1e4, -1e4], [-1e4, 1e4], [1e4, 0.0], [0.0, -1e4], [1e2, 3.0], [0.0, 0.0]])
    x = far.clone().requires_grad_()
    log_p = model.log_prob(x)
    log_p.sum().backward()
    assert torch.isfinite(log_p).all()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    back = model.decode(model.encode(far))
    assert ((back - far).abs().amax(1) <= 1e-4 * far.abs().amax(1).clamp_min(1)).all()
    z = far.clone().requires_grad_()
    model.decode(z).sum().backward()
    assert z.grad is not None
    assert torch.isfinite(z.grad).all()


@pytest.mark.parametrize("spec", VECTORS, ids=IDS)
def test_density_integrates_to_one(spec):
    torch.manual_seed(0)
    model = perturbed(spec.build((2,)).double(), 0.05)
    axis = torch.linspace(-9, 9, 361, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    mass = model.log_prob(grid).exp().sum() * (axis[1] - axis[0]) ** 2
    assert mass.item() == pytest.approx(1, abs=2e-3)


def test_columns_are_made_normal_before_the_first_step():
    """Two tight clusters and a skewed column: after `fit` each is within 0.035 of Φ (a knot per 3 %)."""
    torch.manual_seed(0)
    n = 20_000
    x = torch.stack([torch.randn(n) * 0.02 + torch.randint(0, 2, (n,)) * 5.0, torch.rand(n).log()], 1)
    model = NSF(layers=2).build((2,))
    NLL().prepare(model, Data("table", x))
    z = model.encode(x).detach().sort(dim=0).values
    ideal = torch.distributions.Normal(0.0, 1.0).cdf(z)
    assert (ideal - torch.linspace(0, 1, n)[:, None]).abs().max() < 0.035


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.tensor([[1.0, 2.0]]), "1 row; a density"),
        (torch.tensor([[1.0, 2.0], [1.0, 3.0]]), "a of table is constant"),
        (torch.tensor([[1.0, 2.0], [3.0, math.nan]]), r"row 2, b"),
    ],
)
def test_tables_without_a_density_are_refused_by_name(x, message):
    model = RealNVP().build((2,))
    with pytest.raises(UserError, match=message):
        NLL().check(model, Data("table", x, columns=("a", "b")))


def test_the_density_is_in_the_units_of_the_table():
    """Scaling a column by 1000 changes every log density by −log 1000, and nothing else."""
    torch.manual_seed(0)
    x = torch.randn(500, 2) @ torch.tensor([[1.0, 0.5], [0.0, 2.0]]) + 3
    model = RealNVP(layers=2).build((2,))
    NLL().prepare(model, Data("table", x))
    before = model.log_prob(x)
    scaled = x * torch.tensor([1000.0, 1.0])
    NLL().prepare(model, Data("table", scaled))
    torch.testing.assert_close(model.log_prob(scaled), before - math.log(1000), rtol=1e-4, atol=1e-4)


def test_a_step_is_one_joint_move_of_the_negative_log_likelihood():
    torch.manual_seed(0)
    model = RealNVP(layers=2, width=8).build((2,))
    x = torch.randn(16, 2)
    (move,) = NLL().step(model, iter([x]), Clock(0, 0, 0.0))
    assert move.names == ("flow",)
    # At the start the flow is the identity, so the loss is the standard normal's.
    expected = (0.5 * x.square().sum(1) + math.log(2 * math.pi)).mean()
    torch.testing.assert_close(move.loss, expected)


def test_grey_levels_are_recovered_exactly_and_the_noise_stays_in_its_bin():
    model = FlowModel((1, 16, 16), RealNVP(layers=1).build((2,)).flow)
    k = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    x = k.float().div(127.5).sub(1)
    for _ in range(50):
        y, log_q = model.dequantise(x)
        assert torch.equal(((y + 1) * 128).floor(), k.float())
        assert log_q.eq(0).all()


def test_every_row_of_a_table_counts_before_the_first_step():
    """A sorted table, longer than what is looked at of pictures, with a column that varies late."""
    x = torch.linspace(-1, 1, 150_000)[:, None].repeat(1, 2)
    x[:120_000, 1] = 0.25
    model, data = RealNVP(layers=2, width=4).build((2,)), Data("sorted", x)
    NLL().check(model, data)
    NLL().prepare(model, data)
    z = model.encode(x)
    torch.testing.assert_close(z.mean(0), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(z.std(0), torch.ones(2), atol=1e-3, rtol=0)


def test_an_inverse_that_fails_is_not_called_exact():
    """NaN on the way back is NaN in the number, in the log and in the metric, and null in the files."""

    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.scale * x, x.new_zeros(len(x))

        def inverse(self, z: Tensor) -> Tensor:
            return z.clone().fill_(math.nan)

    model = RealNVP(layers=2, width=4).build((2,))
    model.flow = Broken()
    points = torch.randn(20, 2)
    assert math.isnan(NLL().validate(model, [points], Clock(0, 0, 0.0))["round_trip"])
    real = Data("points", points)
    found = RoundTrip()(Comparison(real, real, model=model, objective=NLL(), train=real))["round_trip"]
    assert found.value is None or math.isnan(found.value)


def test_the_metric_is_the_largest_error_of_the_round_trip():
    model = perturbed(NSF(layers=2, width=8, bins=4).build((3,)))
    real = Data("points", torch.randn(300, 3))
    found = RoundTrip()(Comparison(real, real, model=model, objective=NLL(), train=real))["round_trip"].value
    with torch.no_grad():
        worst = (model.flow.inverse(model.flow(real.x)[0]) - real.x).abs().max().item()
    assert found == pytest.approx(worst, rel=0.5)
    assert 0 < found < 1e-4
