"""The stronger objectives: their formulas, penalties and augmentation."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core import Data
from triptych.errors import UserError
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.relativistic import Hinge, Relativistic, augmented


def scores(x: Tensor) -> Tensor:
    return x.flatten(1).sum(1)


def smooth(d: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(d, 16), nn.Tanh(), nn.Linear(16, 1)).double()


def test_hinge_on_hand_made_scores() -> None:
    real, fake = torch.tensor([[2.0], [0.5]]), torch.tensor([[-3.0], [0.0]])
    assert Hinge().critic(scores, real, fake).item() == pytest.approx(0.25 + 0.5)
    assert Hinge().generator(scores, real, fake).item() == pytest.approx(1.5)


def test_relativistic_on_hand_made_scores() -> None:
    real, fake = torch.tensor([[2.0], [0.0]]), torch.tensor([[1.0], [3.0]])
    softplus = [math.log1p(math.exp(d)) for d in (-1.0, 3.0)]
    # the slope of the sum of one number is 1 at all four points: γ/2 (1 + 1)
    assert Relativistic(gamma=0.1).critic(scores, real, fake).item() == pytest.approx(sum(softplus) / 2 + 0.1)
    softplus = [math.log1p(math.exp(d)) for d in (1.0, -3.0)]
    assert Relativistic().generator(scores, real, fake).item() == pytest.approx(sum(softplus) / 2)


def test_both_penalties_equal_a_reference_one_example_at_a_time() -> None:
    D, (real, fake) = smooth(6), torch.randn(2, 5, 6, dtype=torch.float64)

    def penalty(examples: Tensor) -> float:
        total = 0.0
        for example in examples:
            x = example.clone().requires_grad_()
            (slope,) = torch.autograd.grad(D(x[None]).squeeze(), x)
            total += slope.square().sum().item()
        return total / len(examples)

    plain = F.softplus((D(fake) - D(real)).flatten()).mean().item()
    expected = plain + 0.7 / 2 * (penalty(real) + penalty(fake))
    assert Relativistic(gamma=0.7).critic(D, real, fake).item() == pytest.approx(expected, rel=1e-12)


def test_relativistic_refuses_a_critic_with_batch_normalisation() -> None:
    D = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    with pytest.raises(UserError, match="batch normalisation"):
        Relativistic().critic(D, torch.randn(3, 2), torch.randn(3, 2))


@pytest.mark.parametrize("objective", [Hinge, Relativistic])
def test_vectors_cannot_be_augmented(objective: type[Hinge | Relativistic]) -> None:
    data = Data("points", torch.randn(4, 2))
    model = MLPGAN(width=4).build(data.shape)
    objective().check(model, data)
    with pytest.raises(UserError, match=r"objective\.augment"):
        objective(augment=("cutout",)).check(model, data)


def test_no_augmentation_changes_nothing() -> None:
    x = torch.randn(2, 3, 8, 8)
    assert augmented(x, ()) is x


@pytest.mark.parametrize("policy", [("color",), ("translation",), ("cutout",), ("color", "translation", "cutout")])
def test_augmentation_is_per_picture_differentiable_and_repeatable(policy: tuple) -> None:
    x = torch.rand(1, 3, 16, 16, dtype=torch.float64).expand(6, -1, -1, -1).clone().requires_grad_()
    torch.manual_seed(0)
    y = augmented(x, policy)
    assert y.shape == x.shape
    assert len(torch.unique(y.detach().flatten(1), dim=0)) > 1
    torch.manual_seed(0)
    assert torch.equal(augmented(x, policy), y)
    (g,) = torch.autograd.grad(y[0].sum(), x)
    assert g[0].abs().sum() > 0
    assert g[1:].abs().sum() == 0


def test_translation_only_moves() -> None:
    torch.manual_seed(0)
    x = torch.arange(256.0).view(1, 1, 16, 16).expand(200, -1, -1, -1)
    y = augmented(x, ("translation",))
    moves = {(int(v) // 16 - 8, int(v) % 16 - 8) for v in y[:, 0, 8, 8]}
    assert moves == {(a, b) for a in range(-2, 3) for b in range(-2, 3)}


def test_cutout_covers_at_most_a_quarter() -> None:
    torch.manual_seed(0)
    hidden = (augmented(torch.ones(500, 1, 16, 16), ("cutout",)) == 0).float().mean((1, 2, 3))
    assert hidden.max() == 0.25
    assert 0.0 < hidden.min() < hidden.mean() < 0.25
