"""Means of images end at their range, where flat paper comes out as one grey level."""

import pytest
import torch

from triptych.core import to_bytes, to_public
from triptych.models.autoencoders import ConvAutoencoder, MLPAutoencoder
from triptych.models.layers.soft_clamp import soft_clamp
from triptych.objectives import VAE


def test_is_the_identity_within_and_nearly_flat_outside():
    y = torch.tensor([-3.0, -1.0, -0.25, 0.5, 1.0, 2.0], requires_grad=True)
    found = soft_clamp(y)
    (slope,) = torch.autograd.grad(found.sum(), y)
    torch.testing.assert_close(found, torch.tensor([-1.02, -1.0, -0.25, 0.5, 1.0, 1.01]))
    torch.testing.assert_close(slope[[0, 2, 3, 5]], torch.tensor([0.01, 1.0, 1.0, 0.01]))


@pytest.mark.parametrize("spec", [MLPAutoencoder(), ConvAutoencoder()])
def test_outputs_beyond_the_range_are_one_grey_level(spec):
    model = spec.build((1, 16, 16))
    y = -1.5 - torch.rand(4, 1, 16, 16)
    assert to_bytes(to_public(model.mean(y))).unique().tolist() == [0]


def test_a_recipe_from_before_the_clamp_keeps_its_mean():
    model = MLPAutoencoder(output="mean").build((1, 4, 4))
    y = torch.full((2, 1, 4, 4), -3.0)
    torch.testing.assert_close(model.mean(y), y)


def test_the_likelihoods_of_the_mean_see_it_clamped_and_a_logistic_does_not():
    model = MLPAutoencoder().build((1, 4, 4))
    y = torch.full((2, 1, 4, 4), -3.0)
    torch.testing.assert_close(VAE().location(y, model), torch.full_like(y, -1.02))
    torch.testing.assert_close(VAE(likelihood="logistic").location(y, model), y)


def test_means_of_vectors_are_as_the_decoder_says():
    model = MLPAutoencoder().build((3,))
    y = torch.randn(5, 3) * 4
    torch.testing.assert_close(model.mean(y), y, rtol=0, atol=0)
