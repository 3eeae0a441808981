"""Which precision a training begins with, and what is said of it, on faked processors."""

from dataclasses import replace

import pytest
import torch

from triptych.core import DataSpec, Recipe, Train
from triptych.data import load_spec
from triptych.models.gans.mlp import MLPGAN
from triptych.models.gans.small_conv import ConvGAN
from triptych.objectives.gan import GAN
from triptych.recipes import all_recipes
from triptych.system import processor
from triptych.trainer import precision

CPU = torch.device("cpu")
WIDE = Recipe(DataSpec("glyphs"), ConvGAN(latent=2, width=32), GAN(), Train(batch=4))
NARROW = replace(WIDE, model=ConvGAN(latent=2, width=4))
VECTORS = Recipe(DataSpec("8gaussians"), MLPGAN(width=64), GAN(), Train(batch=4))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of each test's own."""
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path))


def chosen(recipe, monkeypatch, kind, seconds=None):
    """The choice on a processor of that kind, where steps take so many seconds."""
    monkeypatch.setattr(precision, "arithmetic", lambda device: kind)
    if seconds is not None:
        monkeypatch.setattr(precision, "measure", lambda *of: seconds)
    else:
        monkeypatch.setattr(precision, "measure", lambda *of: pytest.fail("what is known needs no timing"))
    data = load_spec(recipe.data)
    return precision.choose(recipe, recipe.model.build(data.shape), data, CPU)


@pytest.mark.parametrize(
    ("kind", "picked"),
    [
        (processor.AMX, "bf16"),
        (processor.AVX512_BF16, "bf16"),
        (processor.AVX512, "fp32"),
        (processor.AVX2, "fp32"),
        (processor.ARM, "fp32"),
        (processor.CUDA_BF16, "bf16"),
        (processor.CUDA, "fp32"),
    ],
)
def test_auto_on_wide_convolutions_is_what_is_known_of_the_processor(kind, picked, monkeypatch):
    found = chosen(WIDE, monkeypatch, kind)
    assert (found.precision, found.grounds) == (picked, "known")


@pytest.mark.parametrize("recipe", [NARROW, VECTORS])
def test_small_networks_stay_in_float32_everywhere(recipe, monkeypatch):
    found = chosen(recipe, monkeypatch, processor.AMX)
    assert (found.precision, found.grounds) == ("fp32", "narrow")


@pytest.mark.parametrize("recipe", [NARROW, VECTORS, WIDE])
@pytest.mark.parametrize(("kind", "picked"), [(processor.AMX, "bf16"), (processor.AVX2, "fp32")])
def test_fast_is_bfloat16_for_every_network_where_the_processor_is_fast_in_it(recipe, kind, picked, monkeypatch):
    asking = replace(recipe, train=replace(recipe.train, precision="fast"))
    found = chosen(asking, monkeypatch, kind)
    assert (found.precision, found.grounds) == (picked, "known")


def test_no_named_recipe_insists_on_arithmetic_that_most_processors_emulate():
    assert [name for name, recipe in all_recipes().items() if recipe.train.precision == "bf16"] == []


@pytest.mark.parametrize("kind", [processor.APPLE, processor.ARM_BF16, processor.OTHER])
@pytest.mark.parametrize(("bf16", "picked"), [(0.5, "bf16"), (1.5, "fp32")])
def test_unknown_processors_are_timed(kind, bf16, picked, monkeypatch):
    found = chosen(WIDE, monkeypatch, kind, {"fp32": 1.0, "bf16": bf16})
    assert (found.precision, found.grounds, found.seconds["bf16"]) == (picked, "timed", bf16)


def test_a_timing_is_kept(monkeypatch):
    first = chosen(WIDE, monkeypatch, processor.OTHER, {"fp32": 1.0, "bf16": 0.5})
    assert chosen(WIDE, monkeypatch, processor.OTHER).seconds == first.seconds
    wider = replace(WIDE, model=ConvGAN(latent=2, width=48))
    assert chosen(wider, monkeypatch, processor.OTHER, {"fp32": 1.0, "bf16": 2.0}).precision == "fp32"


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_what_is_asked_for_is_taken(asked, monkeypatch):
    asking = replace(VECTORS, train=replace(VECTORS.train, precision=asked))
    found = chosen(asking, monkeypatch, processor.AMX)
    assert (found.precision, found.grounds, found.note) == (asked, "asked", "")


def test_emulated_bfloat16_is_done_and_its_price_said(monkeypatch):
    asking = replace(WIDE, train=replace(WIDE.train, precision="bf16"))
    found = chosen(asking, monkeypatch, processor.AVX2, {"fp32": 1.0, "bf16": 4.2})
    assert found.precision == "bf16"
    assert "only emulated here (AVX2)" in found.note
    assert "4.2 times as slow" in found.note


def test_a_real_timing_takes_little_and_leaves_the_random_numbers_alone():
    data = load_spec(WIDE.data)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    seconds = precision.measure(WIDE, data, CPU)
    assert torch.equal(torch.get_rng_state(), before)
    assert set(seconds) == {"fp32", "bf16"}
    assert all(s > 0 for s in seconds.values())
