"""Parallel lines: what is known exactly about them must come out of trained critics, roughly."""

import math

import torch

from triptych.study import parallel_lines


def test_wasserstein_follows_the_distance_and_the_divergence_does_not():
    near, far = (parallel_lines.read("WGAN-GP", t, 0, 150) for t in (0.5, 1.5))
    assert 0.6 < near.estimate / 0.5 < 1.6
    assert 0.6 < far.estimate / 1.5 < 1.6
    assert near.pull > 0.3
    assert far.pull > 0.3
    a, b = (parallel_lines.read("GAN", t, 0, 150) for t in (0.5, 1.5))
    assert abs(b.estimate - a.estimate) < 0.1
    assert max(a.estimate, b.estimate) <= math.log(2)


def test_the_saturating_loss_sends_almost_nothing_to_a_generator_far_away():
    far = parallel_lines.read("GAN, min-max", 1.5, 0, 150)
    assert abs(far.pull) < 0.1 * abs(parallel_lines.read("WGAN-GP", 1.5, 0, 150).pull)


def test_reading_leaves_the_random_state_alone_and_is_told_in_words():
    before = torch.get_rng_state()
    found = [
        parallel_lines.read(name, t, seed, 3)
        for name in parallel_lines.OBJECTIVES
        for t in (0.0, 1.0)
        for seed in range(2)
    ]
    assert torch.equal(before, torch.get_rng_state())
    assert found[0] == parallel_lines.read(found[0].objective, 0.0, 0, 3)
    assert len(parallel_lines.words(found)) == 3
