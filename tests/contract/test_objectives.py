"""What every objective promises, whoever wrote it, on the first small network and data that it accepts."""

from __future__ import annotations

import dataclasses

import pytest
import strangers
import torch
from networks import trainable

from triptych import core
from triptych.core import Data, Move, Objective, encode
from triptych.core.discovery import plugged
from triptych.errors import UserError
from triptych.models.gans.mlp import MLPGAN
from triptych.trainer.contracts import check_objective, check_shares

OBJECTIVES = core.discover("objectives", Objective)


@pytest.fixture(params=OBJECTIVES, ids=list(OBJECTIVES))
def objective(request: pytest.FixtureRequest) -> Objective:
    return OBJECTIVES[request.param]()


def test_keeps_its_promises(objective: Objective) -> None:
    check_objective(objective, *trainable(objective))


def test_fields_are_documented(objective: Objective) -> None:
    from triptych.cli.options import field_docs

    assert {f.name for f in dataclasses.fields(objective)} <= field_docs(type(objective)).keys()  # type: ignore[arg-type]


def test_is_final(objective: Objective) -> None:
    assert not [c for c in OBJECTIVES.values() if issubclass(c, type(objective)) and c is not type(objective)]


def test_half_batches_make_the_whole_one(objective: Objective) -> None:
    check_shares(objective, *trainable(objective))


def test_a_strangers_objective_is_checked_with_a_strangers_network(tmp_path) -> None:
    words = strangers.write(tmp_path)
    with plugged(words[1::2]):
        theirs = core.discover("objectives", Objective)["Moments"]()
        check_objective(theirs, *trainable(theirs))


@dataclasses.dataclass(frozen=True)
class Broken(Objective):
    """Breaks the promise that it is told to."""

    how: str = ""

    def step(self, model, batches, clock):
        loss = model.critic(next(batches)).mean() + model.critic(model.generator(model.prior(4))).mean()
        yield Move("generator", loss * float("nan") if self.how == "nan" else loss)
        if self.how == "still":
            return
        loss = model.critic(next(batches)).mean()
        yield Move("critic", loss[None] if self.how == "shape" else loss + (self.how == "seed") * len(SEEN))
        SEEN.append(1)


SEEN: list[int] = []


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("", ""),
        ("nan", "is nan"),
        ("still", "never moves ['critic']"),
        ("shape", "has the shape (1,)"),
        ("seed", "other losses from the same seed"),
    ],
)
def test_a_broken_promise_is_named(how: str, said: str) -> None:
    data = Data("points", torch.randn(64, 2))
    if not said:
        check_objective(Broken(how), MLPGAN(width=8), data)
        return
    with pytest.raises(AssertionError) as e:
        check_objective(Broken(how), MLPGAN(width=8), data)
    assert said in str(e.value)


class Undecorated(Broken):
    """Its own field is none."""

    weight: float = 1.0


def test_an_objective_whose_fields_are_no_settings_is_refused_everywhere() -> None:
    said = "is no dataclass, so that its own fields would be none; write @dataclass"
    with pytest.raises(AssertionError, match=said):
        check_objective(Undecorated(), MLPGAN(width=8), Data("points", torch.randn(64, 2)))
    with pytest.raises(UserError, match=f"Undecorated of .* {said}"):
        encode(Undecorated())
