"""What every network promises, whoever wrote it: each that there is, on every small shape that it accepts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
import torch
from networks import small_networks
from torch import nn

from triptych.core import DataSpec, Density, Encoder, Model, ModelSpec, Recipe, Sampler, Train, encode
from triptych.core.model import Stepwise
from triptych.errors import UserError
from triptych.models.build import build
from triptych.objectives.flow import NLL
from triptych.run import Run

SHAPES = ((2,), (5,), (1, 16, 16), (3, 32, 32))
SPECS = list(small_networks())


@pytest.mark.parametrize("spec", SPECS, ids=[f"{type(s).__name__}-{i}" for i, s in enumerate(SPECS)])
def test_keeps_its_promises_on_every_shape_that_it_accepts(spec: ModelSpec) -> None:
    tried = 0
    for model, shape in accepted(spec):
        keeps_its_promises(model, shape)
        tried += 1
    assert tried


@pytest.mark.parametrize("spec", SPECS, ids=[f"{type(s).__name__}-{i}" for i, s in enumerate(SPECS)])
def test_is_loaded_as_it_was_saved(spec: ModelSpec, tmp_path: Path) -> None:
    model, shape = next(accepted(spec))
    recipe = Recipe(DataSpec("8gaussians"), spec, NLL(), Train(images=1))
    data = {"name": "noise", "split": "train", "fingerprint": "0", "examples": 1}
    env = {"shape": list(shape), "precision": "fp32", "threads": 1, "device": "cpu", "data": data}
    run = Run.create(tmp_path / "run", recipe, 0, env)
    asked = {"recipe": encode(recipe), "seed": 0}
    run.save(1, {f"model/{k}": v for k, v in model.state_dict().items()}, {"asked": asked})
    loaded = run.load(device="cpu").state_dict()
    assert loaded.keys() == model.state_dict().keys()
    assert all(torch.equal(v, loaded[k]) for k, v in model.state_dict().items())


def accepted(spec: ModelSpec) -> Iterator[tuple[Model, tuple[int, ...]]]:
    """The network for each of the shapes that it takes."""
    for shape in SHAPES:
        torch.manual_seed(0)
        with suppress(UserError):
            yield spec.build(shape).eval(), shape


def keeps_its_promises(model: Model, shape: tuple[int, ...]) -> None:
    assert model.shape == shape
    if model.players:  # else a yardstick, which is fitted in closed form
        assert set(model.sampling) & set(model.players) or not isinstance(model, Sampler)
    assert model.cost.sample >= 1
    assert model.cost.likelihood >= 1
    x = torch.rand(3, *shape)
    if isinstance(model, Sampler):
        samples(model)
    if isinstance(model, Encoder):
        z = model.encode(x.requires_grad_())
        assert z.shape == (3, model.latent)
        torch.autograd.grad(z.sum(), x)
    else:
        with pytest.raises(TypeError):
            model.encode(x)
    if isinstance(model, Density):
        with torch.no_grad():
            assert torch.isfinite(model.log_prob(x[:1])).all()
    else:
        with pytest.raises(TypeError):
            model.log_prob(x)
    if isinstance(model, Stepwise) and isinstance(model, Sampler):
        on_the_way = list(model.path(model.prior(2), 3))
        assert [tuple(one.shape) for one in on_the_way] == 4 * [(2, *shape)]


def samples(model: Sampler) -> None:
    """The same seed gives the same samples, in any batches; codes of the prior are decoded differentiably."""
    x = model.sample(5, seed=1)
    assert x.shape == (5, *model.shape)
    assert torch.isfinite(x).all()
    torch.testing.assert_close(x, model.sample(5, seed=1, batch=2), rtol=1e-4, atol=1e-4)
    assert not torch.equal(x, model.sample(5, seed=2)) or constant(model)
    z = model.prior(2).requires_grad_()
    out = model.decode(z)
    if out.requires_grad:
        torch.autograd.grad(out.sum(), z, allow_unused=True)


def constant(model: Model) -> bool:
    """A network whose output does not depend on its input yet: a layer starts at 0, or it is not fitted."""
    return not model.players or any(not bool(w.any()) for w in model.parameters())


@dataclass(frozen=True)
class Plain(ModelSpec):
    """What somebody may write first."""

    def build(self, shape: tuple[int, ...]) -> Model:
        return cast(Model, nn.Linear(2, 2))


def test_a_network_that_builds_no_model_is_told_so() -> None:
    with pytest.raises(UserError, match=r"Plain.build gives a Linear, which is no triptych.core.Model"):
        build(Plain(), (2,))
