"""A VAE with labels for a part of the data: its bounds against sums by hand, its labels, and a run that it gives."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from triptych.core import Clock, Data, DataSpec, Recipe, Train
from triptych.core.labels import given
from triptych.data import load
from triptych.data.batches import Batches
from triptych.errors import UserError
from triptych.metrics.bayes import OwnClassifier
from triptych.metrics.comparison import Comparison
from triptych.metrics.log_likelihoods import variational
from triptych.models.autoencoders import ConvAutoencoder, MLPAutoencoder, ResidualAutoencoder
from triptych.models.semi import SemiVAEModel
from triptych.objectives.autoencoder import VAE
from triptych.objectives.posterior import kl_to_prior
from triptych.objectives.semi import UNKNOWN, Semi, with_labels_of
from triptych.recipes import get
from triptych.run.folder import Run
from triptych.trainer.classes import told
from triptych.trainer.loop import fit, resume

K = 5
SPEC = MLPAutoencoder(latent=2, width=16, classes=K, classifier=True)


def made(seed: int = 0) -> SemiVAEModel:
    torch.manual_seed(seed)
    model = SPEC.build((3,)).double()
    assert isinstance(model, SemiVAEModel)
    with torch.no_grad():
        for w in model.parameters():
            w += 0.3 * torch.randn_like(w)
        model.frequencies.copy_(torch.tensor([0.4, 0.3, 0.1, 0.1, 0.1]))
    return model


def by_hand(model: SemiVAEModel, objective: Semi, x: Tensor, c: int, noise: Tensor) -> Tensor:
    """−L(x, c) of each example."""
    with given(torch.full((len(x),), c)):
        mu, log_sigma = model.posterior(x)
        out = model.decoder(mu + log_sigma.exp() * noise)
    log_p = objective.log_likelihood(x, out, model)
    return log_p + math.log(model.frequencies[c].item()) - kl_to_prior(mu, log_sigma).sum(1)


@torch.no_grad()
def test_the_bounds_are_equations_6_and_7() -> None:
    model, objective = made(), Semi(alpha=0.3, labelled=0.5)
    x, y = torch.randn(4, 3, dtype=torch.float64), torch.tensor([1, UNKNOWN, 4, UNKNOWN])
    torch.manual_seed(1)
    found = objective.bound(x, objective.coded(x, y, model), model)
    torch.manual_seed(1)
    noise = torch.randn(4, 2, dtype=torch.float64)
    minus_l = torch.stack([by_hand(model, objective, x, c, noise) for c in range(K)], 1)
    q = model.classifier(x).softmax(1)
    minus_u = (q * minus_l).sum(1) - (q * q.log()).sum(1)
    wanted = torch.where(y < 0, minus_u, minus_l.gather(1, y.clamp_min(0)[:, None])[:, 0])
    torch.testing.assert_close(found, wanted)
    assert (minus_u <= minus_l.logsumexp(1)).all(), "log Σ_y p(x, y) is bounded tighter by every class's own bound"

    class Stream:
        labelled = iter([(x, y)])

        def __iter__(self):
            return iter(())

    torch.manual_seed(1)
    (move,) = objective.step(model, Stream(), Clock(0, 0, 0.0))  # type: ignore[arg-type]
    cross = -q.log()[[0, 2], [1, 4]].mean()
    torch.testing.assert_close(move.loss, -wanted.mean() + 0.3 * cross)


def test_a_few_classes_stand_for_all_without_bias() -> None:
    """Mean of 4,000 estimates of the bound and of its gradient within 5 standard errors: fails by chance in 1e-6."""
    model, x = made(), torch.randn(1, 3, dtype=torch.float64)
    y, torch_noise = torch.full((1,), UNKNOWN), torch.zeros(1, 2, dtype=torch.float64)
    with torch.no_grad():
        minus_l = torch.cat([by_hand(model, Semi(), x, c, torch_noise) for c in range(K)])
    logits = model.classifier(x)
    log_q = logits.log_softmax(1)
    exact = (log_q.exp() * minus_l).sum()
    slope = torch.autograd.grad(exact, logits, retain_graph=True)[0][0, 0]
    n = 4_000
    many = logits.detach().expand(n, K).clone().requires_grad_()
    weights, wanted = Semi(summed=3).weights(many.log_softmax(1), y.expand(n))
    assert (wanted.sum(1) == 3).all()
    values = (weights * wanted * minus_l).sum(1)
    slopes = torch.autograd.grad(values.sum(), many)[0][:, 0]
    for found, mean in ((values.detach(), exact.detach()), (slopes, slope)):
        assert abs(found.mean() - mean) <= 5 * found.std() / math.sqrt(n) + 1e-12


def test_which_labels_are_kept_depends_on_the_seed_alone() -> None:
    y = torch.tensor([0] * 500 + [1] * 300 + [2] * 3)
    data = Data("d", torch.zeros(803, 2), labels=y)
    kept = with_labels_of(data, 0.1, 0).labels
    assert kept is not None
    known = kept >= 0
    assert torch.equal(kept[known], y[known])
    assert torch.bincount(kept[known]).tolist() == [50, 30, 1]

    def labels(share: float, seed: int) -> Tensor:
        found = with_labels_of(data, share, seed).labels
        assert found is not None
        return found

    assert torch.equal(kept, labels(0.1, 0))
    assert not torch.equal(kept, labels(0.1, 1))
    assert torch.equal(labels(1.0, 0), y)
    lines = told(Recipe(DataSpec("d"), replace(SPEC, classes=3), Semi(labelled=0.1), Train()), data)
    assert lines[1] == "the labels of 81 of 803 training examples are used, those of the others not"


SHORT = Train(images=1_280, batch=64, checkpoint=640, evaluate=1_280, sample=1_280, ema=0.9)


def test_the_classifiers_loss_is_a_mean_over_the_labels_that_there_are() -> None:
    """Of small classes one label is more than the share, and counted three times too much."""
    model, objective = made(), Semi(labelled=0.02)
    y = torch.arange(K).repeat_interleave(15)
    data = Data("small", torch.randn(len(y), 3, dtype=torch.float64), labels=y)
    model.know_classes(data)
    seen = objective.visible(data, 0)
    batches = Batches(seen, len(y), 0, torch.device("cpu"))
    move = next(objective.step(model, batches, Clock(0, 0, 0.0)))
    known = seen.labels >= 0
    log_q = model.told(seen.x)[known].gather(1, seen.labels[known][:, None])
    assert int(known.sum()) == K
    torch.testing.assert_close(move.logs["classifier_loss"], -log_q.mean())


def test_a_resumed_run_is_the_same_to_the_last_bit(tmp_path: Path) -> None:
    recipe = Recipe(DataSpec("8gaussians"), replace(SPEC, classes="auto"), Semi(), SHORT, name="semi")
    whole = fit(recipe, 3, tmp_path / "whole", "cpu", progress=False)
    half = fit(replace(recipe, train=replace(SHORT, images=640)), 3, tmp_path / "half", "cpu", progress=False)
    resume(half.path, progress=False, images=1_280)
    a, b = (run.load(device="cpu").state_dict() for run in (whole, Run(half.path)))
    assert all(torch.equal(a[k], b[k]) for k in a)
    line = whole.lines()[-1]
    assert {"val_accuracy", "elbo", "classifier_loss", "entropy"} <= line.keys()


def test_few_labels_are_enough_where_classes_lie_apart(tmp_path: Path) -> None:
    """8 modes, a label for one point in a hundred: the classifier is right on nearly all after a hundred steps."""
    recipe = get("semi-8gaussians")
    assert isinstance(recipe.objective, Semi)
    train = replace(recipe.train, images=25_600, evaluate=25_600, sample=25_600, checkpoint=25_600)
    objective = replace(recipe.objective, alpha=1.0)
    recipe = replace(recipe, train=train, objective=objective)
    model = fit(recipe, 0, tmp_path / "run", "cpu", progress=False).load(device="cpu")
    assert isinstance(model, SemiVAEModel)
    real = load("8gaussians")
    real = replace(real, x=real.x[:1_000], labels=real.labels[:1_000])  # type: ignore[index]
    found = OwnClassifier()(Comparison(real, real, model=model, objective=objective))
    value = found["classifier_accuracy"].value
    assert value is not None
    assert value > 0.95
    assert "1,000 of 1,000 held-out examples, 8 classes, q(y|x)" in found["classifier_accuracy"].note
    _, card = variational(model, objective, real.x)
    assert card.told()["classes"] == 8
    assert "lower bound of log p over the data's units: ELBO, K = 1, summed over all 8 classes" in str(card)
    x = real.x[:50]
    likeliest = model.log_classes(x).argmax(1)
    assert torch.equal(model.encode(x), model.encode(x, y=likeliest))
    assert not torch.equal(model.encode(x), model.encode(x, y=(likeliest + 1) % 8))


@pytest.mark.parametrize("network", [ConvAutoencoder, ResidualAutoencoder])
def test_convolutional_pairs_can_tell_classes(network: type[ConvAutoencoder | ResidualAutoencoder]) -> None:
    model = network(latent=2, width=4, classes=3, classifier=True).build((1, 16, 16))
    assert isinstance(model, SemiVAEModel)
    assert model.log_classes(torch.rand(5, 1, 16, 16)).exp().sum(1).tolist() == pytest.approx([1] * 5)


def test_what_does_not_go_together() -> None:
    labelled = Data("d", torch.zeros(8, 3), labels=torch.arange(8) % K)
    model = made()
    with pytest.raises(UserError, match=r"add --model\.classifier"):
        Semi().check(MLPAutoencoder(classes=K).build((3,)), labelled)
    with pytest.raises(UserError, match="does not train the classifier"):
        VAE().check(model, labelled)
    with pytest.raises(UserError, match="has no labels, and Semi needs"):
        Semi().check(model, replace(labelled, labels=None))
    with pytest.raises(UserError, match="there are 5 classes"):
        Semi(summed=6).check(model, labelled)
    with pytest.raises(UserError, match="the network has none"):
        MLPAutoencoder(classifier=True).build((3,))
    with pytest.raises(UserError, match=r"leave --model\.no-variational"):
        MLPAutoencoder(classifier=True, classes=3, variational=False).build((3,))
    for wrong in ({"labelled": 0.0}, {"labelled": 1.5}, {"alpha": -1.0}, {"summed": -1}):
        with pytest.raises(UserError, match=r"objective\."):
            Semi(**wrong)  # type: ignore[arg-type]
