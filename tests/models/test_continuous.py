"""Continuous flows: likelihoods, round trips, choices of solver, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from continuous_models import perturbed, plane
from torch import Tensor, nn

from triptych.core import Clock, Data
from triptych.core.model import choose_steps
from triptych.data import load
from triptych.data.batches import Batches
from triptych.errors import UserError
from triptych.models.flows.continuous import ContinuousFlow, OnePassFlow
from triptych.models.flows.coupling import RealNVP
from triptych.models.flows.velocity import VelocityMLP, VelocityUNet
from triptych.models.two_stages import LatentMLP, LatentUNet
from triptych.objectives.flow_matching import FlowMatching, LatentFlowMatching, MeanFlow
from triptych.system.device import place


def pictures(n: int = 6, side: int = 8) -> Tensor:
    return torch.rand(n, 1, side, side, generator=torch.Generator().manual_seed(1))


class Gaussian(nn.Module):
    """The best F of data N(0, s² I): E[(1 − t) x − t z | x_t] / r."""

    def __init__(self, s: float) -> None:
        super().__init__()
        self.s = nn.Parameter(torch.tensor(s))

    def forward(self, seen: Tensor, t: Tensor) -> Tensor:
        t = t.view(-1, *[1] * (seen.dim() - 1))
        variance = (t * self.s).square() + (1 - t).square()
        return seen * (t * (1 - t) * (self.s.square() - 1)) / variance


@pytest.mark.parametrize("d", [2, 5, 65])
def test_the_flow_of_a_gaussian_has_its_density(d: int) -> None:
    """Where the velocity is known, so is the answer; beyond 64 dimensions the probes' error is 0 for this Jacobian."""
    model = ContinuousFlow((d,), Gaussian(0.3), VelocityMLP(tolerance=1e-6)).eval()
    x = 0.3 * torch.randn(20, d)
    want = torch.distributions.Normal(0.0, 0.3).log_prob(x).sum(1)
    torch.testing.assert_close(model.log_prob(x), want, rtol=1e-4, atol=1e-3)
    z = torch.randn(20, d)
    model.choose("rk4", 32)
    torch.testing.assert_close(model.decode(z), 0.3 * z, rtol=1e-3, atol=1e-3)


def test_the_density_integrates_to_one() -> None:
    model = plane(0.1).double()
    axis = torch.linspace(-7, 7, 141, dtype=torch.float64)
    with torch.no_grad():
        mass = model.log_prob(torch.cartesian_prod(axis, axis)).exp().sum() * (axis[1] - axis[0]) ** 2
    assert mass.item() == pytest.approx(1, abs=1e-3)


def test_the_likelihood_agrees_with_a_fine_reference() -> None:
    model, x = plane(0.1), load("8gaussians").x[:50]
    with torch.no_grad():
        found = model.log_prob(x)
        model.double()
        with model.at_tolerance(1e-10):
            reference = model.log_prob(x.double())
    assert (found - reference).abs().max().item() < 1e-3


def test_a_price_does_not_depend_on_what_was_asked_before() -> None:
    model, x = plane(0.1), load("8gaussians").x[:5]
    before = model.cost.likelihood
    with torch.no_grad():
        exact_ones = model.log_prob(x)
        rough = model.log_prob_to_look_at(x)
    assert model.cost.likelihood == before
    assert model.tolerance == 1e-5
    assert 0 < (rough - exact_ones).abs().max().item() < 0.2


def test_the_density_is_that_of_samples_by_change_of_variables() -> None:
    """log p(x) = log N(z) − log |det ∂x/∂z| with autograd's Jacobian of `decode`, at many steps."""
    model = plane(0.1).double()
    model.low.fill_(-math.inf)
    model.high.fill_(math.inf)
    model.choose("rk4", 40)
    z = torch.randn(3, 2, dtype=torch.float64)
    jacobians = [torch.autograd.functional.jacobian(lambda v: carried(model, v), one) for one in z]
    log_det = torch.stack([torch.linalg.slogdet(j)[1] for j in jacobians])
    x = torch.stack([carried(model, one) for one in z])
    want = -0.5 * z.square().sum(1) - math.log(2 * math.pi) - log_det
    torch.testing.assert_close(model.log_prob(x), want, rtol=1e-3, atol=1e-3)


def carried(model: ContinuousFlow, z: Tensor) -> Tensor:
    """One z (2,) to its x in the data's units, in float64."""
    limits = torch.cat([model.low, model.high])[None]
    return (model.carry(z[None], limits) * model.scale + model.centre)[0]


def test_hutchinsons_estimate_is_unbiased() -> None:
    """The mean over 60 draws on ten 6×6 pictures lies within 4 standard errors of the exact trace: fails once in 16,000
    seeds for each picture."""
    torch.manual_seed(0)
    model = VelocityMLP(width=16, octaves=2).build((36,))
    assert isinstance(model, ContinuousFlow)
    perturbed(model, by=0.1)
    x = 0.5 * torch.randn(10, 36)
    with torch.no_grad(), model.at_tolerance(1e-4):
        want = model.log_prob(x)
        signs = []
        for _ in range(60):
            t = torch.full((10, 1), 0.5)
            with torch.enable_grad():
                y = x.clone().requires_grad_()
                v = model.velocity(t, y)
                e = torch.randint(0, 2, x.shape).float() * 2 - 1
                signs.append(model.divergence(y, v, e, graph=False))
        y = x.clone().requires_grad_()
        with torch.enable_grad():
            exactly = model.divergence(y, model.velocity(t, y), x.new_zeros(10, 0), graph=False)
    draws = torch.stack(signs)
    error = (draws.mean(0) - exactly).abs() / (draws.std(0) / 60**0.5)
    assert error.max().item() < 4
    assert torch.isfinite(want).all()


def test_round_trips_at_the_steps_of_the_recipe() -> None:
    model, x = plane(0.1, solver="rk4", steps=16), load("8gaussians").x[:200]
    with torch.no_grad():
        assert (model.decode(model.encode(x)) - x).abs().max().item() <= 1e-3


def test_samples_stay_in_the_range_of_the_data_and_do_not_depend_on_the_batch() -> None:
    for solver in ("heun", "dopri5"):
        model = plane(0.3, solver=solver, tolerance=1e-3)
        x = model.sample(50, seed=3)
        torch.testing.assert_close(x, model.sample(50, seed=3, batch=7), rtol=1e-4, atol=1e-4)
        inside = ((x - model.centre) / model.scale).clamp(model.low - 0.1, model.high + 0.1)
        torch.testing.assert_close(inside, (x - model.centre) / model.scale)


def test_everything_is_differentiable() -> None:
    model = plane(0.1)
    x = load("8gaussians").x[:4].clone().requires_grad_()
    for f in (model.encode, model.log_prob, model.decode):
        (g,) = torch.autograd.grad(f(x).sum(), x)
        assert torch.isfinite(g).all()
        assert g.abs().max() > 0
    model.log_prob(x.detach()).sum().backward()
    assert all(p.grad is not None for p in model.flow.parameters())


def test_points_far_away_have_finite_numbers() -> None:
    model = plane(0.1)
    far = torch.tensor([[50.0, -50.0], [0.0, 100.0]])
    with torch.no_grad():
        assert torch.isfinite(model.log_prob(far)).all()
        assert torch.isfinite(model.encode(far)).all()
        assert torch.isfinite(model.decode(far)).all()


def test_pictures_have_likelihoods_and_round_trips() -> None:
    torch.manual_seed(0)
    model = VelocityUNet(width=8, steps=24, tolerance=1e-3).build((1, 12, 12))
    assert isinstance(model, ContinuousFlow)
    model.fit(pictures(50, 12) * 2 - 1)
    perturbed(model, by=0.02)
    x = pictures(2, 12)
    with torch.no_grad():
        assert torch.isfinite(model.log_prob(x)).all()
        assert (model.decode(model.encode(x)) - x).abs().max().item() < 5e-3
    with pytest.raises(UserError, match=r"outside \[0, 1\]"):
        model.log_prob(x * 2)


# ------------------------------------------------------------------------------------------- choices and refusals


def test_solver_and_steps_are_chosen_after_training() -> None:
    model = plane()
    assert model.cost.sample == 16
    choose_steps(model, "rk4", 10)
    assert model.cost.sample == 40
    choose_steps(model, "dopri5", None)
    model.sample(10)
    assert 7 <= model.cost.sample < 500
    assert model.cost.likelihood > 100


@pytest.mark.parametrize(
    ("solver", "steps", "said"),
    [
        (None, 0, "0 steps were asked for; give 1 to 10,000"),
        ("magic", None, "no solver 'magic'; choose euler, midpoint, heun, rk4, dopri5"),
    ],
)
def test_steps_and_solvers_that_there_are_not(solver: str | None, steps: int | None, said: str) -> None:
    with pytest.raises(UserError, match=said):
        choose_steps(plane(), solver, steps)


def test_few_steps_keep_how_different_in_brightness_pictures_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of Gaussian pictures with a brightness of their own the network is known, and any loss is one of the steps.

    Eight steps with the times of vectors left a sixth of the deviation; with those of pictures half is left at least,
    and all of it with many.
    """
    torch.manual_seed(0)
    model = VelocityUNet(width=32, blocks=1).build((3, 32, 32)).eval()
    scale, shared, d = 0.1, 0.3, 3 * 32 * 32  # small, so that no picture is clipped
    model.scale.fill_(scale)
    model.low.fill_(-99.0)
    model.high.fill_(99.0)
    one = torch.full((d,), d**-0.5)

    def network(seen: Tensor, t: Tensor) -> Tensor:
        along = (seen @ one)[:, None] * one

        def part(x: Tensor, variance: float) -> Tensor:
            # ((1 − t) E[x | x_t] − t E[z | x_t]) / r along a direction of this variance, of x_t / r
            return t * (1 - t) * (variance - 1) / ((1 - t) ** 2 + variance * t**2) * x

        return part(along, shared * d + 1 - shared) + part(seen - along, 1 - shared)

    monkeypatch.setattr(model, "network", network)
    z = torch.randn(500, d)

    def brightness(steps: int) -> float:
        model.steps = steps
        x = (model.decode(z) * 2 - 1) / scale
        return x.flatten(1).mean(1).std().item() / (shared + (1 - shared) / d) ** 0.5

    assert brightness(8) > 0.5
    assert brightness(100) == pytest.approx(1, abs=0.1)  # of 500 pictures, three standard errors


def test_models_of_one_pass_take_no_steps() -> None:
    with pytest.raises(UserError, match="takes no steps"):
        choose_steps(RealNVP(layers=2, width=8).build((2,)), None, 4)


def refused(f, *args, **how) -> str:
    with pytest.raises(UserError) as e:
        f(*args, **how)
    return str(e.value)


def test_what_cannot_be_built_is_refused_in_a_line() -> None:
    assert "divisible by 4" in refused(VelocityUNet().build, (1, 30, 30))
    assert "use VelocityMLP" in refused(VelocityUNet().build, (2,))
    assert "use VelocityUNet" in refused(VelocityMLP().build, (1, 8, 8))
    assert "cannot be kept" in refused(VelocityMLP, tolerance=1e-9)
    assert "must be above 0" in refused(VelocityMLP, steps=0)
    assert "no smaller than the images'" in refused(LatentUNet(codes=64, side=4).build, (1, 16, 16))
    assert "cannot be halved to codes of side 4" in refused(LatentUNet().build, (1, 28, 28))
    assert "no smaller than the images'" in refused(LatentMLP(codes=256).build, (1, 16, 16))
    assert "needs square images" in refused(LatentMLP().build, (1, 16, 24))
    assert "multiple of 4" in refused(VelocityUNet, width=6)


def test_stages_of_a_flow_of_vectors_move_their_own_networks() -> None:
    """First encoder and decoder, then the flow alone: by the error of each, which falls."""
    torch.manual_seed(0)
    data = load("glyphs", resolution=16, channels=1)
    model = LatentMLP(codes=8, width=4, flow_width=32, flow_depth=1).build(data.shape)
    objective = LatentFlowMatching(share=0.5)
    batches = Batches(data, 64, 0, torch.device("cpu"))
    optimizers = {part: torch.optim.Adam(getattr(model, part).parameters(), 3e-3) for part in model.sampling}
    losses = list[float]()
    for i in range(240):
        clock = Clock(i, 64 * i, i / 240)
        before = {part: [w.clone() for w in getattr(model, part).parameters()] for part in model.sampling}
        for move in objective.step(model, batches, clock):
            for optimizer in optimizers.values():
                optimizer.zero_grad()
            move.loss.backward()
            for part in move.names:
                optimizers[part].step()
            losses.append(move.loss.item())
        moved = {
            part
            for part in model.sampling
            if any(not torch.equal(a, b) for a, b in zip(before[part], getattr(model, part).parameters(), strict=True))
        }
        assert moved <= ({"encoder", "decoder"} if i < 120 else {"flow"})
        assert moved
    first, last = losses[:120], losses[120:]
    assert sum(first[-20:]) < 0.6 * sum(first[:20])
    assert sum(last[-20:]) < 0.95 * sum(last[:20])


def test_a_mean_velocity_has_no_likelihood_and_says_why() -> None:
    model = VelocityMLP(width=8, one_pass=True).build((2,))
    assert isinstance(model, OnePassFlow)
    with pytest.raises(TypeError, match="solves no equation"):
        model.log_prob(torch.zeros(1, 2))
    with pytest.raises(TypeError):
        model.encode(torch.zeros(1, 2))
    assert model.sample(5).shape == (5, 2)
    model.choose(steps=4)
    assert model.cost.sample == 4


def test_objectives_refuse_the_models_of_others() -> None:
    data, images = load("8gaussians"), Data("pictures", torch.zeros(9, 1, 8, 8, dtype=torch.uint8))
    one_pass, flow = VelocityMLP(one_pass=True).build((2,)), VelocityMLP().build((2,))
    assert "use VelocityMLP" in refused(FlowMatching().check, one_pass, data)
    assert "--model.one-pass" in refused(MeanFlow().check, flow, data)
    assert "coupling independent" in refused(
        FlowMatching(coupling="transport").check, VelocityUNet(width=8).build((1, 8, 8)), images
    )


def test_one_pass_is_learned_by_networks_of_images() -> None:
    """As they are laid out for a processor, where PyTorch's forward derivative of a normalisation is not defined."""
    data, cpu = Data("pictures", (255 * pictures(64)).to(torch.uint8)), torch.device("cpu")
    model = place(perturbed(VelocityUNet(width=8, one_pass=True).build((1, 8, 8))), cpu, "fp32")
    objective = MeanFlow()
    objective.prepare(model, data)
    for move in objective.step(model, Batches(data, 8, 0, cpu), Clock(0, 0, 0.0)):
        move.loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
