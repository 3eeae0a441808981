"""A hierarchical VAE: its two ways through the groups agree, and its bound stays below the likelihood."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from triptych.core import Clock, Data
from triptych.errors import UserError
from triptych.metrics.comparison import Comparison
from triptych.metrics.likelihood import Likelihood
from triptych.models.hierarchical import BottomUp, HierarchicalVAE, HierarchicalVAEModel, TopDown
from triptych.objectives.autoencoder import IWAE, VAE
from triptych.system.device import place

SMALL = HierarchicalVAE(width=8, groups=2, channels=2, top=3)


def away_from_its_start(model: HierarchicalVAEModel, by: float = 0.2) -> HierarchicalVAEModel:
    with torch.no_grad():
        for w in model.parameters():
            w.add_(by * torch.randn_like(w))
    return model.eval()


def made(spec: HierarchicalVAE = SMALL, shape: tuple[int, ...] = (1, 16, 16)) -> HierarchicalVAEModel:
    torch.manual_seed(0)
    model = spec.build(shape)
    assert isinstance(model, HierarchicalVAEModel)
    return away_from_its_start(model)


@pytest.mark.parametrize(
    ("shape", "patch", "groups"),
    [
        ((1, 28, 28), 2, (3, 98, 98, 392, 392)),
        ((3, 32, 32), 2, (3, 32, 32, 128, 128, 512, 512)),
        ((3, 64, 64), 4, (3, 32, 32, 128, 128, 512, 512)),
    ],
)
def test_groups_go_from_a_vector_to_the_finest_maps(shape, patch, groups) -> None:
    model = HierarchicalVAE(width=8, channels=2, top=3, patch=patch).build(shape)
    assert isinstance(model, HierarchicalVAEModel)
    assert model.groups == groups
    assert model.latent == sum(groups)
    assert model.sample(2).shape == (2, *shape)


def test_a_draw_of_the_posterior_decodes_as_the_same_noise_does() -> None:
    model = made().double()
    x, noise = torch.rand(4, 1, 16, 16).double() * 2 - 1, torch.randn(4, model.latent).double()
    y, mu, log_sigma = model.decoder(noise, model.encoder(x))
    torch.testing.assert_close(model.decoder(mu + log_sigma.exp() * noise), y)
    torch.testing.assert_close(model.encode((x + 1) / 2), model.decoder(0 * noise, model.encoder(x))[1])


def test_a_group_sees_those_before_it_alone() -> None:
    model = made()
    x, noise = torch.rand(1, 1, 16, 16), torch.randn(1, model.latent)
    noise.requires_grad_()
    _, mu, _ = model.decoder(noise, model.encoder(x))
    starts = [0, *torch.tensor(model.groups).cumsum(0).tolist()]
    for i, start in enumerate(starts[:-1]):
        (g,) = torch.autograd.grad(mu[:, start : starts[i + 1]].sum(), noise, retain_graph=True)
        assert not g[:, start:].any()
        assert i == 0 or g[:, :start].any()


class Tiny(HierarchicalVAEModel):
    """Pictures of 2 × 2 pixels, and two latent dimensions, one given the other: p(x) is an integral over a plane."""


def tiny() -> Tiny:
    torch.manual_seed(1)
    decoder = TopDown((1,), width=4, top=1, groups=1, channels=1, patch=2, out=1)
    model = Tiny((1, 2, 2), 2, BottomUp(1, width=4, patch=2, levels=1, blocks=1), decoder)
    away_from_its_start(model, 0.5).noise.fill_(0.3)
    return model


def test_the_bound_is_below_the_likelihood_and_weights_of_the_posterior_find_it() -> None:
    """By 5 standard errors: it fails by chance in less than one of a million times."""
    model, objective = tiny(), VAE(likelihood="logistic")
    line = torch.linspace(-7, 7, 151)
    z = torch.cartesian_prod(line, line)
    log_area = 2 * math.log(14 / 150)
    x = (torch.tensor([[10, 200, 90, 40], [128, 120, 140, 250]]) / 127.5 - 1).view(2, 1, 2, 2)
    with torch.no_grad():
        log_prior = -0.5 * z.square().sum(1) - math.log(2 * math.pi)
        y = model.decoder(z)
        for one in x:
            log_p = torch.logsumexp(
                objective.log_likelihood(one.expand(len(z), 1, 2, 2), y, model).double() + log_prior, 0
            )
            log_p = (log_p + log_area).item()
            many = one.expand(4000, 1, 2, 2)
            elbo = objective.elbo(many, model).double()
            assert elbo.mean().item() <= log_p + 5 * elbo.std().item() / len(elbo) ** 0.5
            assert elbo.mean().item() < log_p - 0.01  # the posterior is no trained one
            noise = torch.randn(4000, 2)
            found, mu, log_sigma = model.decoder(noise, model.encoder(many))
            drawn = mu + log_sigma.exp() * noise
            log_ratio = (0.5 * noise.square() + log_sigma - 0.5 * drawn.square()).sum(1)
            w = (objective.log_likelihood(many, found, model) + log_ratio - log_p).double().exp()
            assert abs(w.mean().item() - 1) <= 5 * w.std().item() / len(w) ** 0.5


def trained(model: HierarchicalVAEModel, steps: int = 60) -> tuple[Tensor, dict[str, float]]:
    g = torch.Generator().manual_seed(0)
    wave = torch.linspace(0, 6, 16).sin()
    x = (0.5 * wave[:, None] * wave * torch.randn(256, 1, 1, 1, generator=g)).clamp(-1, 1)
    x = ((x + 1) * 127.5).round() / 127.5 - 1
    objective, found = VAE(likelihood="logistic"), []
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for step in range(steps):
        for move in objective.step(model, iter([x[torch.randint(256, (32,))]]), Clock(step, 0, 0.0, steps)):
            optimizer.zero_grad()
            move.loss.backward()
            optimizer.step()
            found.append(move.loss.detach())
    with torch.no_grad():
        return torch.stack(found), objective.validate(model, [x[:64], x[64:]], Clock(0, 0, 0.0, 1))


def test_training_uses_its_groups_and_says_which() -> None:
    torch.manual_seed(0)
    model = HierarchicalVAE(width=16, groups=1, channels=2, top=3, scale="pixel").build((1, 16, 16))
    assert isinstance(model, HierarchicalVAEModel)
    losses, told = trained(model)
    assert losses[-5:].mean() < losses[:5].mean()
    assert len(told["kl_per_group"]) == len(model.groups)
    assert sum(told["kl_per_group"]) == pytest.approx(told["val_kl"], abs=0.01)
    assert told["active_groups"] >= 1
    assert "mutual_info" not in told


def test_bfloat16_moves_the_loss_by_little() -> None:
    x = torch.rand(8, 1, 16, 16) * 2 - 1
    found = []
    for precision in ("fp32", "bf16"):
        model = made()
        place(model, torch.device("cpu"), precision)
        torch.manual_seed(2)
        move = next(iter(VAE(sigma=0.2).step(model, iter([x.contiguous(memory_format=torch.channels_last)]), CLOCK)))
        move.loss.backward()
        assert move.loss.dtype == torch.float32
        assert all(w.grad is None or bool(w.grad.isfinite().all()) for w in model.parameters())
        found.append(move.loss.item())
    assert found[1] == pytest.approx(found[0], rel=0.02)


CLOCK = Clock(0, 0, 0.0, 1)


def test_its_likelihood_is_a_bound_of_one_draw_and_its_card_says_so() -> None:
    data = Data("pictures", torch.randint(0, 256, (40, 1, 16, 16), dtype=torch.uint8))
    comparison = Comparison(data, data, model=made(), objective=VAE(likelihood="logistic"), train=data)
    found = Likelihood()(comparison)
    assert found.keys() == {"nll_elbo", "bits_per_dim_elbo"}
    card = found["bits_per_dim_elbo"].card
    assert card is not None
    assert (card["kind"], card["estimator"], card["space"]) == ("bound", "ELBO", "the pixels' values")


def test_temperature_scales_the_noise_of_every_group() -> None:
    model = made()
    z = model.prior(3, torch.Generator().manual_seed(4))
    torch.testing.assert_close(model.sample(3, seed=4, temperature=0.5), model.decode(0.5 * z))


@pytest.mark.parametrize(
    ("spec", "shape", "said"),
    [
        (HierarchicalVAE(), (2,), "needs square images"),
        (HierarchicalVAE(), (1, 30, 30), "no two resolutions of patches of 2×2"),
        (HierarchicalVAE(patch=4), (1, 28, 28), "choose another --model.patch"),
    ],
)
def test_what_cannot_be_built_is_refused_in_a_line(spec, shape, said) -> None:
    with pytest.raises(UserError, match=said):
        spec.build(shape)


def test_importance_weights_of_one_draw_after_the_other_are_refused() -> None:
    data = Data("pictures", torch.zeros(4, 1, 16, 16, dtype=torch.uint8))
    with pytest.raises(UserError, match="group by group; add --objective VAE"):
        IWAE().check(made(), data)
