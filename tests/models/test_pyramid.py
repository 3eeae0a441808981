"""The residual pair whose channels double: shapes, sizes, and where its weights are."""

from __future__ import annotations

import pytest
import torch

from triptych.errors import UserError
from triptych.models.gans.pyramid import PyramidGAN


@pytest.mark.parametrize(("c", "side"), [(3, 32), (1, 16), (3, 64)])
def test_it_makes_and_scores_images_of_any_power_of_two(c, side):
    model = PyramidGAN(latent=5, width=4).build((c, side, side))
    x = model.decode(torch.randn(2, 5))
    assert x.shape == (2, c, side, side)
    assert 0 <= x.min() <= x.max() <= 1
    assert model.critic(2 * x - 1).shape == (2, 1)


def test_channels_double_as_the_side_halves_up_to_sixteen_times():
    model = PyramidGAN(width=2).build((1, 256, 256))
    sizes = [w.shape[0] for name, w in model.critic.named_parameters() if name.endswith("conv2.conv.weight")]
    assert sizes == [4, 8, 16, 32, 32, 32]


def test_the_critic_hears_of_every_pixel():
    torch.manual_seed(0)
    model = PyramidGAN(latent=5, width=4).build((1, 16, 16))
    x = torch.randn(1, 1, 16, 16, requires_grad=True)
    (g,) = torch.autograd.grad(model.critic(x).sum(), x)
    assert (g != 0).float().mean() > 0.95


@pytest.mark.parametrize("shape", [(2,), (3, 32, 64), (1, 28, 28), (1, 8, 8)])
def test_other_shapes_are_refused_in_a_line(shape):
    with pytest.raises(UserError, match="choose --resolution 32 or 64"):
        PyramidGAN().build(shape)
