"""Models fitted in closed form: they know what they say they know, and their densities are densities."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from triptych.core import Data, DataSpec
from triptych.core.units import bits_per_dim
from triptych.data import load
from triptych.errors import UserError
from triptych.metrics.coverage import mode_coverage
from triptych.metrics.log_likelihoods import exact, gaussian_bits
from triptych.models.yardsticks import Mean, Memoriser, MixtureOfGaussians, dequantised, moments
from triptych.recipes.yardsticks import YARDSTICKS, yardsticks
from triptych.trainer import fit


def pictures(n: int = 600) -> Data:
    """Grey pictures of 4 x 4 pixels that vary together."""
    g = torch.Generator().manual_seed(0)
    x = 128 + 40 * torch.randn(n, 1, 1, 1, generator=g) + 15 * torch.randn(n, 1, 4, 4, generator=g)
    return Data("pictures", x.round().clamp(0, 255).to(torch.uint8))


@pytest.mark.parametrize("data", [pictures(), load("pinwheel@20")], ids=["pictures", "points"])
def test_moments_are_those_of_all_dequantised_examples(data: Data) -> None:
    x = dequantised(data.x)
    mean, cov = moments(data)
    torch.testing.assert_close(mean, x.mean(0), atol=2e-4, rtol=0)
    torch.testing.assert_close(cov, (x - x.mean(0)).T @ (x - x.mean(0)) / len(x), atol=1e-5, rtol=2e-3)


def test_one_gaussian_is_the_gaussian_of_the_data() -> None:
    data = load("pinwheel")
    model = MixtureOfGaussians(components=1).build(data.shape)
    model.fit(data)
    mean, cov = data.x.double().mean(0), data.x.double().T.cov(correction=0)
    truth = torch.distributions.MultivariateNormal(mean, cov)
    x = data.sample(500, 3)
    torch.testing.assert_close(model.log_prob(x).double(), truth.log_prob(x.double()), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model.sample(60_000).double().T.cov(), cov, atol=0.03, rtol=0.03)


def test_the_bic_finds_the_modes_in_whatever_direction_they_lie() -> None:
    for name in ("8gaussians@30", "spiral@10"):
        data = load(name)
        model = MixtureOfGaussians().build(data.shape)
        model.fit(data)
        found = mode_coverage(model.sample(2500), data.modes, data.std, data.weights)
        assert found["modes"] == len(data.modes)
        assert found["high_quality"] > 0.95
        assert found["reverse_kl"] < 0.03
        x = data.sample(5_000, 7)
        assert (data.log_prob(x) - model.log_prob(x)).mean() < 0.05


def test_bits_of_pictures_are_those_of_one_gaussian() -> None:
    data = pictures()
    model = MixtureOfGaussians(components=1).build(data.shape)
    model.fit(data)
    torch.manual_seed(0)
    log_p, card = exact(model, data.x)
    assert (card.kind, card.dequantisation, card.space) == ("exact", "uniform", "[0, 1]^D")
    # `gaussian_bits` adds the noise of dequantisation to a covariance that has it: a few thousandths of a bit
    assert bits_per_dim(log_p.mean().item(), data.shape) == pytest.approx(gaussian_bits(data, data), abs=0.01)
    samples = model.sample(200)
    assert torch.equal((samples * 255).round() / 255, samples)
    assert samples.mean().item() == pytest.approx(data.x.float().mean().item() / 255, abs=0.03)


def test_a_memoriser_draws_what_it_saw_and_a_mean_is_the_mean() -> None:
    for data in (pictures(50), load("moons")):
        public = data.x.float() / 255 if data.is_images else data.x
        memoriser, mean = Memoriser(most=40).build(data.shape), Mean().build(data.shape)
        memoriser.fit(data)
        mean.fit(data)
        drawn = memoriser.sample(200)
        assert all(bool((public == x).flatten(1).all(1).any()) for x in drawn)
        assert 30 < len(drawn.flatten(1).unique(dim=0)) <= 40
        torch.testing.assert_close(mean.sample(3), public.mean(0).expand(3, *data.shape), atol=1e-4, rtol=0)


def test_too_wide_for_a_covariance_is_one_line() -> None:
    with pytest.raises(UserError, match="12,288 dimensions takes too long; at most 4,608"):
        MixtureOfGaussians().build((3, 64, 64))


@pytest.mark.parametrize("name", YARDSTICKS)
def test_a_yardstick_is_a_run_like_others(name: str, tmp_path: Path) -> None:
    recipe = next(r for r in yardsticks(DataSpec("8gaussians")) if r.name == name)
    if name == "mixture":
        recipe = replace(recipe, model=MixtureOfGaussians(components=1))
    run = fit(recipe, 0, tmp_path / "run", "cpu", progress=False)
    assert run.status["state"] == "done"
    assert run.lines()[-1]["fit_seconds"] >= 0
    model = run.load(device="cpu")
    assert model.sample(10).shape == (10, 2)
    assert math.isfinite(model.sample(10).sum().item())
