"""The small convolutional pair: shapes, refusals, and no batch statistics in the critic."""

import pytest
import torch

from triptych.errors import UserError
from triptych.nets.conv import ConvGAN
from triptych.objectives.gan import WGANGP, has_batch_norm


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (2, 16, 24)])
def test_makes_and_scores_pictures_of_the_shape_asked_for(shape):
    model = ConvGAN(latent=5, width=8).build(shape)
    x = model.sample(3)
    assert x.shape == (3, *shape)
    assert 0 <= x.min() <= x.max() <= 1
    assert model.critic(x).flatten().shape == (3,)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_the_critic_serves_a_gradient_penalty(norm):
    model = ConvGAN(latent=5, width=4, norm=norm).build((1, 8, 8))
    assert has_batch_norm(model.generator) == (norm == "batch")
    assert not has_batch_norm(model.critic)
    real = torch.rand(4, 1, 8, 8)
    WGANGP().critic(model.critic, real, model.generator(model.prior(4))).backward()


@pytest.mark.parametrize(("shape", "says"), [((2,), "MLPGAN"), ((1, 30, 28), "divisible by 4")])
def test_refuses_what_it_cannot_make(shape, says):
    with pytest.raises(UserError, match=says):
        ConvGAN().build(shape)


def test_refuses_an_empty_latent_space():
    with pytest.raises(UserError, match="latent"):
        ConvGAN(latent=0).build((1, 28, 28))
