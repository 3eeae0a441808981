"""Players by what the model says of them, not by their names; and what is saved."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from triptych import recipes, trainer
from triptych.core import Clock, DataSpec, Model, Move, Objective, Quantity, Recipe, Sampler, Train
from triptych.errors import UserError
from triptych.models import batchnorm
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows.coupling import RealNVP
from triptych.models.gans.mlp import MLPGAN
from triptych.models.gans.small_conv import ConvGAN
from triptych.trainer.ema import Averages
from triptych.trainer.optimizers import full_rates

TRAIN = Train(lr=1e-3, critic_lr=4e-3)


class Duel(Sampler):
    """Other names than ours: `maker` against `judge`."""

    sampling = ("maker",)
    adversary = "judge"

    def __init__(self) -> None:
        super().__init__((2,))
        self.latent = 2
        self.maker, self.judge = nn.Linear(2, 2), nn.Linear(2, 1)

    def decode(self, z: Tensor) -> Tensor:
        return self.maker(z)


class Loner(Duel):
    """A player by the name of critic that is no adversary."""

    adversary = None

    def __init__(self) -> None:
        super().__init__()
        self.critic = nn.Linear(2, 1)


@pytest.mark.parametrize(
    ("model", "rates"),
    [
        (Duel(), {"maker": 1e-3, "judge": 4e-3}),
        (Loner(), {"maker": 1e-3, "judge": 1e-3, "critic": 1e-3}),
        (MLPGAN(width=2).build((2,)), {"generator": 1e-3, "critic": 4e-3}),
        (MLPAutoencoder(width=2).build((2,)), {"encoder": 1e-3, "decoder": 1e-3}),
        (RealNVP(layers=2, width=2).build((2,)), {"flow": 1e-3}),
    ],
)
def test_the_rate_of_its_own_is_the_adversarys(model: Model, rates: dict[str, float]) -> None:
    assert full_rates(TRAIN, model) == rates
    same = dataclasses.replace(TRAIN, critic_lr=None)
    assert full_rates(same, model) == dict.fromkeys(rates, 1e-3)


@dataclass(frozen=True)
class Seen(Objective):
    """Moves the generator away from where it was; validation says what weights it saw."""

    quantities = {"total": Quantity("Sum of the weights", neither="it tells which they are")}

    def step(self, model: Any, batches: Iterator[Tensor], clock: Clock) -> Iterator[Move]:
        yield Move("generator", -model.generator(model.prior(len(x := next(batches)))).sum())
        yield Move("critic", model.critic(x).square().mean())

    def validate(self, model: Any, batches: Iterable[Tensor], clock: Clock) -> dict[str, float]:
        return {"total": sum(w.sum().item() for w in model.generator.parameters())}


@dataclass(frozen=True)
class SeenAtPlay(Seen):
    validates_averages = False


@pytest.mark.parametrize(("objective", "averaged"), [(Seen(), True), (SeenAtPlay(), False)])
def test_the_objective_says_which_weights_it_validates(tmp_path: Path, objective: Objective, averaged: bool) -> None:
    train = Train(images=320, batch=32, ema=0.9, lr=1e-2)
    recipe = Recipe(DataSpec("8gaussians"), MLPGAN(width=4), objective, train, name="r")
    run = trainer.fit(recipe, 0, tmp_path / "run", "cpu", progress=False)
    saved = run.read(320)[0]
    prefix = "ema/" if averaged else "model/"
    total = sum(v.sum().item() for k, v in saved.items() if k.startswith(f"{prefix}generator"))
    assert run.lines()[-1]["total"] == pytest.approx(total, rel=1e-4)
    other = sum(v.sum().item() for k, v in saved.items() if k.startswith("model/generator" if averaged else "ema/"))
    assert abs(other - total) > 1e-2


def test_statistics_of_the_averages_are_made_once_by_their_own_step() -> None:
    torch.manual_seed(0)
    model = ConvGAN(latent=4, width=4).build((1, 8, 8))
    averages = Averages(model, 0.9)
    assert averages.statistics is None
    averages.reestimate()
    first = averages.statistics
    assert first
    averages.reestimate()
    assert averages.statistics is first
    with averages.applied():
        assert all(torch.equal(b, first[k]) for k, b in batchnorm.statistics(model).items())
    averages.update(1)
    assert averages.statistics is None


def test_without_batch_statistics_or_averages_the_step_does_nothing() -> None:
    model = MLPGAN(width=2).build((2,))
    for decay, wanted in ((0.9, {}), (0.0, None)):
        averages, state = Averages(model, decay), torch.get_rng_state()
        averages.reestimate()
        assert averages.statistics == wanted
        assert torch.equal(torch.get_rng_state(), state)


# ---------------------------------------------------------------------------- before a folder is made


def test_checks_go_from_cheap_to_costly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With everything wrong at once the number is named; data are read only once all cheap ones have passed."""
    from triptych.objectives.gan import GAN
    from triptych.trainer import checks

    monkeypatch.setattr(checks, "load_spec", lambda *_: pytest.fail("the data were read"))
    wrong = Train(lr=-1.0, best="-fid", flip=True)
    recipe = Recipe(DataSpec("8gaussians"), MLPGAN(width=2), GAN(), wrong, name="r")
    for change, seed, device, said in (
        ({}, -1, "nowhere", "the seed is"),
        ({}, 0, "nowhere", "train.lr"),
        ({"lr": 1e-3}, 0, "nowhere", "train.best"),
        ({"lr": 1e-3, "best": ""}, 0, "nowhere", "device 'nowhere'"),
    ):
        asked = dataclasses.replace(recipe, train=dataclasses.replace(wrong, **change))
        with pytest.raises(UserError, match=said):
            trainer.fit(asked, seed, tmp_path / "run", device, progress=False)
    monkeypatch.undo()
    asked = dataclasses.replace(recipe, train=dataclasses.replace(wrong, lr=1e-3, best=""))
    with pytest.raises(UserError, match="mirrors pictures"):
        trainer.fit(asked, 0, tmp_path / "run", "cpu", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_critics_rate_is_refused_where_there_is_no_critic(tmp_path: Path) -> None:
    recipe = recipes.get("realnvp-8gaussians")
    recipe = dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, critic_lr=1e-3))
    with pytest.raises(UserError, match=r"train\.critic_lr .* has none; leave it out"):
        trainer.fit(recipe, 0, tmp_path / "run", "cpu", progress=False)
    assert not (tmp_path / "run").exists()
