"""Recipes of autoencoders with sharp samples, and those that stand beside them on birds and faces."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from triptych.objectives.gan import GAN
from triptych.recipes import get
from triptych.study import named
from triptych.trainer import checks

SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32), "birds": (3, 32, 32), "celeba64": (3, 64, 64)}
NAMES = [f"{family}-{data}" for family in ("hvae", "fsq") for data in SHAPES]
NAMES += ["vae-birds", "vae-celeba64", "glow-birds", "glow-celeba64"]


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_fits_its_data_and_has_a_short_one(name: str) -> None:
    shape = SHAPES[name.split("-")[1]]
    long, quick = get(name), get(f"{name}-quick")
    for recipe in (long, quick):
        assert recipe.data.resolution in (None, shape[1])
        with torch.device("meta"):
            model = recipe.model.build(shape)
        checks.check_train(recipe.train)
        told = dataclasses.make_dataclass("D", ["is_images", "name"])(True, name)
        recipe.objective.check(model, told, recipe.train.images // recipe.train.batch)
        assert recipe.about
    assert quick.data == long.data
    assert quick.train.images * 4 < long.train.images


@pytest.mark.parametrize("data", ["mnist64", "celeba64"])
@pytest.mark.parametrize("scale", ["", "-quick"])
def test_the_gan_without_smoothing_is_the_smoothed_one_but_for_its_labels(data: str, scale: str) -> None:
    plain, smoothed = get(f"gan-{data}-plain{scale}"), get(f"gan-{data}{scale}")
    assert plain.objective == GAN()
    assert dataclasses.replace(smoothed.objective, label_smoothing=None) == GAN()
    same = ("data", "model", "train")
    assert [getattr(plain, k) for k in same] == [getattr(smoothed, k) for k in same]


@pytest.mark.parametrize(("study", "data"), [("digits", "mnist64"), ("faces", "celeba64")])
def test_the_studies_at_64_px_have_all_four(study: str, data: str) -> None:
    found = {recipe.name for recipe in named.get(study, "full").recipes}
    assert found == {f"gan-{data}", f"gan-{data}-plain", f"wgan-{data}", f"wgan-gp-{data}"}
