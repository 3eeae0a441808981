"""Averaged weights against values worked out by hand."""

import pytest
import torch

from triptych.models.gans.mlp import MLPGAN
from triptych.trainer.ema import Averages


def averaged(decay: float, weights: list[float]) -> list[float]:
    """The average of one weight of the generator after it was each of `weights` in turn, from the first on."""
    model = MLPGAN(width=2).build((2,))
    w = next(model.generator.parameters())
    w.data.fill_(weights[0])
    averages, found = Averages(model, decay), []
    for step, value in enumerate(weights[1:], 1):
        w.data.fill_(value)
        averages.update(step)
        found.append(averages.means[0].flatten()[0].item())
    return found


def test_the_decay_rises_with_the_steps_to_the_one_asked_for():
    # 2/11, 3/12 and 4/13 come before 0.3 is reached
    a = 2 / 11 * 1 + 9 / 11 * 2
    b = 3 / 12 * a + 9 / 12 * 4
    c = 0.3 * b + 0.7 * 8
    assert averaged(0.3, [1, 2, 4, 8]) == pytest.approx([a, b, c])


def test_the_beginning_is_forgotten():
    assert averaged(0.9999, [1e6] + [0.0] * 100)[-1] < 1
    assert averaged(0.0001, [1, 2, 4]) == pytest.approx([2, 4], rel=1e-3)


def test_only_sampling_players_are_averaged_and_only_on_request():
    model = MLPGAN(width=2).build((2,))
    assert {name.split(".")[0] for name in Averages(model, 0.9).names} == {"generator"}
    assert not Averages(model, 0.0).means


def test_applied_the_averages_make_the_samples_and_then_go():
    model = MLPGAN(width=2).build((2,))
    averages = Averages(model, 0.5)
    before = model.sample(3)
    with torch.no_grad():
        for w in model.generator.parameters():
            w.add_(1.0)
    moved = model.sample(3)
    with averages.applied():
        assert torch.equal(model.sample(3), before)
    assert torch.equal(model.sample(3), moved)
