"""The options that make examples: their types, rectangles, and the keys that caches know."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from triptych import data, recipes
from triptych.cli.options import parse_recipe
from triptych.core import DataSpec, encode
from triptych.core import decode as from_json
from triptych.core.preparation import Preparation
from triptych.data.prepare import decode
from triptych.errors import UserError
from triptych.recipes.command import command
from triptych.recipes.override import with_field


@pytest.mark.parametrize(
    "wrong",
    [
        {"resolution": 8.0}, {"resolution": True}, {"resolution": "large"}, {"resolution": "0x3"}, {"resolution": 0},
        {"resolution": (3, 4)}, {"resolution": "64x5000"}, {"channels": 3.0}, {"channels": True}, {"holdout": "0.5"},
        {"jpeg_quality": 75.5}, {"range": (1, 1)}, {"range": (0, float("nan"))}, {"range": 5}, {"range": ("a", 2)},
        {"range": (-1e308, 1e308)}, {"holdout": float("nan")},
    ],
)  # fmt: skip
def test_options_of_another_type_are_refused_in_one_line(wrong):
    with pytest.raises(UserError, match=r"^[^\n]+; [^\n]+$"):
        Preparation(**wrong)


def test_one_form_is_kept():
    kept = [Preparation(resolution=r).resolution for r in (64, np.int64(64), "64", "64x64", "64x48", "64X48", "64×48")]
    assert kept == [64] * 4 + ["64x48"] * 3
    assert type(kept[1]) is int
    assert Preparation(resolution="64x48").size == (64, 48)
    assert Preparation().size is None
    assert Preparation(range=[0, 4095]).range == (0.0, 4095.0)


def test_keys_are_those_of_before_unless_a_new_option_is_set():
    before = '{"channels": null, "filter": "bicubic", "fit": "squash", "jpeg_quality": null, "resolution": 32}'
    assert Preparation(resolution=32).identity() == before
    assert Preparation(resolution=32, range=(0, 1)).identity() != before
    assert Preparation(resolution="32x16").identity() == before.replace("32", '"32x16"')


def test_recipes_to_json_and_back():
    spec = DataSpec("a", resolution="64x48", range=(0, 4095))
    assert encode(spec)["resolution"] == "64x48"
    assert from_json(encode(spec)) == spec
    assert encode(DataSpec("a", resolution=64))["resolution"] == 64
    plain = encode(DataSpec("a", resolution=64))
    assert "range" not in plain  # as in runs from before it was there: studies know a recipe by this text
    assert from_json(plain) == DataSpec("a", resolution=64)


def test_the_command_that_trains_it_again():
    recipe = recipes.get("vae-mnist")
    changed = dataclasses.replace(recipe, data=DataSpec("pics", resolution="64x48", range=(-5, 4095.5)))
    words = command(encode(changed), 3).split()
    assert words[words.index("--range") + 1 :][:2] == ["-5.0", "4095.5"]
    assert words[words.index("--resolution") + 1] == "64x48"
    assert parse_recipe(recipe, words[3:])[0].data == changed.data


def test_study_files_take_both():
    recipe = recipes.get("vae-mnist")
    assert with_field(recipe, "resolution", "64x48").data.size == (64, 48)
    assert with_field(recipe, "resolution", 64).data.resolution == 64
    assert with_field(recipe, "range", [0, 4095]).data.range == (0.0, 4095.0)


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
@pytest.mark.parametrize("size", [(50, 40), (7, 90), (64, 48), (128, 96), (3, 200), (300, 1)])
def test_pictures_of_any_shape_fill_a_rectangle(fit, size):
    how = {"resolution": "64x48", "fit": fit, "channels": 3, "filter": "bicubic", "jpeg_quality": None}
    im = Image.new("RGB", size, (200, 0, 0))
    out = decode.shape(im, how)
    assert out.size == (64, 48)
    a = np.asarray(out)
    red = (a == [200, 0, 0]).all(-1)
    if fit == "pad":
        assert ((a == 255).all(-1) | red).all()
        assert red.any(0).all() or red.any(1).all()  # it touches both ends of one side
    else:
        assert red.all()


def test_crop_keeps_the_middle_and_the_proportions():
    x = np.zeros((60, 200, 3), np.uint8)
    x[:, 60:140] = 200  # 80 of 200: what 4:3 of 60 rows keeps
    out = np.asarray(decode.shape(Image.fromarray(x), {"resolution": "64x48", "fit": "crop", "channels": 3,
                                                       "filter": "box", "jpeg_quality": None}))  # fmt: skip
    assert (out == 200).all()


def test_rectangles_from_folders_and_arrays(tmp_path):
    pictures = torch.randint(0, 256, (3, 3, 30, 40), dtype=torch.uint8)
    for i, p in enumerate(pictures):
        (tmp_path / "f").mkdir(exist_ok=True)
        Image.fromarray(p.permute(1, 2, 0).numpy()).save(tmp_path / "f" / f"{i}.png")
    np.save(tmp_path / "a.npy", pictures.numpy())
    a, b = (data.load(tmp_path / name, resolution="16x12") for name in ("f", "a.npy"))
    assert a.shape == b.shape == (3, 12, 16)
    assert torch.equal(a.x, b.x)
    assert data.load(tmp_path / "a.npy", resolution="40x30").x.equal(pictures)


NETWORKS = {type(r.model): name for name, r in recipes.all_recipes().items()}


@pytest.mark.parametrize("name", sorted(NETWORKS.values()))
def test_networks_make_rectangles_or_refuse_in_one_line(name):
    recipe = recipes.all_recipes()[name]
    try:
        shape, said = recipe.model.build((3, 48, 64)).shape, ""
    except UserError as e:
        shape, said = None, str(e)
    assert shape == (3, 48, 64) or ("; " in said and "\n" not in said)
