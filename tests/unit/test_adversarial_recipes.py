"""Adversarial recipes: built for their data, and the one taken when none is named."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from triptych import trainer
from triptych.core import DataSpec, Train
from triptych.errors import UserError
from triptych.objectives.gan import GAN, WGANGP
from triptych.recipes import all_recipes, get, recommend

SHAPES = {"mnist": (1, 28, 28), "mnist64": (1, 64, 64), "celeba64": (3, 64, 64), "birds": (3, 32, 32)}
SHAPES |= {"glyphs": (1, 32, 32), "stackedmnist": (3, 28, 28)}
PICTURES = [
    (name, SHAPES[name.removesuffix("-quick").split("-")[-1]])
    for name in all_recipes()
    if name.split("-")[0] in ("gan", "lsgan", "wgan", "best") and name.removesuffix("-quick").split("-")[-1] in SHAPES
    if "vae" not in name.split("-")
]


@pytest.mark.parametrize(("name", "shape"), PICTURES, ids=[n for n, _ in PICTURES])
def test_every_recipe_fits_its_data(name, shape):
    recipe = get(name)
    shape = (shape[0], *[recipe.data.resolution or s for s in shape[1:]])
    with torch.device("meta"):
        model = recipe.model.build(shape)
        assert model.critic(model.generator(torch.randn(2, model.latent))).flatten().shape == (2,)
    trainer.check_train(recipe.train)
    recipe.objective.check(model, dataclasses.make_dataclass("D", ["is_images", "name"])(True, name))


def test_the_names_that_scripts_rely_on():
    names = {f"{loss}-{data}" for loss in ("gan", "wgan", "wgan-gp", "best") for data in ("mnist64", "celeba64")}
    names |= {f"{loss}-birds" for loss in ("gan", "lsgan", "wgan-gp", "best")} | {
        "gan-stackedmnist",
        "best-stackedmnist",
    }
    names |= {f"{n}-quick" for n in names} | {f"{loss}-mnist" for loss in ("gan", "lsgan", "wgan", "wgan-gp")}
    assert names <= all_recipes().keys()


def test_the_birds_study_is_the_studys():
    for name in ("gan-birds", "lsgan-birds", "wgan-gp-birds"):
        recipe = get(name)
        assert recipe.train == Train(images=7_680_000, batch=256, lr=2e-4, betas=(0.0, 0.9), best="frechet")
        assert recipe.objective.n_critic == 5
    assert get("gan-celeba64").objective == GAN(label_smoothing=(0.7, 0.9))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"objective": lambda: WGANGP(n_critic=0)}, "n_critic"),
        ({"model": {"latent": 0}}, "latent"),
        ({"data": {"resolution": 36}}, "resolution"),
        ({"model": {"norm": "both"}, "objective": WGANGP}, "batch normalisation"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(options, says, tmp_path):
    recipe = get("gan-mnist64-quick")
    data = dataclasses.replace(recipe.data, name="glyphs", **options.get("data", {}))
    model = dataclasses.replace(recipe.model, **options.get("model", {}))

    def train():
        objective = options["objective"]() if "objective" in options else recipe.objective
        asked = dataclasses.replace(recipe, data=data, model=model, objective=objective)
        trainer.fit(asked, out=tmp_path / "run", device="cpu", progress=False)

    with pytest.raises(UserError, match=says):
        train()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("side", "network", "trained"), [(28, "ConvGAN", 28), (40, "ResNetGAN", 32), (70, "DCGAN", 64)]
)
def test_a_folder_gets_a_network_of_its_size(side, network, trained, tmp_path):
    for i in range(4):
        noise = np.random.default_rng(i).integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{i}.png")
    recipe, why = recommend(DataSpec(str(tmp_path)))
    assert type(recipe.model).__name__ == network
    assert recipe.data.load().shape == (3, trained, trained)
    assert "4 pictures" in why
    assert recipe.objective.augment
    model = recipe.model.build((3, trained, trained))
    recipe.objective.check(model, recipe.data.load())


def test_vectors_get_no_recommendation():
    with pytest.raises(UserError, match="name a recipe"):
        recommend(DataSpec("8gaussians"))
