"""What published gradient penalties and adversarial losses get wrong."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from triptych.core import Clock, Undefined
from triptych.errors import UserError
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.gan import GAN, LSGAN, WGAN, WGANGP, gradient_penalty

SHAPES = [(64, 2), (64, 3, 8, 8), (5, 1, 4, 4)]


class UnitSlope(nn.Module):
    """D(x) = ⟨u, x⟩ with ‖u‖ = 1: the gradient at every example has norm 1."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        u = torch.randn(shape, dtype=torch.float64)
        self.u = u / u.norm()

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.u).flatten(1).sum(1)


def smooth(d: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(d, 16), nn.Tanh(), nn.Linear(16, 1)).double()


@pytest.mark.parametrize("shape", SHAPES)
def test_penalty_of_a_unit_slope_critic_is_zero(shape: tuple[int, ...]) -> None:
    real, fake = torch.randn(2, *shape, dtype=torch.float64)
    assert gradient_penalty(UnitSlope(shape[1:]), real, fake).item() < 1e-20


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("k", [0.0, 3.0])
def test_penalty_of_a_linear_critic_is_its_slope(shape: tuple[int, ...], k: float) -> None:
    real, fake = torch.randn(2, *shape, dtype=torch.float64)
    D = UnitSlope(shape[1:])
    assert gradient_penalty(lambda x: k * D(x), real, fake).item() == pytest.approx((k - 1) ** 2)


@pytest.mark.parametrize("shape", SHAPES)
def test_interpolates_lie_between_their_own_pair(shape: tuple[int, ...]) -> None:
    """One ε per example, shared by all of its numbers; real[i] is mixed with fake[i]."""
    seen = []

    def D(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.flatten(1).sum(1)

    real, fake = torch.randn(2, *shape, dtype=torch.float64)
    gradient_penalty(D, real, fake)
    (x,) = seen
    assert x.shape == real.shape
    epsilon = ((x - fake) / (real - fake)).flatten(1)
    assert torch.allclose(epsilon, epsilon[:, :1].expand_as(epsilon))
    assert epsilon.min() >= 0
    assert epsilon.max() <= 1
    assert len(epsilon[:, 0].unique()) == len(real)


def test_penalty_equals_a_reference_one_example_at_a_time() -> None:
    D, epsilon = smooth(6), torch.rand(7, dtype=torch.float64)
    real, fake = torch.randn(2, 7, 6, dtype=torch.float64)
    total = 0.0
    for i in range(7):
        x = (epsilon[i] * real[i] + (1 - epsilon[i]) * fake[i]).requires_grad_()
        (slope,) = torch.autograd.grad(D(x[None]).squeeze(), x)
        total += (slope.square().sum().sqrt().item() - 1) ** 2
    assert gradient_penalty(D, real, fake, epsilon).item() == pytest.approx(total / 7, rel=1e-12)


def test_penalty_gradient_equals_finite_differences() -> None:
    D, epsilon = smooth(3), torch.rand(4, dtype=torch.float64)
    real, fake = torch.randn(2, 4, 3, dtype=torch.float64)
    w = next(D.parameters())
    (g,) = torch.autograd.grad(gradient_penalty(D, real, fake, epsilon), w)
    h, (i, j) = 1e-6, (2, 1)
    with torch.no_grad():
        w[i, j] += h
    up = gradient_penalty(D, real, fake, epsilon).item()
    with torch.no_grad():
        w[i, j] -= 2 * h
    down = gradient_penalty(D, real, fake, epsilon).item()
    assert g[i, j].item() == pytest.approx((up - down) / (2 * h), rel=1e-4)


def test_scores_may_be_n_or_n_by_1() -> None:
    column, real, fake = smooth(2), *torch.randn(2, 9, 2, dtype=torch.float64)
    flat = lambda x: column(x).squeeze(1)  # noqa: E731
    for objective in (GAN(), LSGAN(), WGAN(), WGANGP()):
        values = []
        for D in (column, flat):
            torch.manual_seed(3)
            values.append((objective.critic(D, real, fake).item(), objective.generator(D, real, fake).item()))
        assert values[0] == pytest.approx(values[1], rel=1e-12)


def test_gan_equals_the_textbook_on_probabilities() -> None:
    D, real, fake = smooth(2), *torch.randn(2, 50, 2, dtype=torch.float64)
    p, q = D(real).sigmoid(), D(fake).sigmoid()
    assert GAN().critic(D, real, fake).item() == pytest.approx((-(p.log().mean() + (1 - q).log().mean()) / 2).item())
    assert GAN().generator(D, real, fake).item() == pytest.approx((-q.log().mean()).item())
    assert GAN(minimax=True).generator(D, real, fake).item() == pytest.approx((1 - q).log().mean().item())


def test_lsgan_has_both_halves() -> None:
    D, real, fake = smooth(2), *torch.randn(2, 50, 2, dtype=torch.float64)
    by_hand = 0.5 * (D(real) - 1).square().mean() + 0.5 * D(fake).square().mean()
    assert LSGAN().critic(D, real, fake).item() == pytest.approx(by_hand.item())
    assert LSGAN().generator(D, real, fake).item() == pytest.approx((0.5 * (D(fake) - 1).square().mean()).item())


def test_label_smoothing_touches_real_labels_of_the_critic_only() -> None:
    D, real, fake = smooth(2), *torch.randn(2, 400, 2, dtype=torch.float64)
    plain, smoothed = GAN(), GAN(label_smoothing=(0.7, 0.9))
    assert smoothed.generator(D, real, fake).item() == plain.generator(D, real, fake).item()
    p = D(real).squeeze(1)
    fakes = nn.functional.softplus(D(fake)).mean()
    lowest, highest = sorted(
        (-(t * nn.functional.logsigmoid(p) + (1 - t) * nn.functional.logsigmoid(-p)).mean() + fakes).item() / 2
        for t in (0.7, 0.9)
    )
    values = [smoothed.critic(D, real, fake).item() for _ in range(5)]
    assert len(set(values)) == 5, "targets are drawn anew"
    assert all(lowest <= v <= highest for v in values)


def test_batch_norm_is_refused_by_name() -> None:
    D = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    with pytest.raises(ValueError, match="batch normalisation"):
        WGANGP().critic(D, torch.randn(4, 2), torch.randn(4, 2))


def test_a_critic_with_batch_norm_sees_real_and_fake_apart() -> None:
    D = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).double()
    real, fake = torch.randn(8, 2, dtype=torch.float64), torch.randn(8, 2, dtype=torch.float64) + 5
    apart = (-nn.functional.logsigmoid(D(real)).mean() - nn.functional.logsigmoid(-D(fake)).mean()) / 2
    assert GAN().critic(D, real, fake).item() == pytest.approx(apart.item())


@pytest.mark.parametrize("objective", [GAN, LSGAN, WGAN, WGANGP])
def test_no_critic_moves_are_refused(objective: type[GAN]) -> None:
    with pytest.raises(UserError, match="n_critic"):
        objective(n_critic=0)


def test_what_a_single_example_does_not_define_says_why():
    model = MLPGAN(width=8).build((2,))
    clock = Clock(0, 0, 0.0)
    found = GAN().validate(model, [torch.ones(1, 2)], clock)
    assert {k for k, v in found.items() if isinstance(v, Undefined)} == {"d_gap", "diversity"}
    assert "one score" in found["d_gap"].why
    assert "differ" in found["diversity"].why
    found = GAN().validate(model, [torch.randn(8, 2)], clock)
    assert not [v for v in found.values() if isinstance(v, Undefined)]
