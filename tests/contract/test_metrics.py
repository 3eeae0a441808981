"""What every metric of `metrics/` promises, wherever it applies; and that each of them does somewhere here."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from triptych.core import Data, Metric, Value, discover
from triptych.core.columns import Column, Columns
from triptych.core.features import Extractors, grey_levels
from triptych.data import load
from triptych.errors import TooFew, UserError
from triptych.evaluate import protocol
from triptych.metrics.comparison import Comparison, fresh
from triptych.metrics.features.extractor import Inception
from triptych.metrics.features.self_trained import Offline
from triptych.models import AEModel, GANModel, VAEModel
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows.coupling import RealNVP
from triptych.models.two_stages import LatentUNet
from triptych.objectives.autoencoder import AE, VAE
from triptych.objectives.flow import NLL
from triptych.objectives.semi import Semi

METRICS = discover("metrics", Metric)
SHAPE, LATENT, N = (1, 8, 8), 3, 60


class Decoder(nn.Module):
    """z (n, 3) to smooth pictures."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.channels = channels
        self.net = nn.Linear(LATENT, channels * 64)

    def forward(self, z):
        return self.net(z).tanh().view(-1, self.channels, 8, 8)


class Halves(nn.Module):
    """Ten classes by how bright the upper half is; features are eight row means."""

    def forward(self, x):
        rows = x.mean((1, 3))
        logits = -8 * (rows[:, :4].mean(1, keepdim=True) - torch.linspace(-0.6, 0.6, 10)).square()
        return rows, logits


def pictures(n: int, seed: int, channels: int = 1) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        x = Decoder(channels)(torch.randn(n, LATENT, generator=g))
    return ((x + 1) * 127.5).round().to(torch.uint8)


def classifier(accuracy: float = 0.95) -> Offline:
    return Offline(Halves(), "classifier", "classifier:test", accuracy, 40)


def inception() -> Inception:
    """A stand-in that takes what Inception does."""

    def net(x):
        flat = grey_levels(x).flatten(1)[:, ::9] / 255
        return {"features": flat, "logits": 9 * flat, "logits_unbiased": 9 * flat}

    return Inception(net, "inception-v3:test")


def sides(channels: int = 1, **fields) -> tuple[Data, Data, Data]:
    """Real pictures with four classes and two factors, further ones, and samples."""
    kind = torch.arange(N) % 4
    known = {"labels": kind, "factors": {"kind": kind, "size": torch.linspace(0, 1, N)}}
    real = Data("pictures", pictures(N, 0, channels), "test", **known, **fields)
    return real, Data("pictures", pictures(N, 1, channels), **known), Data("samples", pictures(N, 2, channels))


def of_pictures(model, objective=None) -> Comparison:
    real, train, fake = sides()
    extractors = Extractors(own=classifier(), inception=inception())
    return Comparison(
        real, fake, extra_real=train, train=train, model=model, objective=objective, extractors=extractors
    )


def encoder(codes: int) -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, codes))


def gan() -> Comparison:
    return of_pictures(GANModel(SHAPE, LATENT, Decoder(), nn.Flatten()))


def vae() -> Comparison:
    return of_pictures(VAEModel(SHAPE, LATENT, encoder(2 * LATENT), Decoder()), VAE())


def ae() -> Comparison:
    return of_pictures(AEModel(SHAPE, LATENT, encoder(LATENT), Decoder()), AE())


def two_stages() -> Comparison:
    torch.manual_seed(4)
    return of_pictures(LatentUNet(codes=2, width=4, flow_width=8, flow_depth=1).build(SHAPE).eval())


def mixture() -> Comparison:
    """A toy set whose density and modes are known, a flow, and samples as good as they can be."""
    real = load("8gaussians")
    real = dataclasses.replace(real, x=real.x[:N])
    torch.manual_seed(3)
    model = RealNVP(width=8, layers=2).build((2,)).eval()
    fake = Data("samples", real.sample(N, 5), distribution=real.distribution)
    return Comparison(real, fake, train=real, model=model, objective=NLL())


def astray() -> Comparison:
    """The same, and samples that reach no mode."""
    right = mixture()
    return dataclasses.replace(right, fake=Data("samples", 50 + right.fake.x, distribution=right.real.distribution))


def vectors() -> Comparison:
    """Nothing is known of the law, and there is no density."""
    g = torch.Generator().manual_seed(0)
    points = [torch.randn(N, 2, generator=g) for _ in range(2)]
    model = GANModel((2,), 2, nn.Linear(2, 2), nn.Linear(2, 1))
    return Comparison(Data("points", points[0]), Data("samples", points[1]), model=model)


def typed() -> Comparison:
    """Rows of a number and a category, without a model."""
    columns = Columns((Column("x", "number", scale=1.0), Column("kind", "category", values=("a", "b", "c"))))
    g = np.random.default_rng(0)
    sets = [columns.encode([g.normal(size=N), g.integers(0, 3, N).astype(float)], seed) for seed in range(2)]
    real = Data("rows", sets[0], typed=columns)
    return Comparison(real, dataclasses.replace(real, name="samples", x=sets[1]))


def asked_for() -> Comparison:
    """Samples that were made for a class each, without a model; the classifier stands beside another extractor."""
    real, train, fake = sides()
    labelled = dataclasses.replace(fake, labels=torch.arange(N) % 4)
    extractors = Extractors(own=Offline(Halves(), "autoencoder", "autoencoder:test"), beside=(classifier(),))
    return Comparison(real, labelled, extra_real=train, extractors=extractors)


def classified() -> Comparison:
    """A toy set in two parts, and a flow that knows them as classes."""
    real = load("moons")
    assert real.labels is not None
    real = dataclasses.replace(real, x=real.x[:N], labels=real.labels[:N])
    torch.manual_seed(5)
    model = RealNVP(width=8, layers=2, classes=2).build((2,)).eval()
    model.know_classes(real)
    fake = fresh(real, N, 5, labelled=True)
    return Comparison(real, fake, train=real, model=model, objective=NLL())


def half_labelled() -> Comparison:
    """Four classes, and a VAE that tells them itself."""
    torch.manual_seed(6)
    model = MLPAutoencoder(latent=2, width=8, classes=4, classifier=True).build(SHAPE).eval()
    return of_pictures(model, Semi())


def given_numbers() -> Comparison:
    """Pictures with a known factor, and a VAE that is conditioned on it."""
    real, train, fake = (data.conditioned_on(("size",)) if data.factors else data for data in sides())
    torch.manual_seed(7)
    model = MLPAutoencoder(latent=2, width=8, numbers=1).build(SHAPE).eval()
    model.know_classes(train)
    extractors = Extractors(own=classifier(), inception=inception())
    return Comparison(real, fake, extra_real=train, train=train, model=model, objective=VAE(), extractors=extractors)


def stacked() -> Comparison:
    """Every channel is a digit."""
    real, train, fake = sides(3, channels_are="digits", usual_samples=N)
    extractors = Extractors(own=Offline(Halves(), "random", "random:test"), digits=classifier())
    return Comparison(real, fake, extra_real=train, extractors=extractors)


def two_sets() -> Comparison:
    """No model, no labels, one extractor."""
    extractors = Extractors(own=Offline(Halves(), "autoencoder", "autoencoder:test"))
    return Comparison(Data("a", pictures(40, 0)), Data("b", pictures(40, 1)), extractors=extractors)


CASES: dict[str, Callable[[], Comparison]] = {
    f.__name__: f
    for f in (
        gan,
        vae,
        ae,
        two_stages,
        mixture,
        astray,
        vectors,
        typed,
        asked_for,
        classified,
        half_labelled,
        given_numbers,
        stacked,
        two_sets,
    )
}
APPLIES = {
    "Bayes": {"classified"},
    "Ceiling": {"two_stages"},
    "Passes": {
        "gan",
        "vae",
        "half_labelled",
        "given_numbers",
        "ae",
        "two_stages",
        "mixture",
        "astray",
        "vectors",
        "classified",
    },
    "ClassAccuracy": {"asked_for"},
    "ClassFrechet": {"asked_for", "classified"},
    "ClassKernel": {"asked_for", "classified"},
    "ClassNeighbours": {"asked_for", "classified"},
    "Classes": {"gan", "vae", "half_labelled", "given_numbers", "ae", "two_stages", "asked_for"},
    "Disentanglement": {"vae", "half_labelled", "given_numbers", "ae", "two_stages"},
    "Frechet": set(CASES),
    "FrechetInfinity": {
        "gan",
        "vae",
        "half_labelled",
        "given_numbers",
        "ae",
        "two_stages",
        "asked_for",
        "stacked",
        "two_sets",
    },
    "InceptionScore": {"gan", "vae", "half_labelled", "given_numbers", "ae", "two_stages"},
    "Kernel": set(CASES),
    "Likelihood": {
        "gan",
        "vae",
        "half_labelled",
        "given_numbers",
        "ae",
        "two_stages",
        "mixture",
        "astray",
        "vectors",
        "classified",
    },
    "ModeCoverage": {"mixture", "astray"},
    "Neighbours": set(CASES),
    "OwnClassifier": {"half_labelled"},
    "PathLength": {"gan", "vae", "half_labelled", "given_numbers", "ae", "two_stages"},
    "PixelFrechet": {
        "gan",
        "vae",
        "half_labelled",
        "given_numbers",
        "ae",
        "two_stages",
        "asked_for",
        "stacked",
        "two_sets",
    },
    "PriorHole": {"vae", "half_labelled", "given_numbers", "ae"},
    "RoundTrip": {"mixture", "astray", "classified"},
    "Separability": {"gan", "vae", "half_labelled", "given_numbers", "ae", "two_stages"},
    "StackedDigits": {"stacked"},
    "TrainOnGenerated": {"asked_for", "classified"},
    "Transport": set(CASES),
    "TwoSample": set(CASES),
    "TypedColumns": {"typed"},
}
"""Where each metric runs. A metric that is in no case of this table is not tested: add a case for it."""
QUICK = {"Likelihood": {"drawn": 200, "codes": 4}, "PathLength": {"points": 200}, "Separability": {"points": 200}}


@pytest.fixture(scope="module")
def comparisons() -> dict[str, Comparison]:
    return {name: make() for name, make in CASES.items()}


def test_every_metric_runs_somewhere():
    assert set(METRICS) == set(APPLIES)
    assert all(APPLIES.values())


def applies(name: str, comparison: Comparison) -> bool:
    """As `measure` decides it."""
    metric = METRICS[name]
    why_not = metric().applies(comparison)
    assert isinstance(why_not, str)
    return not why_not and (comparison.model is None or isinstance(comparison.model, metric.needs))


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_applies_where_it_should(name, comparisons):
    assert {k for k, c in comparisons.items() if applies(name, c)} == APPLIES.get(name)


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in APPLIES.items() for case in sorted(cases)])
def test_metric(name, case, comparisons):
    comparison, metric = comparisons[case], METRICS[name](**QUICK.get(name, {}))
    assert dataclasses.is_dataclass(metric)
    assert metric.__dataclass_params__.frozen
    assert METRICS[name].__doc__
    state = torch.get_rng_state()
    found = metric(comparison)
    assert torch.equal(state, torch.get_rng_state()), "the global random state was touched"
    assert found
    for key, value in found.items():
        assert key.isidentifier()
        assert isinstance(value, Value)
        assert value.n > 0
        assert value.reference
        assert (value.value is None) == bool(value.value is None and value.note)
        assert value.value is None or math.isfinite(value.value)
        assert (value.floor is None) == (value.floor_n is None)
        json.dumps(dataclasses.asdict(value))
    again = metric(comparison)
    assert set(again) == set(found)
    for key, value in found.items():  # to rounding, which depends on where in memory the numbers lie
        assert again[key].value == (None if value.value is None else pytest.approx(value.value, rel=1e-9, abs=1e-9))


@pytest.mark.parametrize("name", sorted(METRICS))
def test_a_metric_has_a_number_somewhere(name, comparisons):
    """Every name that it gives is a number in one case at least; the extrapolation alone needs more than these."""
    values: dict[str, list[float | None]] = {}
    for case in APPLIES[name]:
        try:
            found = METRICS[name](**QUICK.get(name, {}))(comparisons[case])
        except TooFew:
            continue
        for key, value in found.items():
            values.setdefault(key, []).append(value.value)
    undefined = {k for k, v in values.items() if all(x is None for x in v)}
    assert not undefined


# ------------------------------------------------------------------------------------------ extractors


@pytest.mark.parametrize("make", [classifier, inception, lambda: Offline(Halves(), "random", "random:test")])
def test_extractors_take_bytes_and_public_floats_alike(make):
    extractor, x = make(), pictures(5, 0)
    from_bytes, from_floats = extractor(x), extractor(x.float() / 255)
    assert set(from_bytes) == set(from_floats)
    for kind, features in from_bytes.items():
        torch.testing.assert_close(from_floats[kind], features, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bad", [255.0, -0.1, math.nan])
def test_extractors_refuse_floats_of_another_scale(bad):
    x = torch.full((2, 1, 8, 8), 0.5)
    x[1, 0, 3, 3] = bad
    for extractor in (classifier(), inception()):
        with pytest.raises(UserError, match=r"\[0, 1\]"):
            extractor(x)


def test_a_comparison_is_made_whole():
    """Nothing is put into it afterwards: what a metric asks for was there from the start."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        vectors().extractors = Extractors()  # type: ignore[misc]


def test_the_sets_own_extractor_is_told_by_name_and_not_by_its_place():
    """Inception alone makes no path length and tells no classes."""
    made = gan()
    alone = dataclasses.replace(made, extractors=Extractors(inception=inception()))
    assert METRICS["PathLength"]().applies(alone)
    assert METRICS["Classes"]().applies(alone)
    assert alone.classifier is None
    assert made.classifier is made.extractors.own


def test_what_a_set_of_stacked_digits_needs_is_said_by_its_data(monkeypatch):
    """Under any name: the samples that are customary, and a classifier of the digits."""
    asked = []
    monkeypatch.setattr(protocol.data_sets, "load", lambda name, split: asked.append((name, split)) or sides()[0])
    monkeypatch.setattr(protocol.self_trained, "extractor_for", lambda *a, **k: classifier())
    real, train, _ = sides(3, channels_are="digits", usual_samples=7)
    assert protocol.default_count(real) == 7
    assert protocol.make_extractors(real, train, None).digits is not None
    assert asked == [("digits", "train"), ("digits", "test")]
    plain, plain_train, _ = sides(3)
    assert protocol.default_count(plain) == N
    assert protocol.make_extractors(plain, plain_train, None).digits is None
    assert len(asked) == 2
