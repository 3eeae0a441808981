"""The gradient that penalties take, and the hook that a compiler fills."""

import gc

import pytest
import torch
from torch import nn

from triptych.objectives.gan import gradient_penalty
from triptych.objectives.gradients import compiled, input_gradient, scores_and_gradient


def test_gradient_of_a_quadratic_is_known_and_reaches_the_weights():
    a = torch.tensor([1.0, -2.0, 3.0], requires_grad=True)
    x = torch.randn(5, 3)
    scores, gradient = scores_and_gradient(lambda x: (a * x.square()).sum(1), x)
    torch.testing.assert_close(scores, (a * x.square()).sum(1))
    torch.testing.assert_close(gradient, 2 * a * x)
    assert torch.equal(input_gradient(lambda x: (a * x.square()).sum(1), x), gradient)
    (found,) = torch.autograd.grad(gradient.sum(), a)
    torch.testing.assert_close(found, 2 * x.sum(0))
    assert not x.requires_grad


def test_what_fills_the_hook_of_a_critic_is_used_for_it_alone():
    D, other, x = nn.Linear(2, 1), nn.Linear(2, 1), torch.randn(4, 2)
    compiled[D] = lambda x: (x.new_zeros(len(x)), torch.full_like(x, 3.0))
    assert torch.equal(input_gradient(D, x), torch.full((4, 2), 3.0))
    assert gradient_penalty(D, x, x).item() == pytest.approx((18**0.5 - 1) ** 2)
    assert torch.equal(input_gradient(other, x), other.weight.expand(4, 2))
    assert torch.equal(input_gradient(D.forward, x), D.weight.expand(4, 2))


def test_the_hook_keeps_no_critic_alive():
    D = nn.Linear(2, 1)
    compiled[D] = lambda x: (x, x)
    before = len(compiled)
    del D
    gc.collect()
    assert len(compiled) < before
