"""One comparison: features made once, floors from disjoint real sets, caches, offline extractors, statistics files."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from triptych.core import Data, Metric, discover
from triptych.core.features import Extractors
from triptych.data import load
from triptych.errors import UserError
from triptych.metrics.classes import Classes, InceptionScore, inception_score, stacked_modes
from triptych.metrics.comparison import Comparison, mixed, subset
from triptych.metrics.features import extractor, self_trained
from triptych.metrics.features.extractor import Inception, read_statistics, write_statistics
from triptych.metrics.frechet import Frechet, FrechetInfinity, frechet_infinity, moments
from triptych.metrics.two_sample import two_sample
from triptych.models import latent_space
from triptych.models.autoencoders import MLPAutoencoder


def noise(n, name="noise", seed=0, **kw):
    g = torch.Generator().manual_seed(seed)
    return Data(name, torch.randint(0, 256, (n, 1, 8, 8), generator=g, dtype=torch.uint8), **kw)


def striped(n, seed=0, **kw):
    """Horizontal stripes (0) and vertical ones (1) in noise."""
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(2, (n,), generator=g)
    wave = ((torch.arange(12) // 2) % 2 * 120.0).view(12, 1).expand(12, 12)
    x = torch.where(y.view(-1, 1, 1).bool(), wave.T, wave) + 120 * torch.rand(n, 12, 12, generator=g)
    return Data("stripes", x.byte()[:, None], labels=y, **kw)


class Counting:
    def __init__(self):
        self.images = 0

    def __call__(self, x):
        self.images += len(x)
        flat = x.float().flatten(1) / 255
        return {"features": flat[:, :5], "logits": flat[:, :4], "logits_unbiased": flat[:, :4]}


def counting():
    return Extractors(inception=Inception(Counting(), "inception-v3:t"))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_features_are_made_once_and_real_ones_never_again(cache):
    real, fake, spare = noise(40, fingerprint="r"), noise(30, seed=1), noise(60, seed=2, fingerprint="s")
    for again in (False, True):
        net = Counting()
        comparison = Comparison(
            real, fake, extra_real=spare, extractors=Extractors(inception=Inception(net, "inception-v3:test"))
        )
        for metric in discover("metrics", Metric).values():
            if not metric().applies(comparison):
                metric()(comparison)
        assert net.images == (30 if again else 40 + 30 + 30)
    assert (cache / "features").is_dir()


def test_floor_is_the_metric_between_disjoint_real_sets(cache):
    real, fake = noise(40, fingerprint="r"), noise(30, seed=1)
    left, right = Comparison(real, fake).floor_sides
    assert (len(left), len(right)) == (20, 20)
    rows = [tuple(x.flatten().tolist()) for x in (*left.x, *right.x)]
    assert len(set(rows)) == 40
    value = Frechet()(Comparison(real, fake, extractors=counting()))["fid"]
    assert (value.n, value.n_real, value.floor_n) == (30, 40, 20)
    assert value.floor is not None
    assert value.floor > 0
    assert value.reference == "noise train r"


def test_floor_of_a_known_distribution_is_of_as_many_examples_as_there_are_samples():
    real, fake = subset(load("8gaussians"), 400, 0), Data("samples", torch.randn(30, 2))
    left, right = Comparison(real, fake).floor_sides
    assert (len(left), len(right)) == (400, 30)
    found = Frechet()(Comparison(real, fake))["frechet"]
    assert (found.n, found.n_real, found.floor_n) == (30, 400, 30)


def test_names_tell_inception_from_others(cache):
    space = Extractors(inception=Inception(Counting(), "inception-v3:t"), own=self_trained.extractor_for(noise(9)))
    got = Frechet()(Comparison(noise(40), noise(40, seed=1), extractors=space))
    assert set(got) == {"fid", "frechet"}
    assert "not comparable" in got["frechet"].note
    assert not got["fid"].note


def test_broken_samples_leave_metrics_undefined():
    x = torch.randn(20, 2)
    x[3, 1] = torch.nan
    comparison = Comparison(Data("real", torch.randn(20, 2)), Data("samples", x))
    value = Frechet()(comparison)["frechet"]
    assert value.value is None
    assert "1 of 20 samples are not finite" in value.note
    assert value.floor is not None


def test_sides_of_different_shape_are_refused():
    with pytest.raises(UserError, match="prepare both alike"):
        Comparison(noise(9), Data("rgb", torch.zeros(9, 3, 8, 8, dtype=torch.uint8)))
    with pytest.raises(UserError, match="rgb holds pictures and rows vectors; give two sets of one kind"):
        Comparison(Data("rows", torch.randn(9, 2)), Data("rgb", torch.zeros(9, 3, 8, 8, dtype=torch.uint8)))
    with pytest.raises(UserError, match="no examples"):
        Comparison(noise(9), noise(0))


def test_classifier_is_trained_once_and_says_its_accuracy(cache, monkeypatch):
    train, test = striped(600, fingerprint="t"), striped(200, seed=1)
    monkeypatch.setattr("triptych.metrics.features.self_trained.EXAMPLES", (6_000, 6_000))
    first = self_trained.extractor_for(train, test)
    assert (first.kind, first.accuracy, first.accuracy_n) == ("classifier", pytest.approx(1, abs=0.02), 200)
    assert first(test.x)["features"].shape == (200, self_trained.WIDTH)
    state = torch.get_rng_state()
    monkeypatch.setattr("triptych.metrics.features.self_trained.make", None)
    again = self_trained.extractor_for(train, test)
    assert again.id == first.id
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(again(test.x)["logits"], first(test.x)["logits"])


def test_autoencoder_where_there_are_no_labels(cache, monkeypatch):
    for side in (12, 20):
        data = Data("x", torch.randint(0, 256, (600, 3, side, side), dtype=torch.uint8), fingerprint=str(side))
        got = self_trained.extractor_for(data)
        assert got.kind == "autoencoder"
        assert got(data.x[:4])["features"].shape == (4, self_trained.WIDTH)
        assert self_trained.extractor_for(data).id == got.id


def test_random_features_are_the_same_everywhere():
    a, b = self_trained.extractor_for(noise(9)), self_trained.extractor_for(noise(20, seed=5))
    assert a.id == b.id
    assert a.kind == "random"
    big = self_trained.prepare(torch.zeros(2, 3, 100, 80, dtype=torch.uint8))
    assert big.shape == (2, 3, 64, 64)


def test_statistics_are_clean_fids(tmp_path):
    mu, sigma = moments(torch.randn(50, 4))
    write_statistics(tmp_path / "s.npz", mu, sigma)
    with np.load(tmp_path / "s.npz") as z:
        assert set(z.files) == {"mu", "sigma"}
    got = read_statistics(tmp_path / "s.npz")
    assert torch.equal(got[0], mu)
    assert torch.equal(got[1], sigma)
    np.savez(tmp_path / "bad.npz", mu=np.zeros(3), sigma=np.zeros((2, 2)))
    np.savez(tmp_path / "pickle.npz", mu=np.array([{}], dtype=object), sigma=np.zeros((2, 2)))
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04")
    for name in ("bad", "pickle", "torn", "none"):
        with pytest.raises(UserError):
            read_statistics(tmp_path / f"{name}.npz")


def test_torchscript_weights_are_called_as_clean_fid_calls_them(scripted):
    net = extractor.load_inception(scripted)
    assert net.id.startswith("inception-script:")
    got = net(torch.full((2, 1, 32, 32), 192, dtype=torch.uint8))["features"]
    torch.testing.assert_close(got, torch.full((2, 12), 0.5))


# -------------------------------------------------------------------------------- further functions


def test_frechet_infinity_takes_the_bias_away():
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(20_000, 16, generator=g), torch.randn(800, 16, generator=g)
    from triptych.metrics.frechet import frechet_from_features

    plain = frechet_from_features(x, y)
    assert abs(frechet_infinity(x, y)) < plain / 3
    with pytest.raises(UserError, match="at least 32"):
        frechet_infinity(x, y[:20])
    with pytest.raises(UserError, match=r"31 real examples .* at least 32"):
        frechet_infinity(x[:31], y)


def test_frechet_infinity_of_few_real_examples_is_not_defined(cache):
    comparison = Comparison(noise(9), noise(40, seed=1), extractors=counting())
    value = FrechetInfinity()(comparison)["fid_infinity"]
    assert value.value is None
    assert "9 real examples for 5 dimensions" in value.note


def test_two_sample_tests_tell_what_can_be_told():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(1000, 5, generator=g)
    same, other = two_sample(x, torch.randn(1000, 5, generator=g)), two_sample(x, torch.randn(1000, 5, generator=g) + 3)
    for name in ("c2st", "c2st_knn"):
        value, error = same[name]
        assert abs(value - 0.5) < 5 * error  # fails once in 1.7 million seeds
        assert other[name][0] > 0.98


def test_inception_score_of_known_predictions():
    sure = torch.eye(4).repeat(10, 1) * 1e4
    assert inception_score(sure)[0] == pytest.approx(4)
    assert inception_score(torch.zeros(40, 4)) == (pytest.approx(1), pytest.approx(0))
    with pytest.raises(UserError, match="at least 10"):
        inception_score(sure[:5])
    assert InceptionScore().applies(Comparison(noise(9), noise(9, seed=1)))


def test_stacked_modes_are_triples_of_digits():
    def digits(x):
        """The grey level of a constant picture is its digit."""
        return {"logits": torch.nn.functional.one_hot(x[:, 0, 0, 0].long(), 10).float()}

    levels = torch.tensor([[1, 2, 3], [1, 2, 3], [3, 2, 1], [9, 9, 9]], dtype=torch.uint8)
    got = stacked_modes(digits, levels[:, :, None, None].expand(-1, 3, 4, 4))
    assert got["stacked_modes"] == 3
    p = torch.tensor([0.5, 0.25, 0.25])
    assert got["stacked_kl"] == pytest.approx((p * (p * 1000).log()).sum().item())


def test_subsets_are_reproducible():
    data = noise(30, fingerprint="f")
    a, b = subset(data, 10, 0), subset(data, 10, 1)
    assert a.fingerprint == subset(data, 10, 0).fingerprint != b.fingerprint
    assert subset(data, 99, 0) is data


def test_values_are_plain_json():
    import dataclasses

    value = Frechet()(Comparison(Data("a", torch.randn(20, 2)), Data("b", torch.randn(20, 2))))["frechet"]
    assert json.loads(json.dumps(dataclasses.asdict(value)))["n"] == 20


def test_statistics_stand_for_the_real_side(tmp_path):
    from triptych.evaluate.protocol import against_statistics

    real, fake = noise(40), noise(30, seed=1)
    inception = Inception(Counting(), "inception-v3:t")
    x, y = (extractor.extract(inception, d)["features"] for d in (real, fake))
    write_statistics(tmp_path / "s.npz", *moments(x))
    got = against_statistics(tmp_path / "s.npz", fake, inception)["fid"]
    from triptych.metrics.frechet import frechet_from_features

    assert got.value == pytest.approx(frechet_from_features(x, y), rel=1e-9)
    assert (got.n, got.n_real) == (30, None)
    write_statistics(tmp_path / "s.npz", torch.zeros(7), torch.eye(7))
    with pytest.raises(UserError, match="7 dimensions"):
        against_statistics(tmp_path / "s.npz", fake, inception)


def test_features_of_one_extractor_alone():
    digits = self_trained.extractor_for(noise(9))
    both = Extractors(own=digits, inception=Inception(Counting(), "inception-v3:t"), digits=digits)
    assert [e.id for e in both.of_features] == [digits.id, "inception-v3:t"]
    assert both.only("inception-v3:t") == Extractors(inception=both.inception, digits=digits)
    assert both.only(digits.id) == Extractors(own=digits, digits=digits)
    assert both.only(None) == Extractors(digits=digits)


def test_codes_are_made_once_and_fewer_are_the_first_of_more(monkeypatch):
    data, model = Data("points", torch.randn(100, 2)), MLPAutoencoder(latent=2, width=8).build((2,)).eval()
    comparison, made, plain = Comparison(data, data, model=model), [], latent_space.encode

    def counted(model, x, **kw):
        made.append(len(x))
        return plain(model, x, **kw)

    monkeypatch.setattr(latent_space, "encode", counted)
    many, z = comparison.codes(50, 0)
    few, first = comparison.codes(30, 0)
    assert torch.equal(few.x, many.x[:30])
    assert torch.equal(first, z[:30])
    whole, all_of_them = comparison.codes(1000, 0)
    assert whole is data
    assert made == [50, 100]
    for examples, codes in ((few, comparison.codes(30, 0)[1]), (whole, all_of_them)):
        torch.testing.assert_close(codes, plain(model, examples.x))
    assert not torch.equal(comparison.codes(30, 1)[1], first)


def test_an_even_share_is_asked_of_samples_where_the_data_are_even(monkeypatch):
    """A model that has the shares of uneven data is no worse for it."""
    monkeypatch.setattr("triptych.metrics.classes.TRUSTED", 0.0)
    examples = striped(300)
    even = torch.arange(300) % 2
    for labels, there in ((even, True), ((torch.arange(300) % 10 > 0).long(), False)):
        real = dataclasses.replace(examples, labels=labels, fingerprint="")
        extractors = Extractors(own=self_trained.finish(self_trained.Classifier(1, 2), "classifier", {"accuracy": "1"}))
        found = Classes()(Comparison(real, striped(300, seed=1), extractors=extractors))
        assert ("class_deviation" in found) == there
        assert "class_histogram" in found


def test_numbers_of_the_log_are_of_all_classes_where_these_lie_one_after_the_other():
    """A folder's first class alone was looked at, and honest samples were ten times as diverse, or collapsed."""
    y = torch.arange(4).repeat_interleave(100)
    x = torch.randn(400, 2) * (1 + 9 * (y[:, None] > 1))
    by_class = Data("folder", x, labels=y)
    some = mixed(by_class, 40)
    assert len(some) == 40
    assert len(some.labels.unique()) == 4
    order = torch.randperm(400, generator=torch.Generator().manual_seed(1))
    shuffled = Data("set", x[order], labels=y[order])
    assert mixed(shuffled, 40) is shuffled
    assert mixed(Data("table", x), 40).x.std() > 2 * x[:40].std()
