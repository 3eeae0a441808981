"""The DCGAN pair."""

import pytest
import torch

from triptych.errors import UserError
from triptych.models.gans.dcgan import DCGAN
from triptych.objectives.gan import WGANGP, has_batch_norm


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("channels", "norm", "generator", "critic"),
    [
        (1, "both", 11.180, 11.032),
        (3, "both", 11.184, 11.036),
        (1, "none", 11.176, 11.028),
        (3, "none", 11.180, 11.033),
    ],
)
def test_parameter_counts_of_the_study_in_millions(channels, norm, generator, critic):
    with torch.device("meta"):
        model = DCGAN(norm=norm).build((channels, 64, 64))
    assert round(count(model.generator) / 1e6, 3) == generator
    assert round(count(model.critic) / 1e6, 3) == critic


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 64, 64)])
@pytest.mark.parametrize("norm", ["both", "generator", "none"])
def test_makes_and_scores_pictures(shape, norm):
    model = DCGAN(latent=3, width=4, norm=norm).build(shape)
    assert has_batch_norm(model.generator) == (norm != "none")
    assert has_batch_norm(model.critic) == (norm == "both")
    x = model.sample(2)
    assert x.shape == (2, *shape)
    assert model.critic(x).shape == (2, 1)


def test_a_penalised_critic_refuses_batch_normalisation():
    x = torch.rand(2, 1, 16, 16)
    with pytest.raises(UserError, match="batch normalisation"):
        WGANGP().critic(DCGAN(width=2).build((1, 16, 16)).critic, x, x)
    WGANGP().critic(DCGAN(width=2, norm="generator").build((1, 16, 16)).critic, x, x).backward()


@pytest.mark.parametrize("shape", [(2,), (3, 48, 48), (3, 64, 32), (1, 28, 28), (1, 8, 8)])
def test_refuses_other_sizes(shape):
    with pytest.raises(UserError, match="resolution"):
        DCGAN().build(shape)
    with pytest.raises(UserError, match="latent"):
        DCGAN(latent=0).build((1, 32, 32))


def test_spectral_normalisation_bounds_every_layer_of_the_critic():
    model = DCGAN(latent=3, width=4, spectral=True).build((1, 32, 32))
    for _ in range(100):
        model.critic(torch.rand(2, 1, 32, 32))
    layers = [m for m in model.critic.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(layers) == 4
    for layer in layers:
        assert abs(torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() - 1) < 0.05
    assert not any("parametrizations" in name for name, _ in model.generator.named_parameters())
    weights = model.critic.state_dict()
    fresh = DCGAN(latent=3, width=4, spectral=True).build((1, 32, 32))
    fresh.critic.load_state_dict(weights)
    x = torch.rand(2, 1, 32, 32)
    assert torch.equal(fresh.eval().critic(x), model.eval().critic(x))
