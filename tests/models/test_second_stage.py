"""The second stage: what codes are drawn from once the networks are trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch

from triptych.core import Data, Recipe, Sampler, encode
from triptych.errors import UserError
from triptych.models import second_stage
from triptych.models.autoencoders import MLPAutoencoder
from triptych.recipes.named import get
from triptych.trainer import fit, resume

FITTED: tuple[Literal["gaussian", "mixture", "flow"], ...] = ("gaussian", "mixture", "flow")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_stage, "STEPS", 60)


def clouds(n: int, seed: int = 0) -> torch.Tensor:
    """Codes in two clouds, 6 apart along the first of three dimensions; the third is a function of the second."""
    z = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))
    z[: n // 2, 0] += 6
    z[:, 2] = z[:, 1].square() + 0.3 * z[:, 2]
    return z


@pytest.mark.parametrize("codes", FITTED)
def test_draws_have_the_moments_of_the_codes_and_the_density_integrates_to_what_a_gaussian_says(codes) -> None:
    stage = second_stage.second_stage(codes, 3)
    assert stage is not None
    assert not stage.fitted
    stage.fit(clouds(4000), seed=0)
    assert stage.fitted
    drawn = stage.draw(20_000, torch.Generator().manual_seed(1))
    torch.testing.assert_close(drawn.mean(0), clouds(4000).mean(0), atol=0.35, rtol=0.1)
    # importance weights of a wide Gaussian have the mean 1 where the density integrates to 1; 5 standard errors
    wide = torch.distributions.Normal(clouds(4000).mean(0).double(), 2.0 * clouds(4000).std(0).double())
    z = wide.sample((40_000,))
    w = (stage.log_prob(z.float()) - wide.log_prob(z).sum(1)).exp()
    assert abs(w.mean().item() - 1) < 5 * w.std().item() / len(w) ** 0.5 + 0.01


@pytest.mark.parametrize("codes", ["gaussian", "mixture"])
def test_noise_is_carried_to_the_density(codes: Literal["gaussian", "mixture"]) -> None:
    """Shares of 8 boxes agree within five standard errors; chance alone breaks that once in a hundred thousand."""
    stage = second_stage.second_stage(codes, 3)
    assert isinstance(stage, second_stage.MixtureOfCodes)
    stage.fit(clouds(4000), seed=0)
    assert stage.transport().takes == 3 + (codes == "mixture")
    n, g = 20_000, torch.Generator().manual_seed(1)
    sides = clouds(4000).median(0).values
    boxes = [
        ((z > sides).long() * torch.tensor([1, 2, 4])).sum(1).bincount(minlength=8) / n
        for z in (stage.draw(n, g), stage.density.draw(n, g))
    ]
    assert (boxes[0] - boxes[1]).abs().max() < 5 * (2 * 0.25 / n) ** 0.5


def test_more_freedom_makes_held_out_codes_likelier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_stage, "STEPS", 200)
    found = {}
    for codes in FITTED:
        stage = second_stage.second_stage(codes, 3)
        assert stage is not None
        stage.fit(clouds(4000), seed=0)
        found[codes] = stage.log_prob(clouds(4000, seed=5)).mean().item()
    assert found["mixture"] > found["gaussian"] + 0.8
    assert found["flow"] > found["gaussian"] + 0.5


def small(codes, *, variational: bool) -> Recipe:
    recipe = get("vae-8gaussians" if variational else "ae-mnist")
    model = MLPAutoencoder(latent=2, width=16, depth=1, variational=variational, codes=codes)
    train = replace(get("vae-8gaussians").train, images=2_000, batch=100)
    return replace(recipe, data=get("vae-8gaussians").data, model=model, train=train)


@pytest.mark.parametrize("variational", [True, False])
@pytest.mark.parametrize("codes", FITTED)
def test_a_run_fits_it_at_its_end_and_loads_with_it(codes, variational: bool, tmp_path: Path) -> None:
    run = fit(small(codes, variational=variational), 0, tmp_path / "run", "cpu", progress=False)
    model = run.load(device="cpu")
    assert model.second.fitted
    assert set(model.players) == {"encoder", "decoder"}
    assert torch.equal(model.sample(50, seed=3), run.load(device="cpu").sample(50, seed=3))
    lines = run.lines()
    assert "codes_nll" in lines[-1]
    assert not any("codes_nll" in line for line in lines[:-1])
    prior = Sampler.prior(model, 50, torch.Generator().manual_seed(3))  # N(0, I), what it would be
    assert not torch.equal(model.prior(50, torch.Generator().manual_seed(3)), prior)
    z = model.prior(4000, torch.Generator().manual_seed(0))
    how, g = model.transport(), torch.Generator().manual_seed(0)  # what other programs draw by
    torch.testing.assert_close(how.codes(torch.randn(4000, how.takes, generator=g), None), z)
    sd = model.prior_moments()[1]
    torch.testing.assert_close(z.std(0), sd, atol=0.3 * sd.max().item(), rtol=0.3)
    cool = model.sample(200, seed=0, temperature=0.0)
    assert torch.allclose(cool, cool[:1], atol=1e-5)


def test_a_run_that_goes_on_draws_from_its_new_codes(tmp_path: Path) -> None:
    recipe = small("mixture", variational=False)
    run = fit(recipe, 0, tmp_path / "run", "cpu", progress=False)
    before = run.load(device="cpu").second.mean.clone()
    resume(run.path, progress=False, images=4_000)
    model = run.load(device="cpu")
    assert model.second.fitted
    assert not torch.equal(model.second.mean, before)
    x = run.data().x[:100]
    model.train()
    next(iter(recipe.objective.step(model, iter([x]), None)))  # type: ignore[arg-type]
    assert not model.second.fitted


def test_the_prior_is_the_default_and_leaves_recipes_and_weights_as_they_were() -> None:
    spec = MLPAutoencoder(latent=2, width=8)
    assert {"codes", "scale"}.isdisjoint(encode(spec))
    model = spec.build((2,))
    assert not any(name.startswith("second") for name in model.state_dict())
    assert model.finish(Data("p", torch.zeros(5, 2)), Data("p", torch.zeros(5, 2)), 0) == {}


def test_a_flow_of_one_code_is_refused() -> None:
    with pytest.raises(UserError, match="at least 2 latent dimensions"):
        MLPAutoencoder(latent=1, codes="flow").build((2,))
