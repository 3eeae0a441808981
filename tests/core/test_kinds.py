"""Values of the wrong type are refused where Python hands them over, in the words that files and options use."""

import json

import numpy as np
import pytest
import torch

import triptych
from triptych.core import DataSpec, Recipe, Train, encode
from triptych.errors import UserError
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows.coupling import RealNVP
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.gan import WGANGP
from triptych.recipes.named import all_recipes


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"images": 1500.5}, "train.images is 1500.5; give a whole number"),
        ({"images": "many"}, "train.images is 'many'; give a whole number"),
        ({"images": True}, "train.images is True; give a whole number"),
        ({"images": 300, "seed": "a"}, "the seed is 'a'; give a whole number"),
        ({"images": 300, "seed": 1.5}, "the seed is 1.5; give a whole number"),
        ({"minutes": "long"}, "--minutes is 'long'; it must be a finite number above 0"),
    ],
)
def test_a_training_from_python_that_cannot_be_writes_nothing(tmp_path, monkeypatch, asked, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as refused:
        triptych.train("gan-8gaussians", **asked)
    assert said in str(refused.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: Recipe(DataSpec("8gaussians"), MLPGAN(width="wide"), WGANGP(), Train()),
            "model.width is 'wide'; give",
        ),
        (
            lambda: Recipe(DataSpec("8gaussians"), MLPGAN(), WGANGP(gp=None), Train()),
            "objective.gp is None; give a num",
        ),
        (
            lambda: Recipe(DataSpec("8gaussians"), MLPGAN(), WGANGP(), Train(flip=1)),
            "train.flip is 1; give true or fals",
        ),
        (
            lambda: Recipe(DataSpec("8gaussians"), MLPGAN(), WGANGP(), Train(betas=0.5)),
            "train.betas is 0.5; give a list",
        ),
        (lambda: Recipe(DataSpec("8gaussians"), MLPGAN(), WGANGP(), Train(schedule="up")), "choose constant or linear"),
        (lambda: DataSpec("8gaussians", given="x"), "data.given is 'x'; give a list"),
        (lambda: DataSpec("8gaussians", split="half"), "data.split is 'half'; choose"),
        (lambda: DataSpec(3), "data.name is 3; give text"),
        (lambda: Recipe("8gaussians", MLPGAN(), WGANGP(), Train()), "data is '8gaussians'; give a DataSpec"),
    ],
)
def test_every_field_of_a_recipe_is_of_its_type(make, said):
    with pytest.raises(UserError) as refused:
        make()
    assert said in str(refused.value)


def test_numbers_of_numpy_and_lists_are_as_good():
    train = Train(images=np.int64(512), lr=np.float32(0.5), betas=[0.5, np.float64(0.9)])
    kept = Recipe(DataSpec("8gaussians"), MLPGAN(), WGANGP(gp=10), train)
    assert kept.train == Train(images=512, lr=0.5, betas=(0.5, 0.9))
    assert json.loads(json.dumps(encode(kept)))["train"]["betas"] == [0.5, 0.9]
    assert json.dumps(encode(kept)["objective"]["gp"]) == "10", "a text that a recipe had stays"


def test_named_recipes_are_as_they_were_written():
    for recipe in all_recipes().values():
        assert Recipe(recipe.data, recipe.model, recipe.objective, recipe.train).train is recipe.train


@pytest.mark.parametrize(
    ("n", "seed", "said"),
    [
        (-1, 0, "-1 samples were asked for; give at least 1"),
        (2.5, 0, "2.5 samples were asked for; give a whole number"),
        ("4", 0, "'4' samples were asked for; give a whole number"),
        (4, -1, "the seed is -1; it must be at least 0"),
        (4, "a", "the seed is 'a'; give a whole number"),
    ],
)
@pytest.mark.parametrize("spec", [MLPGAN(width=8), MLPAutoencoder(width=8), RealNVP(layers=2, width=8)])
def test_samples_that_cannot_be_drawn(spec, n, seed, said):
    with pytest.raises(UserError, match=said):
        spec.build((2,)).sample(n, seed=seed)
    with pytest.raises(UserError, match=said):
        triptych.data.load("8gaussians").sample(n, seed=seed)


def test_samples_counted_by_numpy():
    model = MLPAutoencoder(width=8).build((2,))
    assert torch.equal(model.sample(np.int64(3), seed=np.int64(5)), model.sample(3, seed=5))
