"""Compiled players: the same gradients, or none. The backend here needs no C compiler; a GPU's is tried on a GPU."""

import functools
import json
from dataclasses import replace

import pytest
import torch

from triptych import recipes, trainer
from triptych.core import DataSpec
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.gan import GAN, WGANGP
from triptych.objectives.gradients import scores_and_gradient
from triptych.objectives.relativistic import Relativistic
from triptych.trainer import compilation
from triptych.trainer.compilation import compile_players, gradients, leave

BACKEND = "aot_eager"


@pytest.fixture(autouse=True)
def _forget():
    yield
    torch.compiler.reset()


def small(seed=0):
    torch.manual_seed(seed)
    return MLPGAN(latent=2, width=16).build((2,)), torch.randn(12, 2)


@pytest.mark.parametrize("objective", [WGANGP(n_critic=2), Relativistic(), GAN()])
def test_gradients_are_the_eager_ones_and_nothing_else_changes(objective):
    model, x = small()
    eager, weights, random = gradients(model, objective, x), model.state_dict(), torch.get_rng_state()
    before = {k: v.clone() for k, v in weights.items()}
    assert compile_players(model, objective, x, "fp32", BACKEND) is None
    for a, b in zip(gradients(model, objective, x), eager, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    leave(model)


def test_residual_critic_of_the_birds_study():
    recipe = recipes.get("wgan-gp-birds-quick")
    torch.manual_seed(0)
    model = recipe.model.build((3, 32, 32))
    assert compile_players(model, WGANGP(n_critic=1), torch.rand(4, 3, 32, 32) * 2 - 1, "fp32", BACKEND) is None
    assert model.critic._compiled_call_impl is not None
    leave(model)


def test_compiled_slopes_are_differentiable_towards_the_weights():
    model, x = small()
    w = next(model.critic.parameters())
    scores, slope = scores_and_gradient(model.critic, x)
    (wanted,) = torch.autograd.grad(slope.square().sum(), w)
    assert wanted.abs().max() > 0
    compile_players(model, WGANGP(), x, "fp32", BACKEND)
    scores_c, slope_c = scores_and_gradient(model.critic, x)
    torch.testing.assert_close(scores_c, scores)
    torch.testing.assert_close(slope_c, slope)
    (found,) = torch.autograd.grad(slope_c.square().sum(), w)
    torch.testing.assert_close(found, wanted)
    leave(model)


def test_what_cannot_be_compiled_is_left_eager():
    model, x = small()
    forward = model.critic.forward

    def graph_breaks(x):
        print("", end="")
        torch._dynamo.graph_break()
        return forward(x)

    model.critic.forward = graph_breaks
    assert "failed" in (compile_players(model, WGANGP(), x, "fp32", BACKEND) or "")
    assert model.critic._compiled_call_impl is None
    assert len(gradients(model, WGANGP(n_critic=1), x)) == 2


def test_other_gradients_are_refused(monkeypatch):
    """The known way to go wrong: a slope of zeros."""
    model, x = small()
    right = compilation._differentiated
    monkeypatch.setattr(
        "triptych.trainer.compilation._differentiated",
        lambda D: lambda x: tuple(part * k for k, part in enumerate(right(D)(x))),
    )
    monkeypatch.setattr(torch, "compile", lambda f, **_: f)
    assert "away from eager" in (compile_players(model, Relativistic(), x, "fp32", BACKEND) or "")
    assert model.critic._compiled_call_impl is None


def test_training_says_whether_it_is_compiled(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("triptych.system.device.compiles", lambda device: True)
    monkeypatch.setattr("triptych.trainer.faster.WORTH", 0.0)
    recipe = recipes.get("wgan-gp-8gaussians")
    recipe = replace(recipe, data=DataSpec("8gaussians"), train=replace(recipe.train, images=2_000, batch=64))
    monkeypatch.setattr(
        "triptych.trainer.compilation.compile_players", functools.partial(compile_players, backend=BACKEND)
    )
    run = trainer.fit(recipe, 0, tmp_path / "yes", "cpu", progress=False)
    assert run.status["compiled"] is True
    monkeypatch.setattr("triptych.trainer.compilation.compile_players", lambda *_, **__: "it failed (no compiler)")
    run = trainer.fit(recipe, 0, tmp_path / "no", "cpu", progress=False)
    assert json.loads((tmp_path / "no" / "status.json").read_text())["compiled"] is False
    assert run.status["state"] == "done"
