"""The small convolutional pair: shapes, refusals, and no batch statistics in the critic."""

import pytest
import torch

from triptych.errors import UserError
from triptych.models.gans.small_conv import ConvGAN
from triptych.models.layers.conv import OneHotLatent
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


def test_the_largest_of_the_votes_picks_the_starting_point() -> None:
    """Each equally often, chi-squared with 7 degrees of freedom: fails once in 10,000 seeds."""
    z = torch.randn(8_000, 11, generator=torch.Generator().manual_seed(0))
    seen = OneHotLatent(8)(z)
    assert torch.equal(seen[:, :3], z[:, :3])
    assert torch.equal(seen[:, 3:].argmax(1), z[:, 3:].argmax(1))
    assert float(seen[:, 3:].square().mean()) == pytest.approx(1)
    counts = (seen[:, 3:] > 0).sum(0)
    assert int(counts.sum()) == 8_000
    assert float((counts - 1_000).square().sum() / 1_000) < 29.9


def test_a_vote_jumps_and_the_rest_of_z_glides() -> None:
    torch.manual_seed(0)
    model = ConvGAN(latent=5, choices=3, width=4).build((1, 8, 8)).eval()
    z = torch.tensor([[0.3, -0.4, 0.0, 1.0, 0.0]])
    near, same, other = z.clone(), z.clone(), z.clone()
    near[0, 1] += 1e-4
    same[0, 3] += 1
    other[0, 2] += 2
    assert torch.equal(model.decode(z), model.decode(same))
    assert 0 < float((model.decode(z) - model.decode(near)).detach().abs().max()) < 1e-3
    assert float((model.decode(z) - model.decode(other)).detach().abs().max()) > 1e-3


@pytest.mark.parametrize("choices", [1, 5, 6])
def test_a_discrete_latent_that_does_not_fit_is_refused(choices: int) -> None:
    with pytest.raises(UserError, match=f"a discrete latent of {choices} values does not fit 5 latent dimensions"):
        ConvGAN(latent=5, choices=choices).build((1, 8, 8))
