"""Training with labels: what is refused beforehand, what the run remembers, and that a resumed one is the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from triptych import recipes
from triptych.core import DataSpec, Recipe, Train
from triptych.errors import UserError
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows.coupling import NSF
from triptych.models.flows.multiscale import Glow
from triptych.models.flows.velocity import VelocityMLP, VelocityUNet
from triptych.models.gans.mlp import MLPGAN
from triptych.models.gans.small_conv import ConvGAN
from triptych.objectives.autoencoder import VAE
from triptych.objectives.flow import NLL
from triptych.objectives.flow_matching import FlowMatching
from triptych.objectives.gan import WGANGP
from triptych.objectives.relativistic import Relativistic
from triptych.run.folder import Run
from triptych.trainer.classes import told, with_classes
from triptych.trainer.loop import fit, resume

SHORT = Train(images=1_280, batch=64, checkpoint=640, evaluate=1_280, sample=1_280, ema=0.9)
PARTS: dict[str, tuple[Any, Any]] = {
    "gan": (WGANGP(n_critic=2), MLPGAN(width=16, classes="auto")),
    "relativistic": (Relativistic(), MLPGAN(width=16, classes="auto")),
    "vae": (VAE(), MLPAutoencoder(width=16, classes="auto")),
    "flow": (NLL(), NSF(layers=2, width=16, bins=4, classes="auto")),
    "continuous": (FlowMatching(), VelocityMLP(width=16, classes="auto", steps=2)),
}


def recipe(name: str, **train: Any) -> Recipe:
    objective, model = PARTS[name]
    return Recipe(DataSpec("8gaussians"), model, objective, replace(SHORT, **train), name=name)


@pytest.mark.parametrize("name", ["gan", "relativistic", "vae", "flow"])
def test_a_resumed_run_is_the_same_to_the_last_bit(name: str, tmp_path: Path) -> None:
    whole = fit(recipe(name), 3, tmp_path / "whole", "cpu", progress=False)
    assert whole.recipe.model.classes == 8  # type: ignore[attr-defined]
    assert whole.env["classes"] == [str(k) for k in range(8)]
    half = fit(recipe(name, images=640), 3, tmp_path / "half", "cpu", progress=False)
    resume(half.path, progress=False, images=1_280)
    a, b = (run.load(device="cpu").state_dict() for run in (whole, Run(half.path)))
    assert all(torch.equal(a[k], b[k]) for k in a)
    model = whole.load(device="cpu")
    assert model.class_names == tuple(str(k) for k in range(8))
    assert torch.equal(model.sample(4, seed=1, y="7"), model.sample(4, seed=1, y=7))
    assert not torch.equal(model.sample(4, seed=1, y=7), model.sample(4, seed=1, y=0))


def test_a_resumed_continuous_flow_is_the_same_to_the_last_bit(tmp_path: Path) -> None:
    """On two classes: each look solves an equation for each of them."""
    short = {"images": 256, "batch": 64, "checkpoint": 128, "evaluate": 256, "sample": 256, "log": 256}
    begun = replace(recipe("continuous", **short), data=DataSpec("moons"))
    whole = fit(begun, 3, tmp_path / "whole", "cpu", progress=False)
    half = replace(begun, train=replace(begun.train, images=128))
    run = fit(half, 3, tmp_path / "half", "cpu", progress=False)
    resume(run.path, progress=False, images=256)
    a, b = (run.load(device="cpu").state_dict() for run in (whole, Run(run.path)))
    assert all(torch.equal(a[k], b[k]) for k in a)


PICTURES: dict[str, tuple[Any, Any]] = {
    "projection": (Relativistic(), ConvGAN(latent=4, width=4, classes="auto")),
    "glow": (NLL(), Glow(width=4, levels=1, steps=1, classes="auto")),
    "unet": (FlowMatching(), VelocityUNet(width=4, steps=1, classes="auto")),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_resumed_run_on_pictures_is_the_same_to_the_last_bit(name: str, tmp_path: Path) -> None:
    g = torch.Generator().manual_seed(0)
    np.savez(
        tmp_path / "p.npz",
        images=torch.randint(0, 256, (64, 8, 8), generator=g, dtype=torch.uint8).numpy(),
        labels=(torch.arange(64) % 2).numpy(),
    )
    objective, network = PICTURES[name]
    train = Train(images=64, batch=16, checkpoint=32, evaluate=64, sample=64, log=64, ema=0.9)
    begun = Recipe(DataSpec(str(tmp_path / "p.npz")), network, objective, train, name=name)
    whole = fit(begun, 3, tmp_path / "whole", "cpu", progress=False)
    run = fit(replace(begun, train=replace(train, images=32)), 3, tmp_path / "half", "cpu", progress=False)
    resume(run.path, progress=False, images=64)
    a, b = (run.load(device="cpu").state_dict() for run in (whole, Run(run.path)))
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_a_batch_in_parts_keeps_its_labels(tmp_path: Path) -> None:
    whole = fit(recipe("flow", images=256), 0, tmp_path / "whole", "cpu", progress=False).load(device="cpu")
    parts = fit(recipe("flow", images=256, accumulate=4), 0, tmp_path / "parts", "cpu", progress=False)
    for (name, a), b in zip(whole.state_dict().items(), parts.load(device="cpu").state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize(
    ("data", "classes", "said"),
    [
        ("swissroll", 8, "swissroll has no labels to condition on"),
        ("swissroll", "auto", "swissroll has no labels to condition on"),
        ("25gaussians", 8, "model.classes is 8 and 25gaussians has 25 classes; give --model.classes auto"),
    ],
)
def test_classes_that_the_data_do_not_have(data: str, classes: Any, said: str, tmp_path: Path) -> None:
    wrong = replace(recipe("gan"), data=DataSpec(data), model=MLPGAN(width=8, classes=classes))
    with pytest.raises(UserError, match=said):
        fit(wrong, 0, tmp_path / "run", "cpu", progress=False)
    assert not (tmp_path / "run").exists()


def test_numbers_that_are_none() -> None:
    for k in (-1, 1_001):
        with pytest.raises(UserError, match=r"model\.classes is"):
            MLPGAN(classes=k)
    with pytest.raises(UserError, match="is auto"):
        MLPGAN(classes="auto").build((2,))


def test_what_is_said_beforehand() -> None:
    from triptych.core import Data

    labels = torch.tensor([0] * 50 + [1] + [2] * 30)
    data = Data("birds", torch.zeros(81, 3, 8, 8).byte(), labels=labels, classes=("robin", "wren", "tit"))
    lines = told(with_classes(recipe("gan"), data), data)
    assert lines[0] == "conditioned on 3 classes of birds: robin, wren, tit"
    assert lines[1].startswith("1 of the 3 classes have fewer than 20 examples (class wren has 1)")
    many = replace(data, labels=torch.arange(1_001), classes=(), x=torch.zeros(1_001, 3, 8, 8).byte())
    with pytest.raises(UserError, match="1,001 classes and a model is conditioned on 1,000 at most"):
        with_classes(recipe("gan"), many)


def test_conditional_recipes_are_the_others_with_labels() -> None:
    found = recipes.all_recipes()
    for name, plain in (
        ("cgan-mnist", "gan-mnist"),
        ("cvae-mnist", "vae-mnist"),
        ("cvae-mnist-mixture", "vae-mnist-mixture"),
        ("cflow-25gaussians", "spline-25gaussians"),
    ):
        model: Any = found[name].model
        assert replace(model, classes=0) == found[plain].model
        assert found[name].train == found[plain].train
        assert found[name].objective == found[plain].objective
