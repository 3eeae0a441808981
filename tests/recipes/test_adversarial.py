"""Adversarial recipes: built for their data, and the one taken when none is named."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from triptych import trainer
from triptych.core import DataSpec, Train
from triptych.data import load_spec
from triptych.errors import UserError
from triptych.objectives.gan import GAN, WGANGP
from triptych.recipes import all_recipes, get, recommend
from triptych.recipes.recommended import narrower
from triptych.trainer import checks, suited

SHAPES = {"mnist": (1, 28, 28), "mnist64": (1, 64, 64), "celeba64": (3, 64, 64), "birds": (3, 32, 32)}
SHAPES |= {"glyphs": (1, 32, 32), "stackedmnist": (3, 28, 28)}
PICTURES = [
    (name, SHAPES[name.removesuffix("-quick").split("-")[-1]])
    for name in all_recipes()
    if name.split("-")[0] in ("gan", "lsgan", "wgan", "hinge", "best")
    and name.removesuffix("-quick").split("-")[-1] in SHAPES
    if "vae" not in name.split("-")
]


@pytest.mark.parametrize(("name", "shape"), PICTURES, ids=[n for n, _ in PICTURES])
def test_every_recipe_fits_its_data(name, shape):
    recipe = get(name)
    shape = (shape[0], *[recipe.data.resolution or s for s in shape[1:]])
    with torch.device("meta"):
        model = recipe.model.build(shape)
        assert model.critic(model.generator(torch.randn(2, model.latent))).flatten().shape == (2,)
    checks.check_train(recipe.train)
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
    assert get("hinge-birds").model.spectral
    assert get("hinge-birds").train == dataclasses.replace(get("gan-birds").train, schedule="linear")
    assert get("gan-celeba64").objective == GAN(label_smoothing=(0.7, 0.9))


def test_a_side_the_networks_cannot_make_is_refused_before_the_pictures_are_prepared(tmp_path, monkeypatch):
    pictures(tmp_path, (50, 50))
    monkeypatch.setattr("triptych.data.load", lambda *_: pytest.fail("the pictures were prepared"))
    recipe = get("gan-birds")
    asked = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, name=str(tmp_path), resolution=48))
    with pytest.raises(UserError, match="32×32"):
        trainer.fit(asked, out=tmp_path / "run", device="cpu", progress=False)


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

    def train():
        model = dataclasses.replace(recipe.model, **options.get("model", {}))
        objective = options["objective"]() if "objective" in options else recipe.objective
        asked = dataclasses.replace(recipe, data=data, model=model, objective=objective)
        trainer.fit(asked, out=tmp_path / "run", device="cpu", progress=False)

    with pytest.raises(UserError, match=says):
        train()
    assert not (tmp_path / "run").exists()


def pictures(folder: Path, *sizes: tuple[int, int]) -> None:
    """Noise in colour, a file for each (width, height)."""
    for i, (w, h) in enumerate(sizes):
        noise = np.random.default_rng(i).integers(0, 256, (h, w, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{i}.png")


@pytest.mark.parametrize(
    ("side", "channels", "asked", "taken", "trained"),
    [
        (28, None, None, "best-stackedmnist", 28),
        (28, 1, None, "best-mnist", 28),
        (40, None, None, "best-birds", 32),
        (40, 1, None, "best-birds", 32),
        (70, None, None, "best-celeba64", 64),
        (140, 1, None, "best-mnist64", 64),
        (140, None, 128, "best-celeba64", 128),
    ],
)
def test_a_folder_gets_the_recipe_of_its_size(side, channels, asked, taken, trained, tmp_path):
    pictures(tmp_path, *[(side, side)] * 4)
    recipe, why = recommend(DataSpec(str(tmp_path), channels=channels, resolution=asked))
    base = all_recipes().get(f"{taken}-full", get(taken))
    assert why.startswith(f"{taken}, for 4 {'grey ' if channels == 1 else ''}images at {trained}×{trained}; ")
    assert load_spec(recipe.data).shape == (channels or 3, trained, trained)
    assert recipe.model == dataclasses.replace(base.model, latent=max(64, base.model.latent))
    assert recipe.train.flip == (channels is None)
    assert ("color" in recipe.objective.augment) == (channels is None)
    assert dataclasses.replace(recipe.objective, augment=base.objective.augment) == base.objective
    with torch.device("meta"):
        model = recipe.model.build((channels or 3, trained, trained))
    recipe.objective.check(model, load_spec(recipe.data))


@pytest.mark.parametrize(
    ("sizes", "trained"), [([(40, 30), (300, 20), (28, 28)], 32), ([(90, 70)] * 2 + [(20, 20)], 64)]
)
def test_pictures_of_mixed_sizes_go_by_the_median(sizes, trained, tmp_path):
    pictures(tmp_path, *sizes)
    recipe, _ = recommend(DataSpec(str(tmp_path)))
    assert load_spec(recipe.data).shape == (3, trained, trained)


def test_pictures_that_are_grey_in_three_channels_are_taken_as_grey(tmp_path):
    for i in range(3):
        noise = np.random.default_rng(i).integers(0, 256, (28, 28), dtype=np.uint8)
        Image.fromarray(noise).convert("RGB").save(tmp_path / f"{i}.png")
    recipe, why = recommend(DataSpec(str(tmp_path)))
    assert why.startswith("best-mnist, for 3 grey images at 28×28")
    assert load_spec(recipe.data).shape == (1, 28, 28)
    assert load_spec(recommend(DataSpec(str(tmp_path), channels=3))[0].data).shape == (3, 28, 28)


def test_many_pictures_are_not_augmented(tmp_path, monkeypatch):
    np.save(tmp_path / "many.npy", np.zeros((5, 32, 32, 3), np.uint8))
    monkeypatch.setattr("triptych.recipes.recommended.FEW", 5)
    recipe, why = recommend(DataSpec(str(tmp_path / "many.npy")))
    assert recipe.objective.augment == ()
    assert "need no augmentation" in why


def test_pictures_that_are_not_square_are_cropped_and_that_is_said(tmp_path):
    pictures(tmp_path, *[(90, 70)] * 4)
    recipe, why = recommend(DataSpec(str(tmp_path)))
    assert recipe.data.fit == "crop"
    assert "cropped to squares (--fit squash" in why
    recipe, why = recommend(DataSpec(str(tmp_path)), crop=False)
    assert recipe.data.fit == "squash"
    assert "cropped" not in why


def test_square_pictures_and_arrays_are_prepared_as_they_were(tmp_path):
    pictures(tmp_path, *[(70, 70)] * 4)
    assert recommend(DataSpec(str(tmp_path)))[0].data.fit == "squash"
    np.save(tmp_path / "many.npy", np.zeros((5, 32, 32, 3), np.uint8))
    assert recommend(DataSpec(str(tmp_path / "many.npy")))[0].data.fit == "squash"


def test_the_recipe_is_called_after_the_data(tmp_path):
    folder = tmp_path / "Köln, garden v1.2"
    folder.mkdir()
    pictures(folder, *[(70, 70)] * 4)
    recipe, _ = recommend(DataSpec(str(folder)))
    assert recipe.name == "Köln, garden v1.2"
    assert recipe.about.startswith("Köln, garden v1.2: ")
    assert "faces" not in recipe.about
    np.save(tmp_path / "mine.npy", np.zeros((5, 32, 32, 3), np.uint8))
    assert recommend(DataSpec(str(tmp_path / "mine.npy")))[0].name == "mine"


def test_narrower_variants_take_the_settings_of_the_recipe_for_an_hour(tmp_path):
    pictures(tmp_path, *[(70, 70)] * 4)
    recipe, _ = recommend(DataSpec(str(tmp_path)))
    variants = narrower(recipe, (3, 64, 64))
    assert [v.model.width for v in variants] == [128, 64, 32]
    assert {v.model.latent for v in variants} == {64}
    assert {v.data for v in variants} == {recipe.data}
    hour = get("best-celeba64").train
    assert all((v.train.batch, v.train.lr, v.train.ema) == (hour.batch, hour.lr, hour.ema) for v in variants[1:])
    assert all(v.train.flip for v in variants)
    small = narrower(get("best-birds-full"), (3, 32, 32))
    assert [v.model.width for v in small] == [96, 48, 24]
    assert {type(v.model) for v in small} == {type(get("best-birds").model)}
    digits = get("best-mnist")
    assert narrower(digits, (1, 28, 28)) == [digits]  # there is none of more than an hour


@pytest.mark.parametrize(("images", "width"), [([300_000], 128), ([100_000, 400_000], 64), ([9, 20, 40], 32)])
def test_the_width_suits_machine_and_time(images, width, tmp_path, monkeypatch):
    pictures(tmp_path, *[(70, 70)] * 4)
    recipe, _ = recommend(DataSpec(str(tmp_path)))
    counts = iter(images)
    monkeypatch.setattr(suited, "within", lambda *of: next(counts))
    chosen, why = suited.suited(recipe, 30.0, "cpu")
    assert chosen.model.width == width
    assert f"width {width}: about {images[-1]:,} images in 30 min here" in why


def test_sizes_that_no_recommended_recipe_makes(tmp_path):
    pictures(tmp_path, (50, 50))
    with pytest.raises(UserError, match="--resolution"):
        recommend(DataSpec(str(tmp_path), resolution=48))
