"""The second stage of a model that is conditioned: codes are fitted, and drawn, given classes or numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from triptych.cli import main
from triptych.core import Data, DataSpec, Recipe, Train
from triptych.core.labels import Numbers, given, labels_at_hand
from triptych.core.model import given_to
from triptych.metrics.comparison import Comparison
from triptych.metrics.prior_hole import PriorHole
from triptych.models import VAEModel, code_density, latent_space, second_stage
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.code_density import OWN, fit_codes
from triptych.models.code_sampler import Codes, CodeSampler
from triptych.objectives.autoencoder import AE, VAE
from triptych.trainer import fit, resume

FITTED: tuple[Codes, ...] = ("gaussian", "mixture", "flow")
CENTRES = torch.tensor([[6.0, 0.0, 0.0], [0.0, 6.0, 0.0], [0.0, 0.0, 0.0]])


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_stage, "STEPS", 200)


def clouds(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Codes (n, 3) of three classes in turn around `CENTRES`, the last a ring in its first two dimensions."""
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    z = CENTRES[y] + 0.5 * torch.randn(n, 3, generator=g)
    angle = 6.283 * torch.rand(n, generator=g)
    ring = torch.stack([angle.cos(), angle.sin()], 1) * 3
    z[y == 2, :2] += ring[y == 2]
    return z, y


def on_a_line(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Codes (n, 3) whose first dimension is three times a number c (n, 1) of unit variance, their second c² − 1."""
    g = torch.Generator().manual_seed(seed)
    c = torch.randn(n, 1, generator=g)
    z = 0.4 * torch.randn(n, 3, generator=g)
    return z + torch.cat([3 * c, c.square() - 1, 0 * c], 1), c


def fitted(codes: Codes, of: str) -> CodeSampler:
    z, y = clouds(6000) if of == "classes" else on_a_line(6000)
    stage = second_stage.second_stage(codes, 3, 3 if of == "classes" else Numbers(1))
    assert stage is not None
    with given(y):
        stage.fit(z, seed=0)
    return stage


def drawn(stage: CodeSampler, y: Tensor, seed: int = 1) -> Tensor:
    with given(y), torch.no_grad():
        return stage.draw(len(y), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("codes", FITTED)
def test_codes_of_a_class_are_drawn_where_it_has_some(codes: Codes) -> None:
    stage = fitted(codes, "classes")
    z, y = clouds(6000)
    for k in range(3):
        own, made = z[y == k], drawn(stage, torch.full((4000,), k))
        torch.testing.assert_close(made.mean(0), own.mean(0), atol=0.25, rtol=0)
        wide, true = (x.quantile(0.9, 0) - x.quantile(0.1, 0) for x in (made, own))  # a flow has a few far draws
        torch.testing.assert_close(wide, true, atol=0.3, rtol=0.2)


@pytest.mark.parametrize("codes", FITTED)
def test_codes_given_a_number_lie_where_it_puts_them(codes: Codes) -> None:
    stage = fitted(codes, "numbers")
    for c in (-1.5, 0.0, 1.5):
        made = drawn(stage, torch.full((4000, 1), c))
        assert abs(made[:, 0].mean() - 3 * c) < 0.25
        if codes != "gaussian":  # which knows of lines alone
            assert abs(made[:, 1].mean() - (c * c - 1)) < 0.35


@pytest.mark.parametrize("of", ["classes", "numbers"])
@pytest.mark.parametrize("codes", FITTED)
def test_the_density_given_something_integrates_to_one(codes: Codes, of: str) -> None:
    """By importance: the mean weight is within five standard errors of 1, chance alone fails in a million."""
    stage = fitted(codes, of)
    one = torch.tensor([1]) if of == "classes" else torch.tensor([[0.7]])
    made = drawn(stage, one.repeat_interleave(2000, 0))
    wide = torch.distributions.Normal(made.mean(0).double(), 1.8 * made.std(0).double())
    torch.manual_seed(0)
    z = wide.sample((20_000,))
    with given(one.repeat_interleave(len(z), 0)), torch.no_grad():
        w = (stage.log_prob(z.float()) - wide.log_prob(z).sum(1)).exp()
    assert abs(w.mean().item() - 1) < 5 * w.std().item() / len(w) ** 0.5 + 0.01


@pytest.mark.parametrize("of", ["classes", "numbers"])
@pytest.mark.parametrize("codes", FITTED)
def test_noise_is_carried_to_what_is_drawn(codes: Codes, of: str) -> None:
    """Shares of 8 boxes agree within five standard errors; chance alone breaks that once in a hundred thousand."""
    stage, n = fitted(codes, of), 10_000
    y = torch.arange(n) % 3 if of == "classes" else torch.linspace(-2, 2, n)[:, None]
    how = stage.transport()
    assert how.takes == 3 + (codes == "mixture")
    with given(y), torch.no_grad():
        made = [how.codes(torch.randn(n, how.takes, generator=torch.Generator().manual_seed(5)), None), drawn(stage, y)]
    sides = made[1].median(0).values
    boxes = [((z > sides).long() * torch.tensor([1, 2, 4])).sum(1).bincount(minlength=8) / n for z in made]
    assert (boxes[0] - boxes[1]).abs().max() < 5 * (2 * 0.25 / n) ** 0.5


def test_what_has_shares_of_classes_is_a_mixture_of_them() -> None:
    z, y = clouds(3000)
    density = fit_codes(z, None, y=y, classes=3)
    shares = torch.tensor([[0.25, 0.0, 0.75]]).expand(3000, -1)
    parts = [density.log_prob(z, torch.full((3000,), k)) for k in (0, 2)]
    mixed = torch.logaddexp(parts[0] + torch.tensor(0.25).log(), parts[1] + torch.tensor(0.75).log())
    torch.testing.assert_close(density.log_prob(z, shares), mixed)
    made = density.draw(4000, 0, torch.tensor([[0.25, 0.0, 0.75]]).expand(4000, -1))
    own = (made - CENTRES[0]).norm(dim=1) < 2.0  # the ring is 3 away from there
    assert abs(own.double().mean() - 0.25) < 0.08


def test_more_is_known_of_codes_given_their_class_or_number() -> None:
    z, y = clouds(3000)
    assert fit_codes(z, None, y=y, classes=3).log_prob(z, y).mean() > fit_codes(z, None).log_prob(z).mean() + 0.8
    z, c = on_a_line(3000)
    assert fit_codes(z, None, y=c).log_prob(z, c).mean() > fit_codes(z, None).log_prob(z).mean() + 0.8


def test_a_class_of_few_codes_has_the_shape_of_all_around_its_own_mean_and_is_counted() -> None:
    z, y = clouds(3000)
    kept = (y != 1) | (torch.arange(len(y)) < 3 * (OWN * 3 - 1))  # one code fewer than would do
    z, y = z[kept], y[kept]
    found = fit_codes(z, None, y=y, classes=4)  # of the last class there are none
    assert found.few == 2
    made = found.draw(4000, 0, torch.full((4000,), 1))
    torch.testing.assert_close(made.mean(0), z[y == 1].mean(0), atol=0.3, rtol=0)
    assert torch.isfinite(found.draw(100, 0, torch.full((100,), 3))).all()
    assert fit_codes(*clouds(3000)[:1], None, y=clouds(3000)[1], classes=3).few == 0
    assert "2 of 4 classes have too few codes" in code_density.said(2, 4)


def test_many_classes_of_many_dimensions_take_no_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_stage, "HELD", 2**12)
    stage = second_stage.MixtureOfCodes(8, 64, 16)
    assert stage.factors.numel() <= 2**12
    assert stage.most == 4
    assert second_stage.MixtureOfCodes(64, 64, 1_000).most == 1  # never none


def conditional(codes: Codes, **more: int) -> MLPAutoencoder:
    return MLPAutoencoder(latent=2, width=16, depth=1, codes=codes, **more)


@pytest.mark.parametrize(("codes", "variational"), [("gaussian", True), ("mixture", False), ("flow", True)])
def test_a_run_with_classes_fits_within_them_and_samples_so(
    codes: Codes, variational: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_stage, "STEPS", 20)
    model = replace(conditional(codes, classes=8), variational=variational)
    objective = VAE() if variational else AE()
    recipe = Recipe(DataSpec("8gaussians"), model, objective, Train(images=2_000, batch=100))
    run = fit(recipe, 0, tmp_path / "run", "cpu", progress=False)
    made = run.load(device="cpu")
    assert made.second.fitted
    assert made.second.classes == 8
    assert torch.equal(made.sample(40, seed=3, y=2), run.load(device="cpu").sample(40, seed=3, y=2))
    assert not torch.equal(made.sample(40, seed=3, y=2), made.sample(40, seed=3, y=5))
    assert torch.isfinite(made.sample(40, seed=3)).all()
    assert torch.isfinite(made.sample(6, y=torch.full((6, 8), 1 / 8))).all()
    # codes behind samples, with the class and without
    y = made.labels(None, 40, 3)
    z = latent_space.draw(made, 40, 3)
    torch.testing.assert_close(latent_space.decode(made, z, y=y), made.sample(40, seed=3))
    z = latent_space.draw(made, 40, 3, 2)
    torch.testing.assert_close(latent_space.decode(made, z, y=2), made.sample(40, seed=3, y=2))
    assert made.prior(5, torch.Generator().manual_seed(0)).shape == (5, 2)
    with given_to(made, 2, 40):
        torch.testing.assert_close(made.prior(40, torch.Generator().manual_seed(3)), z)
    resume(run.path, progress=False, images=3_000)
    assert run.load(device="cpu").second.fitted


def test_a_run_given_numbers_fits_given_them(tmp_path: Path) -> None:
    recipe = Recipe(
        DataSpec("8gaussians", given=("x",)),
        MLPAutoencoder(latent=1, width=8, depth=1, codes="mixture"),
        VAE(),
        Train(),
    )
    run = fit(replace(recipe, train=Train(images=1_000, batch=100)), 0, tmp_path / "run", "cpu", progress=False)
    made = run.load(device="cpu")
    assert made.second.numbers == 1
    assert made.sample(5, y=torch.tensor([0.5])).shape == (5, 1)
    assert not torch.equal(made.sample(5, y=torch.tensor([0.5])), made.sample(5, y=torch.tensor([-1.5])))


def test_few_codes_of_a_class_are_said_by_training_and_by_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(code_density, "OWN", 10_000)
    recipe = Recipe(DataSpec("8gaussians"), conditional("mixture", classes=8), VAE(), Train(images=1_000, batch=100))
    run = fit(recipe, 0, tmp_path / "run", "cpu", progress=True)
    assert "8 of 8 classes have too few codes" in "".join(capsys.readouterr())
    assert run.lines()[-1]["codes_few"] == 8
    words = [
        "sample",
        str(run.path),
        "--codes",
        "gaussian",
        "--class",
        "3",
        "-n",
        "9",
        "--out",
        str(tmp_path / "x.npy"),
    ]
    assert main(words) == 0
    assert "8 of 8 classes have too few codes" in capsys.readouterr().err


@pytest.mark.parametrize("codes", ["gaussian", "mixture"])
def test_codes_fitted_for_one_call_are_within_classes(codes: str, tmp_path: Path) -> None:
    recipe = Recipe(DataSpec("8gaussians"), conditional("prior", classes=8), VAE(), Train(images=2_000, batch=100))
    run = fit(recipe, 0, tmp_path / "run", "cpu", progress=False)
    for words in (["--class", "3,5"], []):
        assert (
            main(["sample", str(run.path), "--codes", codes, "-n", "20", *words, "--out", str(tmp_path / "x.npy")]) == 0
        )
    for command in (["interpolate", str(run.path), "--class", "3,5"], ["sweep", str(run.path), "--class", "3"]):
        assert main([*command, "--out", str(tmp_path / "walks")]) == 0


class Moved(nn.Module):
    """x to (x + 6 y, log 0.01), codes that lie elsewhere for each class, and with `back` the way back."""

    def __init__(self, *, back: bool) -> None:
        super().__init__()
        self.back = back
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        far = 6.0 * labels_at_hand(len(x))[:, None]
        return x - far if self.back else torch.cat([x + far, torch.full_like(x, 0.01).log()], 1)


def test_the_prior_hole_is_filled_within_classes() -> None:
    model = VAEModel((2,), 2, Moved(back=False), Moved(back=True), classes=2)
    g = torch.Generator().manual_seed(0)
    y = torch.arange(1500) % 2
    x = torch.randn(1500, 2, generator=g)
    train, test = Data("a", x[:1000], labels=y[:1000]), Data("b", x[1000:], "test", labels=y[1000:])
    found = PriorHole(points=500)(Comparison(test, test, model=model, train=train))
    value = {k: v.value for k, v in found.items()}
    assert value["hole_prior"] > 2
    assert value["hole_gaussian"] < 0.3
    assert value["hole_mixture"] < 0.3
    assert "Gaussians a class" in (found["hole_mixture"].note or "")
