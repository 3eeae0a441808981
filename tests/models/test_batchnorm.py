"""Batch statistics of the averaged weights."""

import dataclasses

import pytest
import torch
from torch import nn

from triptych import trainer
from triptych.core import DataSpec, Recipe, Train
from triptych.models.batchnorm import batch_norms, reestimate, statistics
from triptych.models.gans.small_conv import ConvGAN
from triptych.objectives.gan import GAN
from triptych.run import Run

RECIPE = Recipe(
    DataSpec("glyphs"),
    ConvGAN(latent=4, width=4),
    GAN(),
    Train(images=320, batch=32, ema=0.9, checkpoint=160),
    name="r",
)


def model():
    torch.manual_seed(0)
    return ConvGAN(latent=4, width=4).build((1, 8, 8))


def test_only_the_sampling_players_layers_count():
    m = model()
    m.critic.append(nn.BatchNorm1d(1))
    assert len(batch_norms(m)) == 2


def test_afterwards_samples_are_normalised_by_their_own_statistics():
    m = model().eval()
    reestimate(m)
    layer = m.generator[2]
    seen = []
    layer.register_forward_hook(lambda _m, _x, y: seen.append(y))
    m.sample(4096, seed=5)
    y = torch.cat(seen)
    assert y.mean((0, 2, 3)).abs().max() < 0.1
    assert (y.var((0, 2, 3)) - 1).abs().max() < 0.15
    assert not layer.training
    assert layer.momentum == 0.1


def test_same_weights_same_statistics_and_the_global_generator_is_left_alone():
    m, state = model(), torch.get_rng_state()
    reestimate(m)
    first = {k: b.clone() for k, b in statistics(m).items()}
    reestimate(m)
    assert all(torch.equal(first[k], b) for k, b in statistics(m).items())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return trainer.fit(RECIPE, out=tmp_path_factory.mktemp("runs") / "r", device="cpu", progress=False)


def test_a_loaded_run_has_the_averages_own_statistics(run):
    loaded = run.load(device="cpu")
    own = {k: b.clone() for k, b in statistics(loaded).items()}
    reestimate(loaded)
    for k, b in statistics(loaded).items():
        torch.testing.assert_close(own[k].float(), b.float(), rtol=2e-2, atol=2e-2)  # training ran in bfloat16
    last = run.read(run.checkpoints()[-1])[0]
    assert any(not torch.equal(own[k], last[f"model/{k}"]) for k in own)


def test_their_cadence_does_not_change_training(run, tmp_path):
    often = dataclasses.replace(RECIPE, train=dataclasses.replace(RECIPE.train, checkpoint=32, evaluate=64, sample=64))
    other = trainer.fit(often, out=tmp_path / "often", device="cpu", progress=False)
    a, b = (r.read(320)[0] for r in (run, other))
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_the_pictures_over_training_end_as_an_animation(run):
    from PIL import Image

    with Image.open(run.path / "samples" / "animation.webp") as film:
        assert film.n_frames == len(list((run.path / "samples").glob("*.png"))) > 2


def test_statistics_are_made_once_for_everything_that_one_evaluation_does(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr("triptych.trainer.ema.batchnorm.reestimate", lambda m: calls.append(1) or reestimate(m))
    recipe = dataclasses.replace(RECIPE, train=dataclasses.replace(RECIPE.train, evaluate=160))
    trainer.fit(recipe, 0, tmp_path / "run", progress=False)
    assert len(calls) == 3  # at the start, half-way and at the end
