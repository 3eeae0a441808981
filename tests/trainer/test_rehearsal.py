"""Budgets in minutes: paces, calls of observers, and what a rehearsal leaves behind."""

import json
from dataclasses import replace

import pytest
import torch

import triptych
from triptych.cli import main
from triptych.core import Data, Train
from triptych.data import load_spec
from triptych.errors import UserError
from triptych.models.two_stages import LatentUNet
from triptych.objectives.flow_matching import LatentFlowMatching
from triptych.recipes import get
from triptych.run import Run
from triptych.run.sinks import Sink
from triptych.system import processor
from triptych.trainer import fit, rehearsal, resume, start
from triptych.trainer.observe import Bar, standard
from triptych.trainer.observer import Observer, look
from triptych.trainer.rehearsal import Pace
from triptych.trainer.start import elsewhere
from triptych.trainer.state import State
from triptych.trainer.step import step


@pytest.fixture
def tiny():
    """A recipe of milliseconds."""
    recipe = get("gan-8gaussians")
    return replace(recipe, train=replace(recipe.train, images=5_000, batch=64, ema=0.0))


@pytest.fixture
def steady(monkeypatch):
    """A machine on which every step takes a millisecond an image and every look a second."""

    def rehearse(recipe, *rest):
        return Pace(1e-3, (1.0,), lambda train: [Observer(train.images // 10)])

    monkeypatch.setattr(rehearsal, "rehearse", rehearse)


class Counting(Observer):
    """How often it was called."""

    def __call__(self, state, line):
        self.n = getattr(self, "n", 0) + 1


@pytest.mark.parametrize("every", [(), (64,), (100,), (333,), (1_000, 700), (5_000,), (9_999,), (3,)])
@pytest.mark.parametrize("budget", [64, 1_000, 5_000])
def test_calls_are_foretold(every, budget, tiny):
    recipe = replace(tiny, train=replace(tiny.train, images=budget))
    data = triptych.data.load("8gaussians")
    state = State(recipe, recipe.model.build((2,)), data, None, 0)
    observer = Counting(*every)
    foretold = observer.calls(0, budget, 64)
    look(state, [observer], 0)
    while not state.finished:
        before = state.images
        next(state.batches)
        look(state, [observer], before)
        assert observer.calls(state.images, budget, 64) == foretold - getattr(observer, "n", 0)
    assert getattr(observer, "n", 0) == foretold


@pytest.mark.parametrize("seconds", [30.0, 60.0, 1_000.0])
@pytest.mark.parametrize("since", [0, 6_400])
def test_the_largest_budget_that_fits_is_found(seconds, since):
    train = Train(images=1, batch=64)
    pace = Pace(1e-3, (1.0, 0.5), lambda train: [Observer(train.images // 10), Observer(2_000)])
    images = pace.images(train, seconds, since)
    assert (images - since) % 64 == 0
    fits, more = (pace.seconds(replace(train, images=images + k), since) for k in (0, 64))
    assert fits <= seconds
    assert more > seconds - 2.5  # a cadence may move by an image, and a call with it


@pytest.mark.parametrize(
    ("look_takes", "evaluations"), [(0.1, 10), (1.0, 10), (3.0, 10), (3.5, 8), (5.0, 5), (8.0, 3), (15.0, 3)]
)
def test_evaluations_that_would_take_over_a_third_of_the_time_are_fewer(look_takes, evaluations):
    """A first one stands before the training besides."""
    train = Train(images=1, batch=64)
    pace = Pace(1e-3, (look_takes,), lambda train: [Observer(train.evaluate or max(train.images // 10, 1))])
    found = pace.fitting(train, 100.0)
    assert pace.seconds(found) <= 100.0
    assert found.images // (found.evaluate or found.images // 10) == evaluations
    assert (found.evaluate == 0) == (evaluations == 10)
    if evaluations > 3:
        assert found.images * pace.image > 100 * 2 / 3 - 0.2


@pytest.mark.parametrize("since", [0, 640])
def test_a_training_that_goes_on_is_given_what_its_own_evaluations_leave(since, tiny, monkeypatch):
    """Also one of which nothing was saved: its recipe stays as it is."""
    pace = Pace(1e-3, (1.0,), lambda train: [Observer(train.evaluate or max(train.images // 10, 1))])
    monkeypatch.setattr(rehearsal, "rehearse", lambda *rest: pace)
    train, _ = rehearsal.budget_for(0.25, tiny, load_spec(tiny.data), None, torch.device("cpu"), {}, since)
    assert train.evaluate == tiny.train.evaluate
    assert pace.seconds(train, since) <= 15.0


def test_a_cadence_that_was_asked_for_stays():
    pace = Pace(1e-3, (5.0,), lambda train: [Observer(train.evaluate)])
    assert pace.fitting(Train(images=1, batch=64, evaluate=6_400), 100.0).evaluate == 6_400


def test_fewer_evaluations_are_said_and_in_the_recipe(tiny, steady, tmp_path, monkeypatch):
    def rehearse(recipe, *rest):
        return Pace(1e-3, (1.0,), lambda train: [Observer(train.evaluate or max(train.images // 10, 1))])

    monkeypatch.setattr(rehearsal, "rehearse", rehearse)
    said = []
    ready = start.prepared(tiny, 0, "cpu", 0.25, said.append)
    evaluate = ready.plan.recipe.train.evaluate
    assert ready.plan.recipe.train.images // evaluate == 3  # and one before: four seconds of fifteen
    assert any(f"evaluated every {evaluate:,} images, since an evaluation takes 1 s" in line for line in said)
    assert f"--train.evaluate {evaluate}" in ready.env["command"]


def test_a_budget_in_minutes_is_one_in_images_from_then_on(tiny, steady, tmp_path):
    run = fit(tiny, 3, tmp_path / "a", "cpu", progress=False, minutes=0.25)
    images = Run(run.path).recipe.train.images
    assert 2_000 < images <= 5_000  # 15 s, of which 11 or 12 are looks
    assert run.env["minutes"] == 0.25
    assert f"--train.images {images}" in run.env["command"]
    same = fit(replace(tiny, train=replace(tiny.train, images=images)), 3, tmp_path / "b", "cpu", progress=False)
    a, b = run.read(images)[0], same.read(images)[0]
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_a_finished_run_goes_on_for_minutes(tiny, steady, tmp_path):
    fit(replace(tiny, train=replace(tiny.train, images=640)), 0, tmp_path / "a", "cpu", progress=False)
    run = resume(tmp_path / "a", progress=False, minutes=0.25)
    assert run.status["state"] == "done"
    assert run.status["images"] == run.recipe.train.images > 2_000
    assert run.budgets == [640]


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf")])
def test_minutes_that_no_training_can_take(minutes, tiny, tmp_path):
    with pytest.raises(UserError, match="finite number above 0"):
        fit(tiny, 0, tmp_path / "a", "cpu", progress=False, minutes=minutes)
    assert not (tmp_path / "a").exists()


def test_too_short_for_an_evaluation_says_what_would_do(tiny, steady, tmp_path):
    with pytest.raises(UserError, match=r"too short here: one evaluation takes 1\.0 s.*give at least 0\.1"):
        fit(tiny, 0, tmp_path / "a", "cpu", progress=False, minutes=0.03)
    assert not (tmp_path / "a").exists()


def test_images_and_minutes_are_one_too_many(tiny, tmp_path):
    with pytest.raises(UserError, match="give one of them"):
        triptych.train("gan-8gaussians", images=100, minutes=1, out=tmp_path / "a")
    fit(replace(tiny, train=replace(tiny.train, images=64)), 0, tmp_path / "a", "cpu", progress=False)
    with pytest.raises(UserError, match="give one of them"):
        resume(tmp_path / "a", progress=False, images=1_000, minutes=1)


def test_a_rehearsal_is_real_and_leaves_nothing(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(rehearsal.tempfile, "tempdir", str(tmp_path))
    torch.manual_seed(4)
    before = torch.get_rng_state()
    ready = start.prepared(tiny, 0, "cpu")
    state = torch.get_rng_state()
    pace = rehearsal.rehearse(tiny, *ready.plan.examples, ready.plan.target, ready.env, 0.01)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(state, before)  # the model's own making
    assert list(tmp_path.iterdir()) == []
    watching = pace.observers(tiny.train)
    assert {type(o).__name__ for o, s in zip(watching, pace.looks, strict=True) if s > 1e-4} >= {"Evaluate", "Draw"}
    assert pace.image > 0


def test_the_time_left_counts_steps_and_looks(tiny, tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("triptych.trainer.observe.time.perf_counter", lambda: now[0])

    class Slow(Observer):
        def __call__(self, state, line):
            now[0] += 5.0 if state.images else 30.0  # the first look is slow

    slow = Slow(1_000)
    data = triptych.data.load("8gaussians")
    state = State(tiny, tiny.model.build((2,)), data, None, 0)
    bar = Bar(None, [slow])
    bar.begin(state)
    look(state, [slow], 0)
    while state.images < 1_280:
        before = state.images
        next(state.batches)
        now[0] += 0.5
        look(state, [slow], before)
    steps = -(-5_000 // 64) - state.images // 64
    assert bar.left(state) == pytest.approx(0.5 * steps + 4 * 5.0, rel=0.02)


def test_the_time_left_knows_that_a_later_stage_is_slower(tiny, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("triptych.trainer.observe.time.perf_counter", lambda: now[0])
    data = triptych.data.load("8gaussians")
    state = State(tiny, tiny.model.build((2,)), data, None, 0)
    bar = Bar(None, [], [(0.0, 1e-6), (0.4, 5e-6)])  # of 5,000 images 2,000 at one price and 3,000 at five times it
    bar.begin(state)
    while state.images < 1_000:
        next(state.batches)
        now[0] += 64e-3
    assert bar.left(state) == pytest.approx((2_000 - state.images + 5 * 3_000) * 1e-3)
    while state.images < 3_000:
        next(state.batches)
        now[0] += 64e-3 if state.images <= 2_000 else 5 * 64e-3
    assert bar.left(state) == pytest.approx(5 * (5_000 - state.images) * 1e-3, rel=0.05)


def test_stages_are_rehearsed_beside_a_training(tiny):
    recipe = get("iwae-binarymnist")
    recipe = replace(recipe, data=tiny.data, model=get("vae-8gaussians").model)
    recipe = replace(recipe, objective=replace(recipe.objective, likelihood="gaussian", samples=500))
    data = triptych.data.load("8gaussians")
    state = State(recipe, recipe.model.build((2,)), data, None, 0)
    before, random = [w.clone() for w in state.model.parameters()], torch.get_rng_state()
    (first, cheap), (second, dear) = rehearsal.rehearse_stages(state, "fp32", 0.1)
    assert (first, second) == (0.0, 0.5)
    assert dear > 2 * cheap
    assert all(torch.equal(a, b) for a, b in zip(before, state.model.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), random)
    assert state.images == 0


def test_what_differs_on_another_processor_is_said(monkeypatch):
    monkeypatch.setattr(start, "arithmetic", lambda device: processor.AVX2)
    env = {"precision": "bf16", "processor": "Intel", "arithmetic": {"kind": "amx"}}
    said = elsewhere(env, torch.device("cpu"))
    assert "stays in bfloat16, which is only emulated here" in said
    assert "Intel, amx" in said
    assert elsewhere(env | {"arithmetic": {"kind": "avx2"}}, torch.device("cpu")) == ""
    assert elsewhere({"precision": "bf16"}, torch.device("cpu")) == ""


def test_a_run_keeps_its_precision_on_another_processor(tiny, tmp_path):
    recipe = replace(tiny, train=replace(tiny.train, images=128, precision="bf16"))
    run = fit(recipe, 0, tmp_path / "a", "cpu", progress=False)
    env = json.loads((run.path / "env.json").read_text())
    env["arithmetic"]["kind"] = "elsewhere"
    (run.path / "env.json").write_text(json.dumps(env))
    said: list[str] = []
    again = resume(run.path, progress=False, images=256, announce=said.append)
    assert again.env["precision"] == "bf16"
    assert any("began on another kind of processor" in line for line in said)


def test_the_standard_observers_are_those_that_are_rehearsed(tiny, tmp_path):
    run = fit(replace(tiny, train=replace(tiny.train, images=64)), 0, tmp_path / "a", "cpu", progress=False)
    assert len(standard(run, tiny.train, Sink())) == len(standard(run, replace(tiny.train, images=10**6), Sink()))
    state = State(tiny, tiny.model.build((2,)), triptych.data.load("8gaussians"), None, 0)
    step(state)
    assert len(rehearsal.seconds_of_looks(state, standard(run, tiny.train, Sink()))) == len(
        standard(run, tiny.train, Sink())
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "gan-8gaussians", "--minutes", "3", "--train.images", "100"], "give one of them"),
        (["train", "gan-8gaussians", "--minutes=3", "--train.images=1e6"], "give one of them"),
        (["train", "gan-8gaussians", "--minutes", "0"], "must be a finite number above 0"),
        (["train", "gan-8gaussians", "--minutes=-2"], "must be a finite number above 0"),
        (["train", "--data", "8gaussians", "--minutes", "nan"], "error: "),
        (["study", "parallel-lines", "--minutes", "3"], "takes --seeds alone"),
        (["study", "quickstart", "--minutes", "0"], "give a finite number above 0"),
    ],
)
def test_bad_minutes_are_one_line(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_pace_is_the_mean_over_the_stages_of_an_objective(monkeypatch):
    """The second stage of a two-stage training costs another time a step; before, all of it was timed by the first."""
    recipe = replace(
        get("lcfm-cifar10-quick"),
        model=LatentUNet(codes=1, side=2, width=4, flow_width=4, flow_depth=1),
        objective=LatentFlowMatching(share=0.25),
    )
    recipe = replace(recipe, train=replace(recipe.train, images=1_000_000, batch=4))
    data = Data("grey", torch.zeros(8, 1, 8, 8, dtype=torch.uint8))
    state = rehearsal.untrained(recipe, data, None, torch.device("cpu"), "fp32")

    def timed(state, clock):
        moves = [move.names for move in recipe.objective.step(state.model, state.batches, state.clock())]
        return {("encoder", "decoder"): 4.0, ("flow",): 0.4}[moves[0]]

    monkeypatch.setattr(rehearsal, "seconds_of_step", timed)
    assert rehearsal.seconds_an_image(state, 0.0) == pytest.approx(0.25 * 1.0 + 0.75 * 0.1)
    assert state.clock().fraction < 0.01


def test_a_short_training_is_not_rehearsed_for_longer_than_a_tenth_of_it(monkeypatch, tiny):
    seen = []

    def counted(state, clock):
        step(state)
        seen.append(state.images)
        return 1e-4

    monkeypatch.setattr(rehearsal, "seconds_of_step", counted)
    assert rehearsal.rehearse_steps(tiny, load_spec(tiny.data), None, torch.device("cpu"), "fp32", 60.0) is not None
    assert 500 <= seen[-1] < 500 + 2 * 64
