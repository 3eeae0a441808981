"""What every network promises, whoever wrote it: each that there is, on every small shape that it accepts."""

from __future__ import annotations

import contextlib
import dataclasses

import pytest
import torch

from triptych import core
from triptych.core import Density, Encoder, Model, ModelSpec, Sampler
from triptych.core.model import Stepwise
from triptych.errors import UserError

SHAPES = ((2,), (5,), (1, 8, 8), (1, 16, 16), (3, 32, 32))
NARROW = {"width": 8, "flow_width": 8, "layers": 2, "steps": 2, "tolerance": 0.01}


def small(cls: type[ModelSpec]) -> list[ModelSpec]:
    """The network, narrow; then with each of its switches the other way."""
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    narrow = {k: v for k, v in NARROW.items() if k in fields}
    found = [cls(**narrow)]
    for f in fields.values():
        if isinstance(f.default, bool):
            with contextlib.suppress(UserError):
                found.append(cls(**narrow, **{f.name: not f.default}))
    return found


SPECS = [spec for cls in core.discover("models", ModelSpec).values() for spec in small(cls)]


@pytest.mark.parametrize("spec", SPECS, ids=[f"{type(s).__name__}-{i}" for i, s in enumerate(SPECS)])
def test_keeps_its_promises_on_every_shape_that_it_accepts(spec: ModelSpec) -> None:
    tried = 0
    for shape in SHAPES:
        torch.manual_seed(0)
        try:
            model = spec.build(shape)
        except UserError:
            continue
        keeps_its_promises(model.eval(), shape)
        tried += 1
    assert tried


def keeps_its_promises(model: Model, shape: tuple[int, ...]) -> None:
    assert model.shape == shape
    assert model.players
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
    """A network whose output does not depend on its input yet, since a layer starts at 0."""
    return any(not bool(w.any()) for w in model.parameters())
