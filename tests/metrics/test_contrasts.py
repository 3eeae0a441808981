"""Spoilt pictures, the features that tell them from sound ones, and the negative controls that are made of them."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from triptych.core import Data, to_bytes
from triptych.core.controls import beyond, judged, praise
from triptych.core.features import Extractors
from triptych.core.metric import Value
from triptych.data import load
from triptych.metrics import negatives
from triptych.metrics.comparison import Comparison, pick
from triptych.metrics.distortions import bent, blended, blurred, coarse, noisy, pale, recompressed, scrambled, shuffled
from triptych.metrics.features import contrasts, self_trained
from triptych.metrics.features.kept import make_missing
from triptych.metrics.frechet import Frechet, frechet_from_features
from triptych.metrics.neighbours import Neighbours, prdc, with_errors
from triptych.system.locks import hold


def g(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(n, seed=0, side=16, **kw):
    """Ellipses on a ground."""
    return Data("ellipses", negatives.ellipses(n, (1, side, side), seed), **kw)


WAYS = {
    "blurred": lambda x, s: blurred(x, 3 * s),
    "noisy": lambda x, s: noisy(x, s, g()),
    "shuffled": lambda x, s: shuffled(x, s, g()),
    "scrambled": lambda x, s: scrambled(x, s, g()),
    "blended": lambda x, s: blended(x, s / 2, g()),
    "coarse": lambda x, s: coarse(x, 1 + 3 * s, g()),
    "pale": lambda x, s: pale(x, s),
    "bent": lambda x, s: bent(x, s, g()),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 13, 18), (1, 3, 2)])
def test_a_degree_of_none_changes_nothing_and_any_keeps_the_range(way, shape):
    x = torch.rand(5, *shape, generator=g(1))
    torch.testing.assert_close(WAYS[way](x, 0.0), x, rtol=0, atol=2e-5)
    one = WAYS[way](x, 1.0)
    assert one.shape == x.shape
    assert one.min() >= 0
    assert one.max() <= 1
    assert not torch.allclose(one, x) or shape == (1, 3, 2)
    each = torch.tensor([0.0, 0.1, 0.5, 1.0, 0.0])
    mixed = WAYS[way](x, each)
    torch.testing.assert_close(mixed[0], x[0], rtol=0, atol=2e-5)
    assert mixed.isfinite().all()


def test_shuffled_patches_are_the_same_pixels_elsewhere():
    x = torch.rand(4, 3, 16, 16, generator=g())
    y = shuffled(x, 1.0, g(1))
    assert torch.equal(x.flatten(1).sort(1).values, y.flatten(1).sort(1).values)
    moved = (x != y).any(1).float().mean((1, 2))
    assert torch.equal(moved, torch.ones(4))


def test_scrambled_phases_keep_the_spectrum_where_nothing_is_clipped():
    x = 0.5 + 0.01 * torch.randn(3, 1, 16, 16, generator=g())
    before, after = (torch.fft.rfft2(v).abs()[..., 1:8] for v in (x, scrambled(x, 1.0, g(2))))
    torch.testing.assert_close(after, before, rtol=0.01, atol=1e-4)


def test_jpeg_is_coarser_at_lower_quality():
    x = torch.rand(4, 3, 16, 16, generator=g())
    errors = [(recompressed(x, q) - x).square().mean().item() for q in (95, 50, 10)]
    assert errors == sorted(errors)
    assert recompressed(x[:, :1], 50).shape == (4, 1, 16, 16)


# ------------------------------------------------------------------------------------------ features


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_net_is_made_once_for_each_seed(cache, monkeypatch):
    monkeypatch.setattr(contrasts, "STEPS", 2)
    data = drawn(600, fingerprint="e")
    state = torch.get_rng_state()
    first, second = contrasts.extractor_for(data), contrasts.extractor_for(data, 1)
    assert torch.equal(torch.get_rng_state(), state)
    assert first.id != second.id
    assert (first.name("frechet"), first.label) == ("frechet", "")
    assert (second.name("frechet"), second.label) == ("frechet_second", "second seed")
    assert first(data.x[:3])["features"].shape == (3, contrasts.FEATURES)
    monkeypatch.setattr(contrasts, "make", None)
    assert contrasts.cached(data)
    assert contrasts.extractor_for(data).id == first.id
    torch.save({}, contrasts.place(data, 0))
    monkeypatch.setattr(contrasts, "make", lambda *a: contrasts.Net(1))
    with pytest.warns(UserWarning, match="cannot be used"):
        assert contrasts.extractor_for(data) is not None


def test_what_another_process_is_making_is_left_to_it(cache, monkeypatch):
    """So that two processes that begin at once make different nets."""
    monkeypatch.setattr(contrasts, "STEPS", 1)
    data = drawn(600, fingerprint="e")
    nets = [contrasts.kept(data, seed) for seed in (0, 1, 2)]
    with hold(nets[0].file.with_suffix(".lock")):
        make_missing(nets)
    assert [net.file.exists() for net in nets] == [False, True, True]
    state = torch.get_rng_state()
    make_missing(nets)
    assert nets[0].file.exists()
    assert torch.equal(torch.get_rng_state(), state)
    monkeypatch.setattr(contrasts, "make", None)
    make_missing(nets)
    assert len({net.get().id for net in nets}) == 3


def test_a_set_of_few_pictures_has_none(cache):
    assert contrasts.extractor_for(drawn(self_trained.FEW - 1, fingerprint="e")) is None
    assert contrasts.cached(drawn(3, fingerprint="f"))


def test_pictures_of_any_side_train(cache, monkeypatch):
    monkeypatch.setattr(contrasts, "STEPS", 1)
    for shape in ((3, 8, 8), (1, 13, 18), (1, 2, 2), (3, 70, 80)):
        data = Data("x", torch.randint(0, 256, (600, *shape), dtype=torch.uint8, generator=g()))
        assert contrasts.extractor_for(data)(data.x[:2])["features"].isfinite().all()


def test_blur_is_told_by_degrees(monkeypatch):
    """Forty steps are enough for that on ellipses."""
    monkeypatch.setattr(contrasts, "STEPS", 40)
    own = contrasts.extractor_for(drawn(800))
    real, other = (drawn(300, seed).x for seed in (1, 2))
    a = own(real)["features"]
    sides = [own(other)["features"]]
    sides += [own(blurred(other.float() / 255, sigma))["features"] for sigma in (0.6, 1.0, 1.6)]
    distances = [frechet_from_features(a, z) for z in sides]
    assert distances == sorted(distances)


@pytest.mark.data
@pytest.mark.long
def test_blurred_birds_have_no_precision_and_faces_are_no_birds(cache, real_data, monkeypatch):
    """Where offline-v1 finds most of both as typical as real birds."""
    monkeypatch.setattr(contrasts, "STEPS", 500)
    birds, faces = load("birds", split="all", resolution=32), load("celeba", split="train", resolution=32)
    order = torch.randperm(len(birds), generator=g())
    own = contrasts.extractor_for(pick(birds, order[2_000:], "train"))
    real, other = birds.x[order[:1_000]], birds.x[order[1_000:2_000]]
    sides = {"real": other, "fog": to_bytes(blurred(other.float() / 255, 2.0)), "faces": faces.x[:1_000]}
    precision = {k: prdc(own(real)["features"], own(x)["features"])["precision"] for k, x in sides.items()}
    assert precision["fog"] < precision["real"] - 0.3
    assert precision["faces"] < precision["real"] - 0.1


# --------------------------------------------------------------------------------- negative controls


@dataclasses.dataclass(frozen=True, eq=False)
class Brightness(contrasts.Extractor):
    """Mean values of the four quarters: blind to blur and to scrambled phases."""

    id: str = "brightness:t"
    resize: str = "none"
    dtype: str = "float32"

    def __call__(self, examples):
        return {"features": torch.nn.functional.adaptive_avg_pool2d(examples.float(), 2).flatten(1) / 255}


def compared(fake, **kw):
    return Comparison(drawn(300), fake, extractors=Extractors(own=Brightness()), controls=100, **kw)


def test_controls_stand_beside_the_floor_and_name_what_a_metric_does_not_see():
    values = Frechet().evaluated(compared(Data("grey", torch.full((200, 1, 16, 16), 90, dtype=torch.uint8))))
    told = values["frechet"].controls
    assert told is not None
    assert told["n"] == 100
    assert set(told["values"]) == {*negatives.SPOILT, negatives.REPEATED, negatives.DRAWN}
    assert told["samples"] > told["floor"]
    assert "blurred pictures" in told["above"]
    assert negatives.REPEATED not in told["within"]
    assert "ranks" in praise(told)


def test_pictures_whose_features_are_kept_are_not_spoilt_again(monkeypatch):
    def values():
        comparison = Comparison(
            drawn(300, fingerprint="f"), drawn(200, 7), extractors=Extractors(own=Brightness()), controls=100
        )
        return Frechet().evaluated(comparison)["frechet"].controls

    first = values()

    def never(*given):
        raise AssertionError("spoilt again")

    monkeypatch.setattr(negatives, "spoilt", never)
    assert values() == first


def test_a_metric_that_takes_blur_for_real_says_so():
    values = Neighbours().evaluated(compared(drawn(200, 7)))
    assert "blurred pictures" in values["precision"].controls["within"]
    assert "takes" in praise(values["precision"].controls)
    assert "for real" in praise(values["precision"].controls)
    assert values["precision"].companion == "recall"


def test_pictures_of_another_set_are_a_control_under_its_name():
    other = Data("snow", torch.randint(0, 256, (7, 1, 16, 16), dtype=torch.uint8, generator=g()))
    told = Frechet().evaluated(compared(drawn(200, 7), strangers=other))["frechet"].controls
    assert "pictures of snow" in told["values"]
    assert told["values"]["pictures of snow"] > told["floor"]


def test_controls_are_not_made_of_vectors_of_few_or_where_features_cost_minutes():
    vectors = Comparison(Data("a", torch.randn(40, 2)), Data("b", torch.randn(40, 2)), controls=10)
    assert Frechet().evaluated(vectors)["frechet"].controls is None
    few = Comparison(drawn(3), drawn(3, 1), extractors=Extractors(own=Brightness()), controls=100)
    assert Frechet().evaluated(few)["frechet"].controls is None
    assert (
        Frechet()
        .evaluated(Comparison(drawn(30), drawn(30, 1), extractors=Extractors(own=Brightness())))["frechet"]
        .controls
        is None
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: contrasts.Contrasts(contrasts.Net(1).eval(), "contrasts:test"),
        lambda: self_trained.Offline(self_trained.Classifier(1, 3).eval(), "classifier", "classifier:test"),
    ],
)
def test_an_extractor_put_on_another_device_leaves_the_first_where_it_was(make):
    first = make()
    before = first(drawn(4).x)["features"]
    other = first.on(torch.device("meta"))
    assert other.device.type == "meta"
    assert {w.device.type for w in other.net.parameters()} == {"meta"}
    torch.testing.assert_close(first(drawn(4).x)["features"], before, rtol=0, atol=0)


@pytest.mark.parametrize(("sign", "within", "above"), [(-1, ["near"], ["near"]), (1, ["far"], ["far"])])
def test_directions_of_controls(sign, within, above):
    told = judged({"n": 9, "floor": 1.0, "samples": 1.0 - 0.2 * sign, "values": {"near": 0.9, "far": 1.1}}, sign)
    assert told is not None
    assert set(within) <= set(told["within"])
    assert set(above) <= set(told["above"])
    assert judged(None, sign) is None
    assert praise(None, {}) == ""


def test_precision_above_the_real_floor_raises_a_warning():
    """Samples that all lie in the middle of the real ones, as collapsed ones do."""
    real = torch.randn(800, 8, generator=g())
    comparison = Comparison(Data("real", real), Data("samples", 0.05 * torch.randn(400, 8, generator=g(1))))
    values = Neighbours().evaluated(comparison)
    assert values["precision"].value == 1
    assert "collapsed" in values["precision"].beyond
    assert any("precision" in text and "better than between real" in text for text in comparison.warnings)
    honest = Comparison(Data("real", real), Data("samples", torch.randn(400, 8, generator=g(2))))
    assert not Neighbours().evaluated(honest)["precision"].beyond
    assert not honest.warnings


def test_honest_samples_are_seldom_denser_than_real_ones():
    """Of many dimensions one in four were, when the chance of a mean count was taken for that of a share."""
    flagged = 0
    for seed in range(25):
        real, fake, other = torch.randn(3, 300, 64, generator=g(seed)).unbind()
        (value, error), (floor, _) = (with_errors(real, x, 5)["density"] for x in (fake, other))
        found = Value(value, 300, floor=floor, floor_n=300, se=error, better="higher")
        flagged += beyond(found)
        assert beyond(dataclasses.replace(found, value=floor + 1))
    assert flagged <= 2  # of 60 one is, so that more happen once in 150 times


@pytest.mark.parametrize("d", [2, 16])
def test_the_error_of_density_covers_its_spread(d):
    found = [with_errors(*torch.randn(2, 200, d, generator=g(seed)).unbind(), 5)["density"] for seed in range(40)]
    values, errors = (torch.tensor(column) for column in zip(*found, strict=True))
    assert 0.6 < errors.mean() / values.std() < 2.2  # the standard deviation of 40 is off by a third once in 300 times


def test_a_value_beyond_a_floor_of_fewer_examples_says_nothing():
    one = Value(0.99, 400, floor=0.8, floor_n=400, better="higher")
    assert beyond(one)
    assert not beyond(dataclasses.replace(one, floor_n=100))
    assert not beyond(dataclasses.replace(one, value=0.82))
    assert not beyond(dataclasses.replace(one, better="lower"))
    assert not beyond(dataclasses.replace(one, value=None))
