"""What every objective promises, whoever wrote it."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from triptych import core
from triptych.core import Clock, Data, Model, Move, Objective
from triptych.data.batches import Batches
from triptych.errors import UserError
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows.coupling import RealNVP
from triptych.models.gans.mlp import MLPGAN

OBJECTIVES = core.discover("objectives", Objective)
SPECS = (
    MLPGAN(width=8),
    MLPAutoencoder(latent=2, width=8, variational=True),
    MLPAutoencoder(latent=2, width=8, variational=False),
    RealNVP(width=8, layers=2),
)


def trainable(objective: Objective, data: Data) -> Model:
    """The first of the small models that the objective accepts."""
    for spec in SPECS:
        model = spec.build(data.shape)
        try:
            objective.check(model, data)
        except UserError:
            continue
        objective.prepare(model, data)
        return model
    pytest.fail(f"no small model suits {objective}")


@pytest.fixture(params=OBJECTIVES, ids=list(OBJECTIVES))
def objective(request: pytest.FixtureRequest) -> Objective:
    return OBJECTIVES[request.param]()


@pytest.fixture(scope="module")
def data() -> Data:
    from triptych.data import load

    return load("8gaussians")


def moves(objective: Objective, model: Model, data: Data, steps: int = 2) -> list[tuple[Move, list[str]]]:
    """Each move of some steps, and the players whose parameters it changed."""
    batches = Batches(data, 32, 0, torch.device("cpu"))
    found = []
    for step in range(steps):
        for move in objective.step(model, batches, Clock(step, batches.drawn, step / steps, steps)):
            before = {k: v.detach().clone() for k, v in model.named_parameters()}
            mine = [w for name in move.names for w in model.players[name].parameters()]
            for w, g in zip(mine, torch.autograd.grad(move.loss, mine, allow_unused=True), strict=True):
                if g is not None:
                    w.data -= 0.01 * g
            changed = {k.split(".")[0] for k, v in model.named_parameters() if not torch.equal(v, before[k])}
            found.append((move, sorted(changed)))
    return found


def test_losses_are_finite_scalars_with_a_gradient(objective: Objective, data: Data) -> None:
    for move, changed in moves(objective, trainable(objective, data), data):
        assert move.loss.shape == ()
        assert torch.isfinite(move.loss)
        assert changed == sorted(move.names)


def test_every_player_moves(objective: Objective, data: Data) -> None:
    model = trainable(objective, data)
    moved = {name for move, _ in moves(objective, model, data) for name in move.names}
    assert moved == set(model.players)


def test_same_seed_same_losses(objective: Objective, data: Data) -> None:
    def losses() -> list[float]:
        torch.manual_seed(1)
        return [move.loss.item() for move, _ in moves(objective, trainable(objective, data), data)]

    assert losses() == losses()


def test_survives_json(objective: Objective) -> None:
    assert core.decode(core.encode(objective)) == objective


def test_fields_are_documented(objective: Objective) -> None:
    from triptych.cli.options import field_docs

    documented: set[str] = set()
    for cls in type(objective).__mro__:
        if dataclasses.is_dataclass(cls):
            documented |= field_docs(cls).keys()
    assert {f.name for f in dataclasses.fields(objective)} <= documented  # type: ignore[arg-type]


def test_is_final(objective: Objective) -> None:
    assert not [c for c in OBJECTIVES.values() if issubclass(c, type(objective)) and c is not type(objective)]
