"""Every network there is, small, and data for them: what contract tests try instead of a list of their own."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

import pytest
import torch

from triptych import core
from triptych.core import Data, Model, ModelSpec, Objective
from triptych.data import load
from triptych.errors import UserError

NARROW = {"width": 8, "flow_width": 8, "flow_depth": 1, "layers": 2, "steps": 2, "tolerance": 0.01}
NARROW |= {"prior_width": 8, "prior_depth": 1}


def variants(cls: type[ModelSpec]) -> Iterator[ModelSpec]:
    """The network, narrow; then with each of its switches the other way."""
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    narrow = {k: v for k, v in NARROW.items() if k in fields}
    yield cls(**narrow)
    for name, f in fields.items():
        if isinstance(f.default, bool):
            needed = {"classes": 8} if name == "classifier" else {}
            yield cls(**narrow, **needed, **{name: not f.default})


def small_networks() -> Iterator[ModelSpec]:
    for cls in core.discover("models", ModelSpec).values():
        yield from variants(cls)


def small_data() -> Iterator[Data]:
    yield load("8gaussians")
    yield Data("pictures", torch.randint(0, 256, (64, 1, 16, 16), dtype=torch.uint8), labels=torch.arange(64) % 8)


def trainable(objective: Objective) -> tuple[ModelSpec, Data]:
    """The first of the small networks and data that the objective accepts."""
    for data in small_data():
        for network in small_networks():
            with contextlib.suppress(UserError):
                objective.check(network.build(data.shape), data)
                return network, data
    pytest.fail(f"no network suits {objective}")


def perturbed(model: Model, by: float = 0.1, seed: int = 0) -> Model:
    """A model away from its start, where couplings are the identity and a velocity's network is 0."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(by * torch.randn(p.shape, generator=g, dtype=p.dtype))
    return model.eval()
