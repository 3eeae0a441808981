"""Each alarm, provoked by a training that really goes wrong, and silence where it goes well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from triptych import alarms, trainer
from triptych.core import Data, DataSpec, Recipe, Train
from triptych.data import load
from triptych.errors import Diverged
from triptych.nets.autoencoder import MLPAutoencoder
from triptych.nets.mlp import MLPGAN
from triptych.objectives.autoencoder import VAE
from triptych.objectives.gan import GAN, LSGAN
from triptych.objectives.relativistic import Relativistic
from triptych.run import Run

RARE = 10**9


def raised(path: Path, data: DataSpec, model, objective, images: int, evaluate: int, **train) -> list[str]:
    asked = Train(images=images, batch=64, evaluate=evaluate, log=RARE, sample=RARE, checkpoint=RARE, **train)
    recipe = Recipe(data, model, objective, asked, name="r")
    return trainer.fit(recipe, out=path / "run", device="cpu", progress=False).status["alarms"]


def test_critic_saturated(tmp_path):
    """Against a generator that hardly moves the critic always wins."""
    spec = DataSpec("glyphs")
    said = raised(tmp_path, spec, MLPGAN(latent=4, width=16), LSGAN(), 6_400, 3_200, lr=1e-7, critic_lr=2e-3)
    assert any("critic saturated" in alarm and "--train.critic-lr" in alarm for alarm in said)


def test_collapse(tmp_path):
    """A generator far quicker than its critic runs to one point after another."""
    spec = DataSpec("swissroll")
    said = raised(tmp_path, spec, MLPGAN(width=32), GAN(), 12_800, 3_200, lr=2e-2, critic_lr=1e-3)
    assert any("collapse: samples differ by" in alarm for alarm in said)


def test_collapse_onto_some_of_the_modes():
    data = load("8gaussians")
    line = {"images": 50, "modes": 4, "high_quality": 0.9}
    assert "4 of 8 modes" in alarms.collapsed(line, [], data)
    assert not alarms.collapsed(line | {"modes": 5}, [], data)
    assert not alarms.collapsed(line | {"high_quality": 0.1}, [], data), "not near the modes yet is not collapse"


def test_latent_collapse(tmp_path):
    """The KL term weighs so much that the encoder says nothing."""
    spec, net = DataSpec("swissroll"), MLPAutoencoder(latent=2, width=32, variational=True)
    said = raised(tmp_path, spec, net, VAE(beta=1000.0), 12_800, 3_200, lr=2e-3)
    assert any("latent collapse" in alarm and "--objective.beta" in alarm for alarm in said)


def few_points(path: Path) -> DataSpec:
    np.save(path / "few.npy", np.random.default_rng(0).normal(size=(40, 16)).astype("float32"))
    return DataSpec(str(path / "few.npy"), holdout=0.5)


def test_memorisation(tmp_path):
    """Twenty points in sixteen dimensions, learned by heart."""
    said = raised(
        tmp_path,
        few_points(tmp_path),
        MLPGAN(latent=8, width=64),
        Relativistic(gamma=0.01),
        64_000,
        16_000,
        lr=1e-3,
        betas=(0.0, 0.9),
        ema=0.99,
    )
    assert any("memorisation" in alarm for alarm in said)


def test_fresh_and_blurred_examples_are_not_called_memorised():
    torch.manual_seed(0)
    train, test, fresh = (torch.randn(n, 16) for n in (2_000, 200, 256))
    data, held_out = Data("d", train), Data("d", test, "test")
    assert not alarms.memorised(fresh, data, held_out)
    assert not alarms.memorised(0.1 * fresh, data, held_out)
    assert "100%" in alarms.memorised(train[:256] + 0.01 * fresh, data, held_out)


def test_non_finite_gradient_is_recorded(tmp_path):
    """A rate beyond all bounds: the weights overflow."""
    with pytest.raises(Diverged):
        raised(tmp_path, DataSpec("8gaussians"), MLPGAN(width=16), LSGAN(), 64_000, 32_000, lr=1e30)
    status = Run(tmp_path / "run").status
    assert status["state"] == "diverged"
    assert "not finite" in status["alarms"][-1]


def test_a_healthy_run_raises_none(tmp_path):
    spec = DataSpec("8gaussians")
    said = raised(
        tmp_path, spec, MLPGAN(width=32), Relativistic(gamma=0.1), 25_600, 6_400, lr=1e-3, betas=(0.0, 0.9), ema=0.99
    )
    assert said == []


def test_a_good_flow_and_a_code_without_a_prior_are_told_apart():
    """`kl` is a flow's distance to the data, and small is good; an AE has no beta to lower."""
    assert not alarms.latent_collapsed({"kl": 0.004})
    assert not alarms.latent_collapsed({"active_units": 3.0})
    assert not alarms.latent_collapsed({"active_units": 3.0, "beta_eff": 1.0, "kl": 4.0})
    assert "beta" not in alarms.latent_collapsed({"active_units": 0.0})
    assert "beta" in alarms.latent_collapsed({"active_units": 0.0, "beta_eff": 1.0, "kl": 4.0})
    assert "beta" in alarms.latent_collapsed({"active_units": 3.0, "beta_eff": 1.0, "kl": 0.001})
