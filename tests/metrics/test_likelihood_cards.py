"""What a likelihood's card says: its kind, and how many examples were taken; and calibrated decoders."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from fake_runs import make_run, toy_recipe

from triptych.core import Clock, Data
from triptych.core.units import bits_per_dim
from triptych.data import load
from triptych.errors import UserError
from triptych.metrics import likelihood
from triptych.metrics.cards import Card, EstimateCard, rank
from triptych.metrics.comparison import Comparison
from triptych.metrics.likelihood import Likelihood
from triptych.metrics.log_likelihoods import variational
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows.coupling import RealNVP
from triptych.objectives.autoencoder import AE, VAE
from triptych.report.entries import gather
from triptych.report.table import tables


def pictures(n: int = 400) -> Data:
    """Grey pictures of 4 x 4 pixels: the upper half is noisy, the lower half flat."""
    g = torch.Generator().manual_seed(0)
    x = torch.full((n, 1, 4, 4), 60.0) + 20 * torch.randn(n, 1, 1, 1, generator=g)
    x[:, :, :2] += 30 * torch.randn(n, 1, 2, 4, generator=g)
    return Data("pictures", x.round().clamp(0, 255).to(torch.uint8))


def test_a_card_knows_its_kind_and_leaves_out_what_does_not_apply() -> None:
    said = {e: Card("x", "none", e, 1, "lower bound", 9).kind for e in ("exact", "ELBO", "IWAE", "ODE")}
    assert said == {"exact": "exact", "ELBO": "bound", "IWAE": "bound", "ODE": "estimate"}
    card = EstimateCard("x", "none", "ODE", 1, "exact", 9, steps=16, probes=4, se=0.1, converged=True)
    told = card.told()
    assert told["kind"] == "estimate"
    assert {"solver", "tolerance", "steps", "probes", "se", "value_at_doubled_steps", "converged"} <= told.keys()
    assert "solver" not in Card("x", "none", "exact", 1, "exact", 9).told()
    other = dataclasses.replace(card, se=0.3, value_at_doubled_steps=-1.0)
    assert rank({"a": (-2.0, card), "b": (-1.0, other)}) == ["b", "a"]
    with pytest.raises(UserError, match="cannot be ranked"):
        rank({"a": (-2.0, card), "b": (-1.0, Card("x", "none", "exact", 1, "exact", 9))})


def test_kinds_have_names_of_their_own() -> None:
    toy = load("8gaussians")
    fake = Data("samples", toy.sample(50, 2))
    names = {}
    for spec in (RealNVP(width=8, layers=2), MLPAutoencoder(latent=2, width=8)):
        comparison = Comparison(toy, fake, model=spec.build((2,)), objective=VAE(), train=toy)
        found = Likelihood(points=60, drawn=60, codes=2)(comparison)
        for name, value in found.items():
            assert value.card is not None
            names.setdefault(value.card["kind"], set()).add(name)
    assert names["exact"] == {"nll", "kl"}
    assert names["bound"] == {"nll_elbo", "kl_elbo", "nll_iwae", "kl_iwae"}


def test_a_costly_likelihood_takes_fewer_examples_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 64.0])  # a second an example
    monkeypatch.setattr(likelihood.time, "perf_counter", lambda: next(now))
    toy = load("8gaussians")
    comparison = Comparison(toy, Data("samples", toy.sample(50, 2)), model=RealNVP(width=8, layers=2).build((2,)))
    found = Likelihood(drawn=2_000, seconds=300.0)(comparison)
    assert found["nll"].n == 250
    assert found["nll"].card is not None
    assert found["nll"].card["examples"] == 250
    assert "250 of 2,000 examples, for all would take more than 300 s" in found["nll"].note


def test_bounds_of_other_draws_do_not_share_a_table(tmp_path: Path) -> None:
    runs = []
    for i, draws in enumerate((5, 500, 500)):
        card = Card("the data's units", "none", "IWAE", draws, "lower bound", 100).told()
        values = {"nll_iwae": {"value": 1.0 + i, "n": 100, "title": "NLL", "better": "lower", "card": card}}
        runs.append(make_run(tmp_path / str(i), toy_recipe(f"gan-{i}"), values=values, pictures=False))
    found = tables(gather([run.path for run in runs])[0])
    assert [len(t.entries) for t in found] == [1, 2]
    assert "kind of likelihood IWAE, K = 500 here" in found[1].reason


def trained(objective: VAE, scale, steps: int = 400) -> float:
    """Bits of held-out pictures by the ELBO of a small VAE, dequantised or of grey levels."""
    data = pictures(2_000)
    torch.manual_seed(0)
    model = MLPAutoencoder(latent=2, width=32, scale=scale).build(data.shape)
    objective.check(model, data)
    objective.prepare(model, data)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    inner = data.x[:1000].float() / 127.5 - 1
    for step in range(steps):
        rows = torch.randint(1000, (100,))
        for move in objective.step(model, iter([inner[rows]]), Clock(step, 0, 0.0, steps)):
            optimizer.zero_grad()
            move.loss.backward()
            optimizer.step()
    bound, card = variational(model, objective, data.x[1000:])
    return bits_per_dim(bound.mean().item(), data.shape, 256 if card.space == "[0, 1]^D" else 1)


def test_a_learned_scale_is_worth_bits_and_one_of_pixels_more() -> None:
    fixed = trained(VAE(), "set")
    of_set = trained(VAE(likelihood="gaussian-learned"), "set")
    of_pixels = trained(VAE(likelihood="gaussian-learned"), "pixel")
    logistic = trained(VAE(likelihood="logistic"), "pixel")
    assert of_set < fixed - 0.5
    assert of_pixels < of_set - 0.3
    assert logistic == pytest.approx(of_pixels, abs=0.5)


@pytest.mark.parametrize("scale", ["pixel", "picture"])
def test_what_has_no_scale_to_learn_is_refused(scale) -> None:
    data = pictures(20)
    model = MLPAutoencoder(latent=2, width=8, scale=scale).build(data.shape)
    with pytest.raises(UserError, match="gaussian likelihood has no scale that a decoder could give"):
        VAE().check(model, data)
    plain = MLPAutoencoder(latent=2, width=8, variational=False, scale=scale).build(data.shape)
    with pytest.raises(UserError, match="AE has no likelihood"):
        AE().check(plain, data)


@pytest.mark.parametrize("scale", ["set", "pixel", "picture"])
@pytest.mark.parametrize("shape", [(3,), (2, 4, 4)])
def test_decoders_give_examples_of_the_data_s_shape(scale, shape: tuple[int, ...]) -> None:
    model = MLPAutoencoder(latent=2, width=8, scale=scale).build(shape)
    assert model.sample(5).shape == (5, *shape)
    y = model.decoder(torch.zeros(5, 2))
    wide = model.log_scale(y).expand(5, *shape)
    assert wide.isfinite().all()
    if scale == "picture":
        assert torch.equal(wide, wide.flatten(1)[:, :1].view(5, *(1 for _ in shape)).expand_as(wide))
