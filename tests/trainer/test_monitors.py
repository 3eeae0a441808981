"""Each alarm, provoked by a training that really goes wrong, and silence where it goes well."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from greys import NAMES, Greys, greys
from torch import Tensor

from triptych import trainer
from triptych.core import Clock, Data, DataSpec, Move, Objective, Recipe, Sampler, Train
from triptych.core.model import Cost
from triptych.data import load
from triptych.errors import Diverged
from triptych.evaluate.while_training import class_diversity, during_training, left_out_along
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.autoencoder import VAE
from triptych.objectives.gan import GAN, LSGAN
from triptych.objectives.relativistic import Relativistic
from triptych.run import Run
from triptych.trainer import monitors

RARE = 10**9


def raised(path: Path, data: DataSpec, model, objective, images: int, evaluate: int, **train) -> list[str]:
    asked = Train(images=images, batch=64, evaluate=evaluate, log=RARE, sample=RARE, checkpoint=RARE, **train)
    recipe = Recipe(data, model, objective, asked, name="r")
    return trainer.fit(recipe, out=path / "run", device="cpu", progress=False).status["alarms"]


def test_critic_saturated(tmp_path):
    """Against a generator that hardly moves the critic always wins."""
    spec = DataSpec("glyphs", resolution=16, channels=1)
    said = raised(tmp_path, spec, MLPGAN(latent=4, width=16), LSGAN(), 6_400, 3_200, lr=1e-7, critic_lr=2e-3)
    assert any("critic saturated" in alarm and "--train.critic-lr" in alarm for alarm in said)


def test_collapse(tmp_path):
    """A generator far quicker than its critic runs to one point after another."""
    spec = DataSpec("swissroll")
    said = raised(tmp_path, spec, MLPGAN(width=32), GAN(), 12_800, 3_200, lr=2e-2, critic_lr=1e-3)
    assert any("collapse: samples differ by" in alarm for alarm in said)


def test_collapse_of_pictures(tmp_path):
    spec = DataSpec("glyphs", resolution=16, channels=1)
    said = raised(tmp_path, spec, MLPGAN(latent=4, width=32), GAN(), 6_400, 3_200, lr=2e-2, critic_lr=1e-3)
    assert any("collapse: samples differ by" in alarm for alarm in said)


def test_samples_that_grow_alike(tmp_path):
    spec, net = DataSpec("8gaussians"), MLPGAN(width=32)
    said = raised(tmp_path, spec, net, GAN(), 6_400, 3_200, lr=5e-3, critic_lr=1e-3, betas=(0.9, 0.99))
    assert any("collapse: samples differ by" in alarm and "down from" in alarm for alarm in said)


@dataclass(frozen=True)
class Pulled(Objective):
    """Every sample is drawn to one and the same mode."""

    def step(self, model: Any, batches: Iterator[Tensor], clock: Clock) -> Iterator[Move]:
        fake = model.generator(model.prior(len(next(batches))))
        yield Move("generator", (fake - load("8gaussians").modes[0]).square().mean())
        yield Move("critic", model.critic(fake.detach()).square().mean())


def test_lost_modes(tmp_path):
    said = raised(tmp_path, DataSpec("8gaussians"), MLPGAN(width=32), Pulled(), 12_800, 6_400, lr=5e-3)
    assert any("collapse: samples differ by" in alarm for alarm in said)  # which shows before they reach one mode of 8


class Copyist(Sampler):
    """Makes copies of the first pictures of a set, `share` of it."""

    def __init__(self, data: Data) -> None:
        super().__init__(data.shape)
        self.latent, self.pictures, self.share = 1, data.x, 1.0
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def decode(self, z: Tensor) -> Tensor:
        uniform = torch.special.ndtr(z[:, 0])
        return self.pictures[(uniform * self.share * len(self.pictures)).long()].float() / 255


def test_coverage_that_drops():
    """Samples stay as different from each other as the data are, and reach fewer and fewer of them."""
    data = load("glyphs", resolution=16, channels=1)
    some = dataclasses.replace(data, x=data.x[:400], labels=None, fingerprint="")
    model, lines = Copyist(some), []
    recipe = Recipe(DataSpec("glyphs"), MLPGAN(), GAN(), Train(images=1_000))
    said = []
    for i, share in enumerate((1.0, 0.8, 0.02)):
        model.share = share
        line = {"images": 100 * i + 100, "step": 1_000, "diversity": 1.0}
        line |= during_training(model, some, None, 400, 0)
        said.append([a for a in monitors.check(recipe, model, line, some, None, lines) if "collapse" in a])
        lines.append(line)
    assert lines[0]["coverage"] > 0.9
    assert said[:2] == [[], []]
    assert "samples cover" in said[2][0]
    assert "down from" in said[2][0]


def test_collapse_onto_some_of_the_modes():
    data = load("8gaussians")
    line = {"images": 50, "modes": 4, "high_quality": 0.9}
    assert "4 of 8 modes" in monitors.collapsed(line, [], data)
    assert not monitors.collapsed(line | {"modes": 5}, [], data)
    assert not monitors.collapsed(line | {"high_quality": 0.1}, [], data), "not near the modes yet is not collapse"


def test_latent_collapse(tmp_path):
    """The KL term weighs so much that the encoder says nothing."""
    spec, net = DataSpec("swissroll"), MLPAutoencoder(latent=2, width=32, variational=True)
    said = raised(tmp_path, spec, net, VAE(beta=1000.0), 12_800, 3_200, lr=2e-3)
    assert any("latent collapse" in alarm and "--objective.beta" in alarm for alarm in said)


@pytest.mark.parametrize("shape", [(16,), (8, 8)])
def test_memorisation(tmp_path, shape):
    """Some twenty vectors of noise, or images of it, memorised."""
    noise, pictures = np.random.default_rng(0), len(shape) == 2
    x = noise.integers(0, 256, (20, *shape), dtype=np.uint8) if pictures else noise.normal(size=(40, *shape))
    np.save(tmp_path / "few.npy", x)
    spec, objective = DataSpec(str(tmp_path / "few.npy"), holdout=0.5), Relativistic(gamma=0.01)
    net, images = MLPGAN(latent=8, width=64), 24_000 if pictures else 64_000
    train = {"lr": 2e-3 if pictures else 1e-3, "betas": (0.0, 0.9), "ema": 0.99}
    said = raised(tmp_path, spec, net, objective, images, images // 2, **train)
    assert any("memorisation" in alarm for alarm in said)


def test_fresh_and_blurred_examples_are_not_called_memorised():
    torch.manual_seed(0)
    train, test, fresh = (torch.randn(n, 16) for n in (2_000, 200, 256))
    data, held_out = Data("d", train), Data("d", test, "test")
    assert not monitors.memorised(fresh, data, held_out)
    assert not monitors.memorised(0.1 * fresh, data, held_out)
    assert "100%" in monitors.memorised(train[:256] + 0.01 * fresh, data, held_out)


def test_in_few_dimensions_a_new_example_is_closer_to_many_than_to_few():
    """Of new examples in two dimensions about r / (1 + r) are less than half as far from the training ones, with r =
    (n_train / n_test) / 2²: 69 % here, and 100 % of copies. The alarm stands between, 25 points above what it sees."""
    torch.manual_seed(0)
    train, test, fresh = (torch.randn(n, 2) for n in (900, 100, 256))
    data, held_out = Data("d", train), Data("d", test, "test")
    assert (monitors.nearest(fresh, train) < 0.5 * monitors.nearest(fresh, test)).float().mean() > 0.5
    assert not monitors.memorised(fresh, data, held_out)
    said = monitors.memorised(train[:256] + 1e-4 * fresh, data, held_out)
    assert "99% of samples" in said or "100% of samples" in said
    assert "of held-out ones" in said
    assert "--train.flip" not in said  # which doubles pictures


def test_non_finite_gradient_is_recorded(tmp_path):
    """A rate beyond all bounds: the weights overflow."""
    with pytest.raises(Diverged):
        raised(tmp_path, DataSpec("8gaussians"), MLPGAN(width=16), LSGAN(), 64_000, 32_000, lr=1e30)
    status = Run(tmp_path / "run").status
    assert status["state"] == "diverged"
    assert "not finite" in status["alarms"][-1]


@dataclass(frozen=True)
class NoGradient(Objective):
    """A GAN whose generator's loss is a number, and its gradient is none: the slope of a root at 0."""

    quantities = GAN.quantities

    def step(self, model: Any, batches: Iterator[Tensor], clock: Clock) -> Iterator[Move]:
        for move in GAN().step(model, batches, clock):
            root = (0 * move.loss).abs().sqrt() if move.names == ("generator",) and clock.step == 5 else 0
            yield dataclasses.replace(move, loss=move.loss + root)


def test_the_player_with_the_broken_weights_is_named(tmp_path):
    with pytest.raises(Diverged, match="the weights of the generator are not finite"):
        raised(tmp_path, DataSpec("8gaussians"), MLPGAN(width=16), NoGradient(), 6_400, 3_200)


def test_a_healthy_run_raises_none(tmp_path):
    spec = DataSpec("8gaussians")
    said = raised(
        tmp_path, spec, MLPGAN(width=32), Relativistic(gamma=0.1), 25_600, 6_400, lr=1e-3, betas=(0.0, 0.9), ema=0.99
    )
    assert said == []


def test_a_good_flow_and_a_code_without_a_prior_are_told_apart():
    """`kl` is a flow's distance to the data, and small is good; an AE has no beta to lower."""
    assert not monitors.latent_collapsed({"kl": 0.004})
    assert not monitors.latent_collapsed({"active_units": 3.0})
    assert not monitors.latent_collapsed({"active_units": 3.0, "beta_eff": 1.0, "kl": 4.0})
    assert "beta" not in monitors.latent_collapsed({"active_units": 0.0})
    assert "beta" in monitors.latent_collapsed({"active_units": 0.0, "beta_eff": 1.0, "kl": 4.0})
    assert "beta" in monitors.latent_collapsed({"active_units": 3.0, "beta_eff": 1.0, "kl": 0.001})


class Broken(Sampler):
    """Half of its samples hold NaN."""

    sampling = ("generator",)

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.latent = 2
        self.generator = torch.nn.Linear(2, 1)

    def decode(self, z: Tensor) -> Tensor:
        x = z.new_zeros(len(z), *self.shape)
        x[z[:, 0] > 0] = float("nan")
        return x


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8)])
def test_samples_that_are_not_finite_are_counted_and_raise_an_alarm(shape):
    model = Broken(shape)
    recipe = Recipe(DataSpec("8gaussians"), MLPGAN(), GAN(), Train(images=1000))
    grey = Data("grey", torch.randint(0, 256, (64, 1, 8, 8), dtype=torch.uint8))
    data = load("8gaussians") if shape == (2,) else grey
    (alarm,) = monitors.check(recipe, model, {"images": 1000, "step": 100}, data, None, [])
    count = int(alarm.split()[3])
    assert alarm.startswith("samples not finite: ")
    assert "of 256 hold NaN" in alarm
    assert 90 < count < 166  # 128 ± 38 is 4.75 standard deviations: fails once in half a million seeds
    if shape == (2,):
        found = during_training(model, data, None, 200, 0)
        assert 70 < found["nonfinite_samples"] < 130


# ------------------------------------------------------------------------------------------------ classes


class OneGrey(Greys):
    """All pictures of the class `grey` are the same."""

    def decode(self, z: Tensor, y=None) -> Tensor:
        own = self.labels(y, len(z))
        assert own is not None
        return super().decode(z * (own != 1)[:, None], own)


def test_diversity_of_each_class():
    found = class_diversity(Greys(), greys(3), seed=0)
    assert found == pytest.approx([1.0, 1.0, 1.0], abs=0.3)
    assert class_diversity(OneGrey(), greys(3), seed=0)[1] == 0.0


def test_one_picture_for_all_seeds_of_a_class():
    data = greys(3)
    line = {"class_diversity": class_diversity(OneGrey(), data, seed=0)}
    said = monitors.class_collapsed(line, data)
    assert said.startswith("collapse within classes: samples of grey differ by 0% of what its examples do; ")
    recipe = Recipe(DataSpec("greys"), MLPGAN(), GAN(), Train(images=1_000))
    late = {"images": 900, "step": 90} | line
    assert said in monitors.check(recipe, OneGrey(), late, data, None, [])
    fine = {"class_diversity": class_diversity(Greys(), data, seed=0)}
    assert monitors.class_collapsed(fine, data) == ""
    assert monitors.class_collapsed({}, data) == ""


def test_many_collapsed_classes_are_counted_and_some_named():
    data = dataclasses.replace(greys(3), classes=tuple(f"c{i}" for i in range(20)))
    line = {"class_diversity": [0.01 * i if i < 10 else None if i < 12 else 1.0 for i in range(20)]}
    said = monitors.class_collapsed(line, data)
    assert "samples of c0 differ by 0% of what its examples do, and so do 9 more of 18 (c1, c2, c3, c4, c5, …)" in said


def test_a_class_that_cannot_be_told():
    """One picture of a class, and a class without any."""
    data = greys(3)
    rows = torch.tensor([0, 3, 6, 1])
    few = dataclasses.replace(data, x=data.x[rows], labels=data.labels[rows])
    found = class_diversity(Greys(), few, seed=0)
    assert found[0] is not None
    assert found[1:] == [None, None]


def test_of_many_classes_some_are_looked_at():
    class Many(Greys):
        @property
        def cost(self):
            return Cost(sample=1_000.0)

    found = class_diversity(Many(), greys(3), seed=0)
    assert [share is not None for share in found] == [True, False, False]
    assert NAMES[0] == "dark"


def test_the_nearest_example_is_found_a_few_at_a_time(monkeypatch):
    """Whatever the number that is looked at at once."""
    x, among = torch.rand(7, 12), torch.randint(0, 256, (50, 3, 2, 2), dtype=torch.uint8)
    expected = torch.cdist(x, among.flatten(1) / 255).amin(1)
    for block in (1, 40, 10_000):
        monkeypatch.setattr(monitors, "BLOCK", block)
        torch.testing.assert_close(monitors.nearest(x, among), expected)


@pytest.mark.parametrize(("n", "said"), [(1, "half of 1 training example would"), (3, "half of 3 training examples")])
def test_sets_too_small_for_distances_are_told_in_good_english(n: int, said: str) -> None:
    few = Data("few", torch.zeros(n, 1, 4, 4, dtype=torch.uint8), "train", fingerprint="few")
    assert left_out_along(few, None, budget=10**6).startswith(said)
