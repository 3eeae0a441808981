"""The steps of a training: divergence, learning rates, schedules."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import SMALL, final, fit, same
from torch import Tensor

from triptych import trainer
from triptych.core import Clock, DataSpec, Move, Objective, Recipe, Train
from triptych.errors import Diverged
from triptych.models.autoencoders import MLPAutoencoder
from triptych.objectives.autoencoder import VAE
from triptych.objectives.gan import GAN
from triptych.run import Run, load
from triptych.trainer import loop, observe, optimizers
from triptych.trainer import step as stepping
from triptych.trainer.state import State


@dataclass(frozen=True)
class Breaks(Objective):
    """A GAN whose loss is not a number from some step on."""

    quantities = GAN.quantities
    at: int = 100

    def step(self, model: Any, batches: Iterator[Tensor], clock: Clock) -> Iterator[Move]:
        for move in GAN().step(model, batches, clock):
            broken = clock.step >= self.at
            yield dataclasses.replace(move, loss=move.loss * (float("nan") if broken else 1.0))


def test_divergence_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match=r"not finite .* start again with --train.on-divergence rollback"):
        fit(tmp_path / "diverged", dataclasses.replace(SMALL, objective=Breaks()))
    run = Run(tmp_path / "diverged")
    assert run.status["state"] == "diverged"
    assert run.status["alarms"]
    assert run.checkpoints()[-1] == 1_600 * 2
    assert all(torch.isfinite(v).all() for k, v in final(run).items() if k.startswith("model/"))
    load(run.path, device="cpu").sample(4)


def test_rollback_halves_the_rate_and_gives_up_in_the_end(tmp_path: Path) -> None:
    with pytest.raises(Diverged):
        fit(tmp_path / "rolled", dataclasses.replace(SMALL, objective=Breaks()), on_divergence="rollback")
    alarms = Run(tmp_path / "rolled").status["alarms"]
    assert any("0.5 times the learning rate" in alarm for alarm in alarms)
    assert sum("not finite" in alarm for alarm in alarms) == observe.ROLLBACKS + 1


def test_without_a_look_at_each_loss_the_next_log_line_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, where looking at every loss would wait for it."""
    original = State.__post_init__

    def init(self: State) -> None:
        original(self)
        self.looks_at_each = False

    monkeypatch.setattr(State, "__post_init__", init)
    never = {"evaluate": 10**9, "sample": 10**9, "checkpoint": 10**9}
    with pytest.raises(Diverged, match=r"weights of the generator and critic are not finite at 1280 images"):
        fit(tmp_path / "blind", dataclasses.replace(SMALL, objective=Breaks(at=24)), **never)
    assert [line["images"] for line in Run(tmp_path / "blind").lines()] == [0, 640]


def test_linear_decay_reaches_the_optimisers_and_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, used = stepping.apply, []

    def apply(move: Move, state: State) -> None:
        original(move, state)
        used.append((move.names[0], state.optimizers[move.names[0]].param_groups[0]["lr"]))

    monkeypatch.setattr(stepping, "apply", apply)
    recipe = dataclasses.replace(SMALL, objective=GAN())
    fit(tmp_path / "linear", recipe, images=320, lr=1e-3, critic_lr=4e-3, schedule="linear")
    for player, lr in (("critic", 4e-3), ("generator", 1e-3)):
        assert [r for name, r in used if name == player] == pytest.approx([lr * (1 - i / 10) for i in range(10)])


@pytest.mark.parametrize(
    ("schedule", "warmup", "factors"),
    [
        ("constant", 0, [1, 1, 1, 1, 1]),
        ("linear", 0, [1, 0.75, 0.5, 0.25, 0]),
        ("cosine", 0, [1, 0.8535533905932737, 0.5, 0.14644660940672624, 0]),
        ("linear", 400, [0.25, 0.5625, 0.5, 0.25, 0]),
        ("constant", 800, [0.125, 0.375, 0.625, 0.875, 1]),
    ],
)
def test_learning_rate_at_every_quarter(schedule: Any, warmup: int, factors: list[float]) -> None:
    train = Train(images=800, batch=100, schedule=schedule, warmup=warmup)
    assert [optimizers.learning_rate(train, n) for n in (0, 200, 400, 600, 800)] == pytest.approx(factors, abs=1e-12)


VARIATIONAL = Recipe(
    DataSpec("8gaussians"),
    MLPAutoencoder(width=16),
    VAE(schedule="linear"),
    Train(images=3_200, batch=64, log=320, evaluate=1_600, sample=3_200, checkpoint=640),
    name="rising",
)


def test_a_schedule_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """beta is a function of the step, and the step is in the checkpoint: log and weights of a cut run are the same."""
    whole = fit(tmp_path / "whole", VARIATIONAL)
    step, calls = loop.step, 0

    def cut(state: State) -> None:
        nonlocal calls
        calls += 1
        if calls == 27:
            raise KeyboardInterrupt
        step(state)

    monkeypatch.setattr(loop, "step", cut)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "cut", VARIATIONAL)
    monkeypatch.undo()
    again = trainer.resume(tmp_path / "cut", progress=False)
    assert same(whole, again)
    rising = [[line["beta_eff"] for line in run.lines() if "beta_eff" in line] for run in (whole, again)]
    assert rising[0] == rising[1]
    assert rising[0] == sorted(rising[0])
    assert rising[0][-1] > 0.9


def test_an_autoencoders_log_has_the_fields_that_scripts_read(tmp_path: Path) -> None:
    run = fit(tmp_path / "vae", VARIATIONAL)
    asked = {"val_recon", "recon", "kl", "beta_eff", "elbo", "bits_per_dim", "active_units"}
    assert asked <= run.lines()[-1].keys()
