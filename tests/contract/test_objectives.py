"""What every objective promises, whoever wrote it, on the first small network and data that it accepts."""

from __future__ import annotations

import dataclasses

import pytest
import strangers
import torch
from networks import trainable
from torch import nn

from triptych import core
from triptych.core import Data, DataSpec, ModelSpec, Move, Objective, Recipe, Sampler, Train, encode
from triptych.core.discovery import plugged
from triptych.errors import UserError
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.gan import GAN
from triptych.run import Run
from triptych.trainer import fit
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
        if self.how == "nothing drawn":
            yield Move(("generator", "critic"), model.critic(model.generator(model.prior(4))).mean())
            return
        loss = model.critic(next(batches)).mean() + model.critic(model.generator(model.prior(4))).mean()
        logs = {"my_thing": 1.0} if self.how == "log" else {}
        yield Move("generator", loss * float("nan") if self.how == "nan" else loss, logs)
        if self.how == "still":
            return
        loss = model.critic(next(batches)).mean()
        if self.how == "detached":
            loss = loss.detach()
        if self.how == "bare":
            yield loss
        yield Move(
            "judge" if self.how == "name" else "critic",
            loss[None] if self.how == "shape" else loss + (self.how == "seed") * len(SEEN),
        )
        SEEN.append(1)

    def validate(self, model, batches, clock):
        return {"held_out": 3.0} if self.how == "validated" else {}


SEEN: list[int] = []


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("", ""),
        ("nan", "is nan"),
        ("still", "never moves ['critic']"),
        ("shape", "has a loss of the shape (1,)"),
        ("detached", "has a loss of the critic without a gradient; is it detached?"),
        ("bare", "yields a Tensor; yield Move(player, loss)"),
        ("name", "moves 'judge', which is no player of this model; its players are"),
        ("log", "logs 'my_thing', which is not declared"),
        ("validated", "logs 'held_out', which is not declared"),
        ("nothing drawn", "draws no real examples"),
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


@dataclasses.dataclass(frozen=True)
class Returning(Objective):
    """Forgets to yield."""

    def step(self, model, batches, clock):
        return model.critic(next(batches)).mean()


class WideModel(Sampler):
    sampling = ("generator",)
    latent = 2

    def __init__(self, shape):
        super().__init__(shape)
        self.generator, self.critic = nn.Linear(2, shape[0] + 1), nn.Linear(shape[0], 1)

    def decode(self, z):
        return self.generator(z)


@dataclasses.dataclass(frozen=True)
class Wide(ModelSpec):
    """A network whose samples have a column too many."""

    def build(self, shape):
        return WideModel(shape)


class NamelessModel(WideModel):
    sampling = ()


class Nameless(ModelSpec):
    """A network that does not say which of its players make samples."""

    def build(self, shape):
        return NamelessModel(shape)


@pytest.mark.parametrize(
    ("network", "objective", "said"),
    [
        (Nameless(), GAN(), "NamelessModel names none of its players (generator, critic) in `sampling`; name those"),
        (MLPGAN(width=8), Returning(), "Returning.step returns a Tensor; yield Move"),
        (Wide(), GAN(), "decode makes the shape (1, 3) where (1, 2) is expected; correct the network"),
    ],
)
def test_what_a_first_author_gets_wrong_is_one_line(network, objective, said: str, tmp_path) -> None:
    recipe = Recipe(DataSpec("8gaussians"), network, objective, Train(images=640, batch=64))
    with pytest.raises(UserError) as e:
        fit(recipe, out=tmp_path / "run", device="cpu", progress=False)
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


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("still", "never moves the critic of this model"),
        ("shape", "has a loss of the shape (1,)"),
        ("detached", "has a loss of the critic without a gradient; is it detached?"),
        ("bare", "yields a Tensor; yield Move(player, loss)"),
        ("name", "moves 'judge', which is no player"),
        ("log", "logs 'my_thing', which is not declared"),
        ("validated", "logs 'held_out', which is not declared"),
        ("nothing drawn", "draws no real examples"),
    ],
)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_training_says_which_promise_was_broken(how: str, said: str, accumulate: int, tmp_path) -> None:
    train = Train(images=640, batch=64, accumulate=accumulate)
    recipe = Recipe(DataSpec("8gaussians"), MLPGAN(width=8), Broken(how), train)
    with pytest.raises(UserError) as e:
        fit(recipe, out=tmp_path / "run", device="cpu", progress=False)
    assert str(e.value).startswith("a step of Broken" if how == "nothing drawn" else f"Broken {said}")
    assert said in str(e.value)
    if accumulate == 1 or how not in (
        "shape",
        "detached",
        "bare",
        "name",
        "nothing drawn",
    ):  # a batch in parts is tried before a run is made
        assert Run(tmp_path / "run").status["state"] == "failed"
