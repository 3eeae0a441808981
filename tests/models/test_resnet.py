"""The birds study's residual pair."""

import pytest
import torch
import torch.nn.functional as F

from triptych.errors import UserError
from triptych.models.gans.resnet import ResNetGAN, mixing_down, mixing_up
from triptych.models.layers.conv import mean_down, nearest_up


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_parameter_counts_of_the_study():
    model = ResNetGAN().build((3, 32, 32))
    assert count(model.generator) == 1_204_099
    assert count(model.critic) == 1_053_825


def test_intended_resampling_is_nearest_neighbour_and_mean():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert torch.equal(nearest_up(x), x.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert torch.equal(mean_down(x), torch.tensor([[2.5, 4.5], [10.5, 12.5]]).view(1, 1, 2, 2))
    assert torch.equal(mean_down(nearest_up(x)), x)


def test_the_write_ups_resampling_mixes_channels_as_it_did():
    x = torch.randn(2, 6, 4, 4)
    up = mixing_up(x)
    for c in range(6):
        for k in range(4):
            assert torch.equal(up[:, c, k // 2 :: 2, k % 2 :: 2], x[:, (4 * c + k) % 6])
    down, unshuffled = mixing_down(x), F.pixel_unshuffle(x, 2)
    torch.testing.assert_close(
        down[:, 1], (unshuffled[:, 1] + unshuffled[:, 7] + unshuffled[:, 13] + unshuffled[:, 19]) / 4
    )


@pytest.mark.parametrize("resampling", ["intended", "channel-mixing"])
def test_one_picture_decides_only_its_own_output(resampling):
    model = ResNetGAN(latent=4, width=8, resampling=resampling).build((3, 32, 32)).eval()
    x, z = torch.rand(3, 3, 32, 32), torch.randn(3, 4)
    changed, moved = x.clone(), z.clone()
    changed[1], moved[1] = 0, 0
    for net, before, after in ((model.critic, x, changed), (model.generator, z, moved)):
        moves = (net(before) - net(after)).flatten(1).abs().amax(1)
        assert ((moves > 1e-3) == torch.tensor([False, True, False])).all(), moves


@pytest.mark.parametrize("shape", [(2,), (3, 64, 64)])
def test_refuses_other_sizes(shape):
    with pytest.raises(UserError, match="resolution 32"):
        ResNetGAN().build(shape)


def test_spectral_normalisation_bounds_every_layer():
    model = ResNetGAN(latent=4, width=8, spectral=True).build((3, 32, 32))
    for _ in range(30):
        model.critic(torch.rand(2, 3, 32, 32))
    weights = [m.weight.flatten(1) for m in model.critic.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(weights) == 11
    for w in weights:
        assert abs(torch.linalg.matrix_norm(w, 2).item() - 1) < 0.05
