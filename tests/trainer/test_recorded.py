"""Recorded steps, with a tape that repeats what it was given: a real one is tried on a GPU."""

from dataclasses import dataclass, field, replace

import pytest
import torch

from triptych import recipes, trainer
from triptych.core import DataSpec
from triptych.data import load_spec
from triptych.objectives.gan import WGANGP
from triptych.trainer import recorded, rehearsal
from triptych.trainer.recorded import record
from triptych.trainer.rehearsal import untrained
from triptych.trainer.step import step

CPU = torch.device("cpu")


class Again:
    """Does a step again, and leaves its sums where those of the recorded one were."""

    def __init__(self, state, off=0.0):
        self.state, self.off = state, off

    def record(self, step):
        self.step = step
        step()
        self.sums = self.state.sums

    def replay(self):
        before = self.state.sums, self.state.counts
        self.step()
        for name, value in self.state.sums.items():
            self.sums[name].copy_(value)
        self.state.sums, self.state.counts = before
        for ws in self.state.parameters.values():
            for w in ws:
                w.data.add_(self.off)


@dataclass
class Asked:
    """How often something was recorded and compiled."""

    recorded: list[int] = field(default_factory=list)
    compiled: list[int] = field(default_factory=list)


def glyphs():
    return load_spec(DataSpec("glyphs", resolution=28, channels=1))


def begun(name="wgan-gp-25gaussians", objective=None, **train):
    recipe = recipes.get(name)
    train = replace(recipe.train, images=32 * 100, batch=32, precision="fp32", **train)
    recipe = replace(recipe, train=train, objective=objective or recipe.objective)
    torch.manual_seed(5)
    return untrained(recipe, load_spec(recipe.data), None, CPU, "fp32")


def after(state, steps):
    for _ in range(steps):
        step(state)
    means = {name: (value / state.counts[name]).item() for name, value in state.sums.items()}
    return recorded.weights(state), state.averages.named(), means, state.images, torch.get_rng_state()


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
@pytest.mark.parametrize("schedule", ["constant", "linear"])
@pytest.mark.parametrize("name", ["wgan-gp-25gaussians", "gan-8gaussians", "realnvp-8gaussians"])
def test_a_recorded_training_is_the_ordinary_one(name, schedule, optimizer):
    """Weights, averages, logged means, the stream and random numbers, with rates that fall."""
    found = []
    for records in (False, True):
        state = begun(name, schedule=schedule, optimizer=optimizer, ema=0.9)
        step(state)
        if records:
            assert record(state, lambda: Again(state)) is None  # noqa: B023
            assert state.replay is not None
        found.append(after(state, 6))
    (a, mean_a, logs_a, *rest_a), (b, mean_b, logs_b, *rest_b) = found
    torch.testing.assert_close(b, a, rtol=1e-3, atol=1e-5)  # a rate on the device is a float32
    for name in mean_a:
        torch.testing.assert_close(mean_b[name], mean_a[name], rtol=1e-3, atol=1e-5)
    assert logs_b == pytest.approx(logs_a, rel=1e-4)
    assert rest_a[0] == rest_b[0]
    assert torch.equal(rest_a[1], rest_b[1])


def test_recording_leaves_the_training_as_it_was():
    state, other = begun(), begun()
    step(state)
    step(other)
    before = other.contents().pack()
    assert record(other, lambda: Again(other)) is None
    assert before.keys() == other.contents().pack().keys()
    for name, value in other.contents().pack().items():
        assert torch.equal(value, before[name]), name
    assert other.images == state.images


def test_an_objective_that_follows_the_clock_is_not_recorded():
    @dataclass(frozen=True)
    class Following(WGANGP):
        def step(self, model, batches, clock):
            if clock.fraction > 0.5:
                return
            yield from super().step(model, batches, clock)

    state = begun(objective=Following())
    assert record(state, lambda: Again(state)) == "its objective follows the clock"
    assert state.replay is None
    assert all(isinstance(o.param_groups[0]["lr"], float) for o in state.optimizers.values())
    assert torch.equal(after(state, 2)[0], after(begun(objective=WGANGP()), 2)[0])


def test_each_stage_is_recorded_by_itself(gpu_like, tmp_path, monkeypatch):
    """Codes first, then a flow on them: the end is the ordinary training's."""
    recipe = recipes.get("lcfm-glyphs-quick")
    train = replace(recipe.train, images=32 * 8, batch=32, precision="fp32", ema=0.0)
    recipe = replace(recipe, train=train)
    found = []
    for records in (True, False):
        if not records:
            monkeypatch.setattr("triptych.system.device.records", lambda device: False)
        run = trainer.fit(recipe, 0, tmp_path / str(records), "cpu", progress=False)
        assert run.status.get("recorded", False) is records
        found.append(run.read(run.checkpoints()[-1])[0])
    assert len(gpu_like.recorded) == 2
    for name, a in found[0].items():
        if name.startswith("model/") and a.is_floating_point():
            torch.testing.assert_close(a, found[1][name], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("ask", [lambda c: c.step, lambda c: c.fraction * 2, lambda c: c.fraction < 0.123])
def test_a_recorded_step_knows_its_stage_and_no_more(ask):
    state = untrained(recipes.get("fsq-mnist-quick"), glyphs(), None, CPU, "fp32")
    clock = recorded.OfStage(state)
    assert clock.fraction < state.objective.share
    assert not clock.fraction >= state.objective.share
    assert clock.fraction >= 0.0
    with pytest.raises((RuntimeError, TypeError)):
        ask(clock)


def test_a_rehearsal_times_recorded_steps(gpu_like):
    state = begun()
    assert rehearsal.seconds_an_image(state, 0.05) > 0
    assert len(gpu_like.recorded) == 1
    assert state.replay is None


def test_a_replay_that_does_something_else_is_not_used():
    state = begun()
    assert "away from an ordinary one" in record(state, lambda: Again(state, off=1e-3))
    assert state.replay is None
    assert torch.equal(after(state, 2)[0], after(begun(), 2)[0])


def test_what_an_example_costs_is_found_on_the_side():
    state = begun()
    assert recorded.seconds_an_image(state, 2) > 0
    assert torch.equal(after(state, 2)[0], after(begun(), 2)[0])


@pytest.fixture
def gpu_like(monkeypatch):
    """A processor that is taken for a GPU: steps are recorded, and players compiled where the training is long."""
    monkeypatch.setattr("triptych.system.device.records", lambda device: True)
    monkeypatch.setattr("triptych.system.device.compiles", lambda device: True)
    asked = Asked()

    def recording(state):
        asked.recorded.append(state.images)
        return record(state, lambda: Again(state))

    monkeypatch.setattr(recorded, "record", recording)
    monkeypatch.setattr("triptych.trainer.compilation.compile_players", lambda *_, **__: asked.compiled.append(1))
    return asked


@pytest.mark.parametrize("worth", [0.0, 1e9])
def test_players_are_compiled_where_it_is_worth_it_and_it_stays_so(gpu_like, worth, tmp_path, monkeypatch):
    recipe = recipes.get("wgan-gp-8gaussians")
    recipe = replace(recipe, train=replace(recipe.train, images=2_000, batch=64))
    monkeypatch.setattr("triptych.trainer.faster.WORTH", worth)
    run = trainer.fit(recipe, 0, tmp_path / "r", "cpu", progress=False)
    assert run.status["recorded"] is True
    assert run.status["compiled"] is (worth == 0.0)
    assert len(gpu_like.compiled) == (worth == 0.0)
    monkeypatch.setattr("triptych.trainer.faster.WORTH", 1.0 if worth else 1e9)
    again = trainer.resume(tmp_path / "r", images=4_000, progress=False)
    assert again.status["compiled"] is (worth == 0.0)


def test_after_going_back_steps_are_recorded_anew(gpu_like, tmp_path, monkeypatch):
    recipe = recipes.get("wgan-gp-8gaussians")
    train = replace(recipe.train, images=2_000, batch=64, checkpoint=500, on_divergence="rollback", log=100)
    recipe = replace(recipe, train=train)
    spoilt = []

    class Spoil(trainer.observer.Observer):
        def stepped(self, state):
            if state.images > 1_000 and not spoilt:
                spoilt.append(state.replay)
                next(state.model.critic.parameters()).data.fill_(torch.nan)
            self.last = state.replay

    watching = Spoil()
    run = trainer.fit(recipe, 0, tmp_path / "r", "cpu", progress=False, observers=[watching])
    assert run.status["state"] == "done"
    assert "went back" in run.status["alarms"][-1]
    assert watching.last is not None
    assert watching.last is not spoilt[0]
