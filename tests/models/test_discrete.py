"""Discrete codes: the lattice and its gradient, an exact prior over them, and the bound they give together."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from triptych.core import Clock, Data, DataSpec, Recipe, Train
from triptych.errors import UserError
from triptych.metrics.comparison import Comparison
from triptych.metrics.likelihood import Likelihood
from triptych.models import discrete
from triptych.models.discrete import NEAR, CodePredictor, DiscreteAutoencoder, FSQTransformer
from triptych.objectives.discrete import FSQ
from triptych.run.folder import load
from triptych.system.device import place
from triptych.trainer import fit, resume

SMALL = FSQTransformer(width=8, side=4, codes=2, levels=3, prior_width=8, prior_depth=1)


def made(spec: FSQTransformer = SMALL, shape: tuple[int, ...] = (1, 16, 16)) -> DiscreteAutoencoder:
    torch.manual_seed(0)
    model = spec.build(shape)
    with torch.no_grad():
        for w in model.parameters():
            w.add_(0.3 * torch.randn_like(w))
    return model.eval()


def enumerable() -> DiscreteAutoencoder:
    """Pictures of 2 × 2 pixels with one place for a code of two numbers of three levels: nine codes in all."""
    return made(FSQTransformer(width=4, side=1, codes=2, levels=3, prior_width=8, prior_depth=1), (1, 2, 2))


def all_codes(model: DiscreteAutoencoder) -> torch.Tensor:
    values = torch.linspace(-1, 1, model.levels)
    return torch.cartesian_prod(values, values)


@pytest.mark.parametrize("levels", [2, 3, 5, 8])
def test_codes_lie_on_the_lattice_and_have_the_gradient_of_what_was_rounded(levels: int) -> None:
    model = made(FSQTransformer(width=8, side=4, codes=3, levels=levels, prior_width=8, prior_depth=1))
    raw = (3 * torch.randn(5, model.latent)).requires_grad_()
    model.encoder = torch.nn.Identity()
    z = model.codes(raw)
    on = (z.detach() + 1) * (levels - 1) / 2
    torch.testing.assert_close(on, on.round())
    assert on.round().unique().tolist() == list(range(levels))
    (g,) = torch.autograd.grad(z.sum(), raw)
    s = torch.sigmoid(raw.detach())
    torch.testing.assert_close(g, 2 * s * (1 - s))
    k = model.values(z)
    assert k.shape == (5, 16, 3)
    torch.testing.assert_close(k.transpose(1, 2).flatten(1) * (2 / (levels - 1)) - 1, z.detach())


def test_probabilities_of_all_codes_sum_to_one() -> None:
    model = enumerable()
    assert model.log_prior(all_codes(model)).exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_places_enter_with_the_last_one_and_with_those_near_that_come_before() -> None:
    """Of a grid of 3 × 3; 9 is no place."""
    assert discrete.entering(3).tolist() == [[9], *([i] for i in range(8))]
    table = discrete.entering(3, NEAR)
    assert table.shape == (9, 6)
    assert set(table[0].tolist()) == {9}
    assert table[4].tolist() == [3, 9, 0, 1, 2, 9]  # left and last; two to the left; the three above; two above
    assert table[8].tolist() == [7, 6, 4, 5, 9, 2]
    assert table[3].tolist() == [2, 9, 9, 0, 1, 9]  # at the left edge the last one is the end of the row above
    assert all(0 <= j < i or j == 9 for i, row in enumerate(table.tolist()) for j in row)


@pytest.mark.parametrize("near", [(), NEAR])
def test_a_number_depends_on_those_before_it_alone(near: tuple[tuple[int, int], ...]) -> None:
    torch.manual_seed(0)
    net = CodePredictor(discrete.entering(2, near), numbers=2, levels=4, width=8, depth=2, heads=2)
    torch.nn.init.normal_(net.trunk.leave.weight)
    k = torch.randint(4, (1, 4, 2))
    whole = net(k)[0].flatten(0, 1)
    for at in range(8):
        other = k.clone().flatten()
        other[at] = (other[at] + 1) % 4
        moved = (net(other.view(1, 4, 2))[0].flatten(0, 1) - whole).abs().amax(1) > 1e-6
        assert not moved[: at + 1].any()
        assert at == 7 or moved[at + 1 :].any()


def test_draws_follow_the_probabilities() -> None:
    """Pearson's χ² of nine codes at a level of 1e-6: it fails by chance once in a million times."""
    model, n = enumerable(), 20_000
    z, drawn = all_codes(model), model.prior(n, torch.Generator().manual_seed(0))
    p = model.log_prior(z).exp().detach()
    counts = torch.stack([(drawn == one).all(1).sum() for one in z]).float()
    assert counts.sum() == n
    assert ((counts - n * p).square() / (n * p)).sum().item() < 42.7


@pytest.mark.parametrize("near", [False, True])
def test_codes_are_drawn_alike_to_the_last_bit_whatever_the_batch(monkeypatch: pytest.MonkeyPatch, near: bool) -> None:
    monkeypatch.setattr(discrete, "CHUNK", 16)
    model, n = made(replace(SMALL, near=near)), 40
    z = model.prior(n, torch.Generator().manual_seed(1))
    x = model.sample(n, seed=1, batch=n)
    torch.testing.assert_close(x, model.decode(z))
    torch.testing.assert_close(x, model.sample(n, seed=1, batch=7), rtol=0, atol=1e-5)
    assert torch.equal(z, model.drawn(n, torch.Generator().manual_seed(1), 1.0))
    k = model.values(z)
    reached = model.predictor(k).exp().cumsum(-1)[..., :-1]
    u = torch.special.ndtr(torch.randn(n, model.latent, generator=torch.Generator().manual_seed(1))).view(n, 16, 2)
    assert ((u[..., None] >= reached).sum(-1) == k).float().mean() > 0.998  # the cache gives what a whole pass gives


def test_a_loop_with_room_for_all_places_draws_what_a_growing_cache_does(monkeypatch: pytest.MonkeyPatch) -> None:
    def plain(one, carry, every):
        rows = []
        for at in zip(*every, strict=True):
            carry, row = one(carry, list(at))
            rows.append(row)
        return carry, torch.stack(rows)

    monkeypatch.setattr(discrete, "scan", plain)
    predictor = made(
        FSQTransformer(width=8, side=4, codes=3, levels=3, prior_width=8, prior_depth=2, near=True)
    ).predictor
    u = torch.rand(20, 16, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(predictor.scanned(u, 0.9), predictor.generate(u, 0.9))


def test_a_low_temperature_draws_the_likeliest_codes() -> None:
    model = enumerable()
    cold = model.log_prior(model.drawn(500, torch.Generator().manual_seed(0), 0.2)).mean()
    assert cold > model.log_prior(model.drawn(500, torch.Generator().manual_seed(0), 1.0)).mean()


def test_unlikely_values_are_left_out_of_samples_and_of_nothing_else() -> None:
    """Pearson's χ² of what is left at a level of 1e-6, number by number, each given the one before."""
    model, n, least = enumerable(), 20_000, 0.5
    z = all_codes(model)
    whole = model.log_prior(z)
    model.predictor.min_p = least
    assert torch.equal(model.log_prior(z), whole)
    p = model.predictor(model.values(z)).exp().detach()[:, 0]  # (9, two numbers, 3): the second given the first
    kept = torch.where(p >= least * p.amax(-1, keepdim=True), p, 0.0)
    chance = (kept / kept.sum(-1, keepdim=True)).gather(-1, model.values(z)[:, 0, :, None])[..., 0].prod(1)
    assert 0 < (chance == 0).sum() < 9
    drawn = model.prior(n, torch.Generator().manual_seed(0))
    counts = torch.stack([(drawn == one).all(1).sum() for one in z]).float()
    assert not counts[chance == 0].any()
    some = chance > 0
    assert ((counts - n * chance)[some].square() / (n * chance[some])).sum().item() < 40


def test_dropout_is_there_while_training_alone() -> None:
    model = made(replace(SMALL, dropout=0.5))
    z = model.prior(4, torch.Generator().manual_seed(0))
    assert torch.equal(model.log_prior(z), model.log_prior(z))
    assert torch.equal(model.log_prior(z), made().log_prior(z))
    model.train()
    assert not torch.equal(model.log_prior(z), model.log_prior(z))


def test_the_bound_is_below_the_sum_over_all_codes() -> None:
    model, objective = enumerable(), FSQ(likelihood="logistic")
    model.noise.fill_(0.2)
    codes = all_codes(model)
    x = (torch.randint(0, 256, (50, 1, 2, 2)) / 127.5 - 1).float()
    with torch.no_grad():
        log_p = torch.stack([objective.log_likelihood(x, model.decoder(c.expand(50, -1)), model) for c in codes], 1)
        log_p = torch.logsumexp(log_p + model.log_prior(codes), 1)
        elbo = objective.elbo(x, model)
    assert (elbo <= log_p + 1e-5).all()
    assert (elbo < log_p - 1e-3).any()


def test_its_likelihood_is_a_bound_and_its_card_says_so() -> None:
    data = Data("pictures", torch.randint(0, 256, (40, 1, 16, 16), dtype=torch.uint8))
    model, objective = made(), FSQ(likelihood="logistic")
    found = Likelihood()(Comparison(data, data, model=model, objective=objective, train=data))
    assert found.keys() == {"nll_elbo", "bits_per_dim_elbo"}
    assert found["nll_elbo"].card is not None
    assert found["nll_elbo"].card["kind"] == "bound"
    with torch.no_grad():
        told = objective.validate(model, [data.x.float() / 127.5 - 1], Clock(0, 0, 0.0, 1))
    assert told["bits_per_dim"] == pytest.approx(found["bits_per_dim_elbo"].value, rel=1e-5)


def test_bfloat16_moves_the_losses_by_little() -> None:
    x = (torch.rand(8, 1, 16, 16) * 2 - 1).contiguous(memory_format=torch.channels_last)
    found: dict[str, list[float]] = {}
    for precision in ("fp32", "bf16"):
        for fraction in (0.0, 0.9):
            model = place(made(), torch.device("cpu"), precision)
            move = next(iter(FSQ(sigma=0.3).step(model, iter([x]), Clock(0, 0, fraction, 1))))
            move.loss.backward()
            assert move.loss.dtype == torch.float32
            found.setdefault(precision, []).append(move.loss.item())
    assert found["bf16"] == pytest.approx(found["fp32"], rel=0.05)


@pytest.mark.parametrize("cut", [64, 160], ids=["in the first stage", "in the second"])
def test_a_run_cut_in_either_stage_goes_on_as_if_it_had_not_been(cut: int, tmp_path) -> None:
    train = Train(images=256, batch=32, checkpoint=32, evaluate=256, sample=256, ema=0.9, keep="all")
    data = DataSpec("glyphs", resolution=16, channels=1)
    recipe = Recipe(data, replace(SMALL, dropout=0.2), FSQ(share=0.4), train, "coded")
    whole = fit(recipe, 0, tmp_path / "whole", "cpu", progress=False)
    # the same run as it stood when it was cut: later checkpoints had not been written, nor its end
    parted = fit(recipe, 0, tmp_path / "cut", "cpu", progress=False)
    for file in (parted.path / "checkpoints").iterdir():
        if int(file.name.split(".")[0].split("-")[0]) > cut:
            file.unlink()
    status = json.loads((parted.path / "status.json").read_text())
    (parted.path / "status.json").write_text(json.dumps(status | {"state": "running", "images": cut}))
    again = resume(parted.path, progress=False)
    assert again.status["images"] == 256
    for a, b in zip(load(whole.path).state_dict().values(), load(again.path).state_dict().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: FSQTransformer(levels=1), "such codes say nothing"),
        (lambda: FSQTransformer(prior_width=6), "four heads share it"),
        (lambda: FSQTransformer(dropout=1.0), "model.dropout is 1; give a share from 0 to below 1"),
        (lambda: FSQTransformer(min_p=-0.1), "model.min_p is -0.1; give a share from 0 to below 1"),
        (lambda: FSQTransformer().build((1, 28, 28)), "28 px cannot be halved to codes of side 8"),
        (lambda: FSQTransformer().build((2,)), "needs square images"),
        (lambda: FSQ(share=1.0), "both stages need a part"),
        (lambda: FSQ(likelihood="bernoulli").check(made(), PICTURES), "no Bernoulli likelihood"),
        (lambda: FSQ().check(made(), PICTURES, 1), "one step cannot train two stages"),
    ],
)
def test_bad_settings_are_refused_in_a_line(make, said: str) -> None:
    with pytest.raises(UserError, match=said):
        make()


PICTURES = Data("pictures", torch.zeros(4, 1, 16, 16, dtype=torch.uint8))
