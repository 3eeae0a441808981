"""Walks through latent spaces: where they start, end and pass, and what they must leave alone."""

import math

import pytest
import torch
from torch import nn

from triptych.core import Data, Encoder, Sampler
from triptych.core.transport import affine
from triptych.errors import UserError
from triptych.explore import neighbours
from triptych.figures import tiles
from triptych.models import AEModel, GANModel, latent_space


class Plain(Sampler, Encoder):
    """Decodes z to a picture that holds z in its first pixels, and back."""

    def __init__(self, size=6):
        super().__init__((1, 4, 4))
        self.latent = size
        self.decoder = nn.Linear(1, 1)

    def decode(self, z):
        flat = torch.zeros(len(z), 16)
        flat[:, : self.latent] = z * torch.arange(1, self.latent + 1) / 100
        return flat.view(-1, 1, 4, 4)

    def encode(self, x):
        return x.flatten(1)[:, : self.latent] * 100 / torch.arange(1, self.latent + 1)


class Flips(Plain):
    """The last number only decides between two pictures."""

    def decode(self, z):
        return super().decode(torch.cat([z[:, :-1], torch.where(z[:, -1:] > 0, 10.0, -10.0)], 1))


class OwnPrior(Plain):
    def prior(self, n, generator=None):
        return 5 + 2 * super().prior(n, generator)

    def prior_moments(self):
        return torch.full((6,), 5.0), torch.full((6,), 2.0)

    def transport(self):
        return affine(torch.full((6,), 5.0), 2 * torch.eye(6))


def test_linear_walk_passes_every_code():
    codes = torch.randn(3, 7, generator=torch.Generator().manual_seed(0))
    walk = latent_space.path(codes, steps=11)
    assert walk.shape == (21, 7)
    torch.testing.assert_close(walk[::10], codes)
    torch.testing.assert_close(walk[5], (codes[0] + codes[1]) / 2)


def test_spherical_walk_keeps_the_length_of_unit_codes_and_the_angle_of_each_step():
    a, b = torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0])
    walk = latent_space.path(torch.stack([a, b]), steps=10, how="spherical")
    torch.testing.assert_close(walk.norm(dim=1), torch.ones(10))
    angles = torch.arccos((walk[1:] * walk[:-1]).sum(1).clamp(-1, 1))
    torch.testing.assert_close(angles, torch.full((9,), math.pi / 18), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(walk[[0, -1]], torch.stack([a, b]), atol=1e-6, rtol=0)


def test_opposite_and_equal_codes_have_a_walk():
    a = torch.tensor([1.0, 2.0])
    for b in (a, -a):
        assert latent_space.path(torch.stack([a, b]), how="spherical").isfinite().all()


def test_square_moves_the_first_two_numbers_only():
    base = torch.arange(5.0)
    z = latent_space.square(base, latent_space.Codes(torch.zeros(5), torch.ones(5)), side=10).view(10, 10, 5)
    line = torch.linspace(-1, 1, 10)
    torch.testing.assert_close(z[:, 3, 0], line)
    torch.testing.assert_close(z[4, :, 1], line)
    assert (z[..., 2:] == base[2:]).all()


def test_sweep_row_j_moves_dimension_j_only():
    model, base = Plain(), torch.linspace(-1, 1, 6)
    codes = latent_space.codes_of(model)
    z = latent_space.sweep(base, codes, range(6), columns=11, extent=2).view(6, 11, 6)
    for j in range(6):
        torch.testing.assert_close(z[j, :, j], torch.linspace(-2, 2, 11))
        others = [k for k in range(6) if k != j]
        assert (z[j][:, others] == base[others]).all()


def test_strongest_dimensions_come_first():
    model = Plain()
    base, codes = torch.zeros(6), latent_space.codes_of(model)
    assert latent_space.strongest(model, base, codes, rows=3) == [5, 4, 3]
    assert latent_space.strongest(model, base, codes, rows=6) == [0, 1, 2, 3, 4, 5]


def test_a_number_that_moves_the_picture_goes_before_one_that_only_flips_it():
    model = Flips()
    assert latent_space.strongest(model, torch.zeros(6), latent_space.codes_of(model), rows=5) == [4, 3, 2, 1, 0]


def fitted() -> AEModel:
    """An autoencoder that has seen codes around (1, 2, 3), two of them correlated."""
    model = AEModel((4,), 3, nn.Linear(4, 3), nn.Linear(3, 4))
    mix = torch.tensor([[2.0, 1.5, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.1]])
    model.observe(torch.randn(500, 3) @ mix + torch.tensor([1.0, 2.0, 3.0]), 0.0, torch.ones(()))
    return model


@pytest.mark.parametrize("make", [Plain, OwnPrior, fitted])
def test_the_moments_of_a_prior_are_those_of_its_draws(make):
    model = make()
    codes, z = latent_space.codes_of(model), latent_space.draw(model, 20_000, seed=0)
    torch.testing.assert_close(codes.mean, z.mean(0), atol=0.1, rtol=0)
    torch.testing.assert_close(codes.sd, z.std(0), atol=0, rtol=0.04)


@pytest.mark.parametrize("make", [OwnPrior, fitted])
def test_the_noise_of_a_seed_is_carried_to_its_codes(make):
    model, g = make(), torch.Generator().manual_seed(7)
    how = model.transport()
    made = how.codes(torch.randn(64, how.takes, generator=g), None)
    torch.testing.assert_close(made, latent_space.draw(model, 64, seed=7))


def test_a_prior_without_its_moments_is_refused_where_it_is_defined():
    with pytest.raises(TypeError, match="prior_moments"):

        class Forgot(Plain):
            def prior(self, n, generator=None):
                return super().prior(n, generator) + 1


def test_drawn_codes_are_those_of_the_samples_and_leave_the_random_state_alone():
    model = Plain()
    before = torch.get_rng_state()
    z = latent_space.draw(model, 5, seed=3)
    torch.testing.assert_close(latent_space.decode(model, z), model.sample(5, seed=3))
    assert torch.equal(before, torch.get_rng_state())


def test_pairs_stand_side_by_side():
    x = torch.arange(3.0)[:, None]
    assert tiles.pairs(x, x + 10).flatten().tolist() == [0, 10, 1, 11, 2, 12]


def test_models_that_cannot_are_told_apart():
    gan = GANModel((2,), 2, nn.Linear(2, 2), nn.Linear(2, 1))
    with pytest.raises(UserError, match="cannot encode"):
        latent_space.encode(gan, torch.zeros(1, 2))
    with pytest.raises(UserError, match="no latent dimension 7"):
        latent_space.sweep(torch.zeros(2), latent_space.codes_of(gan), [7])
    with pytest.raises(UserError, match="no example 9"):
        latent_space.public(Data("d", torch.zeros(3, 2)), [9])


def test_nearest_neighbour_is_exact_and_skips_nothing():
    g = torch.Generator().manual_seed(0)
    data = Data("noise", torch.randint(0, 256, (300, 1, 8, 8), generator=g, dtype=torch.uint8))
    samples = data.x[[299, 0, 128]].float() / 255
    index, distance = neighbours.nearest(samples, data, chunk=64)
    assert index.tolist() == [299, 0, 128]
    torch.testing.assert_close(distance, torch.zeros(3), atol=1e-5, rtol=0)


def test_batch_statistics_are_a_choice():
    generator = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model = GANModel((2,), 2, generator, nn.Linear(2, 1)).eval()
    z = torch.randn(8, 2, generator=torch.Generator().manual_seed(0)) + 3
    alone = latent_space.decode(model, z[:4])
    torch.testing.assert_close(alone, latent_space.decode(model, z)[:4])
    latent_space.use_batch_statistics(model)
    assert not torch.allclose(latent_space.decode(model, z[:4]), latent_space.decode(model, z)[:4])


def test_looking_with_batch_statistics_leaves_the_kept_ones_alone():
    generator = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model = GANModel((2,), 2, generator, nn.Linear(2, 1)).eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    z = torch.randn(8, 2, generator=torch.Generator().manual_seed(0)) + 3
    kept = latent_space.decode(model, z)
    latent_space.use_batch_statistics(model)
    latent_space.decode(model, z)
    for k, v in model.state_dict().items():
        assert torch.equal(v, before[k]), k
    torch.testing.assert_close(latent_space.decode(model.eval(), z), kept)


def test_slopes_are_the_norms_of_the_jacobians_columns():
    model = Plain()
    base, codes = torch.randn(6), latent_space.codes_of(model)
    jacobian = torch.autograd.functional.jacobian(lambda z: model.decode(z[None])[0], base).flatten(0, -2)
    found = latent_space.slopes(model, base, codes, probes=4_000)
    torch.testing.assert_close(found, jacobian.norm(dim=0), rtol=0.1, atol=1e-4)


def test_the_strongest_of_many_dimensions_are_found_by_slopes(monkeypatch):
    model = Plain()
    codes = latent_space.codes_of(model)
    monkeypatch.setattr(latent_space.influence, "__defaults__", (5, None))
    assert set(latent_space.strongest(model, torch.zeros(6), codes, rows=2)) == {4, 5}  # in order only up to chance
