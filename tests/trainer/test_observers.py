"""What watches a training and where it writes: a stranger's observer and sink, and sinks that fail."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from PIL import Image

from triptych import trainer
from triptych.core import DataSpec, Recipe, Train
from triptych.errors import Diverged, UserError
from triptych.figures.tiles import tile
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows.coupling import RealNVP
from triptych.models.flows.multiscale import Glow
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.autoencoder import VAE
from triptych.objectives.flow import NLL
from triptych.objectives.gan import GAN
from triptych.report import write_report
from triptych.run import Run, Sink
from triptych.run.sending import Sinks
from triptych.run.sinks import JSONLines
from triptych.trainer.observer import Observer, look
from triptych.trainer.state import State

TRAIN = Train(images=640, batch=32, ema=0.9, log=64, evaluate=320, sample=640, checkpoint=160)
SMALL = Recipe(DataSpec("8gaussians"), MLPGAN(width=8, depth=1), GAN(), TRAIN, name="small")
FAMILIES = {
    "gan": SMALL,
    "vae": replace(SMALL, model=MLPAutoencoder(width=8, depth=1), objective=VAE()),
    "flow": replace(SMALL, model=RealNVP(layers=2, width=8), objective=NLL()),
}

STRANGER = '''
"""A tracker and a watcher in somebody else's repository."""
from triptych.run import Sink
from triptych.trainer.observer import Observer


class Tracker(Sink):
    def __init__(self, run):
        self.run, self.log = run, open(run.path / "tracker.txt", "a")

    def scalars(self, images, step, values):
        print("scalars", images, step, *sorted(values), file=self.log)

    def images(self, name, images, picture):
        print("images", name, images, *picture.size, file=self.log)

    def text(self, message):
        print("text", message, file=self.log)

    def close(self):
        print("closed", file=self.log)
        self.log.close()


class Norms(Observer):
    """The norm of all weights, in a file of its own."""

    def __init__(self, every, path):
        super().__init__(every)
        self.path, self.steps = path, 0

    def stepped(self, state):
        self.steps += 1

    def __call__(self, state, line):
        norm = sum(w.norm().item() for w in state.model.parameters())
        with self.path.open("a") as f:
            print(line["images"], state.step, self.steps, norm > 0, file=f)

    def end(self, state):
        with self.path.open("a") as f:
            print("end", state.images, file=f)
'''


@pytest.fixture
def stranger(tmp_path: Path) -> ModuleType:
    (tmp_path / "strangers_parts.py").write_text(STRANGER)
    spec = importlib.util.spec_from_file_location("strangers_parts", tmp_path / "strangers_parts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fit(path: Path, recipe: Recipe = SMALL, **given: Any) -> Run:
    return trainer.fit(recipe, 3, path, "cpu", progress=False, **given)


def final(run: Run) -> dict[str, torch.Tensor]:
    return run.read(run.checkpoints()[-1])[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_strangers_observer_and_sink_see_every_family_and_change_nothing(
    tmp_path: Path, stranger: ModuleType, family: str
) -> None:
    plain = fit(tmp_path / "plain", FAMILIES[family])
    run = fit(
        tmp_path / "run",
        FAMILIES[family],
        sinks=[stranger.Tracker],
        observers=[stranger.Norms(100, tmp_path / "norms.txt")],
    )
    seen = (run.path / "tracker.txt").read_text().splitlines()
    lines = [["scalars", str(n["images"]), str(n["step"]), *sorted(n.keys() - {"images", "step"})] for n in run.lines()]
    assert [s.split() for s in seen if s.startswith("scalars")] == lines
    pictures = [s.split() for s in seen if s.startswith("images samples")]
    assert [int(s[2]) for s in pictures] == [0, 640]
    with Image.open(run.path / "samples" / "000000640.png") as picture:
        assert pictures[-1][3:] == [str(n) for n in picture.size]
    assert seen[-1] == "closed"
    norms = (tmp_path / "norms.txt").read_text().splitlines()
    assert norms == [
        *(f"{n} {n // 32} {max(n // 32 - 1, 0)} True" for n in (0, 128, 224, 320, 416, 512, 608, 640)),
        "end 640",
    ]
    a, b = final(plain), final(run)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)


class Breaks(Sink):
    """Fails at the n-th call of a method, or when it is made."""

    when, calls = "", 0

    def __init__(self, run: Run) -> None:
        self.may_fail("made")

    def may_fail(self, method: str) -> None:
        type(self).calls += 1
        if method == self.when:
            raise ConnectionError("the tracker's server is away\nfor good")

    def scalars(self, images: int, step: int, values: Any) -> None:
        self.may_fail("scalars")

    def images(self, name: str, images: int, picture: Any) -> None:
        self.may_fail("images")

    def text(self, message: str) -> None:
        self.may_fail("text")

    def close(self) -> None:
        self.may_fail("close")


@pytest.mark.parametrize("when", ["made", "scalars", "images", "close"])
def test_a_tracker_that_fails_is_named_once_and_training_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], when: str
) -> None:
    broken = type("Broken", (Breaks,), {"when": when})
    run = trainer.fit(SMALL, 3, tmp_path / "run", "cpu", sinks=[broken])
    said = capsys.readouterr().err
    assert said.count("Broken failed") == 1
    assert "(the tracker's server is away for good) and is left out" in " ".join(said.split())
    assert run.status["state"] == "done"
    assert run.lines()[-1]["images"] == 640
    if when == "made":
        assert broken.calls == 1


def test_a_message_that_cannot_be_shown_leaves_the_sink_out_too(tmp_path: Path) -> None:
    fit(tmp_path / "run")
    run = Run(tmp_path / "run")
    broken = type("Broken", (Breaks,), {"when": "text"})
    out = Sinks([], [broken, broken], run)
    out.text("hello")
    assert out.open == []


@pytest.mark.parametrize("where", ["scalars", "images"])
def test_the_runs_own_files_are_no_tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Where these cannot be written any more, going on would be for nothing."""

    def full(*given: Any, **options: Any) -> None:
        raise UserError("No space left on device; free some")

    writer = {"scalars": "triptych.run.folder.Run.append", "images": "triptych.figures.canvas.save_picture"}
    monkeypatch.setattr(writer[where], full)
    with pytest.raises(UserError, match="No space left"):
        fit(tmp_path / "run")
    assert Run(tmp_path / "run").status["state"] == "failed"


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, Diverged])
def test_the_status_has_the_seconds_of_however_a_training_ended(tmp_path: Path, error: type[BaseException]) -> None:
    seconds = []

    class Ends(Observer):
        def stepped(self, state: State) -> None:
            if state.step == 5:
                seconds.append(state.seconds)
                raise error("enough")

    with pytest.raises(error):
        fit(tmp_path / "run", observers=[Ends()])
    status = Run(tmp_path / "run").status
    assert (status["images"], status["seconds"]) == (5 * TRAIN.batch, seconds[0])


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_sinks_are_closed_however_training_ends(
    tmp_path: Path, stranger: ModuleType, error: type[BaseException]
) -> None:
    class Ends(Observer):
        def stepped(self, state: State) -> None:
            if state.step == 5:
                raise error("enough")

    with pytest.raises(error):
        fit(tmp_path / "run", sinks=[stranger.Tracker], observers=[Ends()])
    assert (tmp_path / "run" / "tracker.txt").read_text().splitlines()[-1] == "closed"
    again = trainer.resume(tmp_path / "run", progress=False, sinks=[stranger.Tracker])
    assert (tmp_path / "run" / "tracker.txt").read_text().count("closed") == 2
    assert again.status["state"] == "done"


def state_of(recipe: Recipe) -> State:
    from triptych.data import load_spec

    data = load_spec(recipe.data)
    return State(recipe, recipe.model.build(data.shape), data, None, 0)


class Notes(Observer):
    def __init__(self, *every: int) -> None:
        super().__init__(*every)
        self.seen: list[int] = []

    def __call__(self, state: State, line: dict[str, Any]) -> None:
        self.seen.append(line["images"])


def test_all_look_at_the_start_and_the_end_and_each_at_its_own_cadence() -> None:
    state = state_of(SMALL)
    observers = [Notes(64), Notes(200), Notes(10**9), Notes(200, 300), Notes()]
    look(state, observers, 0)
    for _ in range(20):
        before = state.images
        next(state.batches)
        look(state, observers, before)
    assert [o.seen for o in observers] == [
        list(range(0, 641, 64)),
        [0, 224, 416, 608, 640],
        [0, 640],
        [0, 224, 320, 416, 608, 640],
        [],
    ]


def test_a_line_has_the_means_since_the_line_before() -> None:
    state = state_of(SMALL)
    state.accumulate({"a": torch.tensor(1.0), "b": 4})
    state.accumulate({"a": 3.0})
    line = state.line()
    assert (line["a"], line["b"]) == (2.0, 4.0)
    state.accumulate({"b": 7})
    line = state.line()
    assert line["b"] == 7
    assert "a" not in line


def test_the_jsonl_line_begins_with_where_the_run_stands(tmp_path: Path) -> None:
    run = fit(tmp_path / "run")
    JSONLines(run).scalars(700, 22, {"seconds": 1.0, "per_dim": [1.0, 2.0], "bad": None})
    last = json.loads((run.path / "metrics.jsonl").read_text().splitlines()[-1])
    assert list(last.items()) == [
        ("images", 700),
        ("step", 22),
        ("seconds", 1.0),
        ("per_dim", [1.0, 2.0]),
        ("bad", None),
    ]


def test_a_flow_of_pictures_ends_with_samples_at_a_lower_temperature_and_the_report_shows_them(tmp_path) -> None:
    glow = Recipe(
        DataSpec("glyphs", resolution=8, channels=1),
        Glow(levels=1, steps=1, width=4, dequantise="variational"),
        NLL(),
        Train(images=32, batch=8),
        name="small-glow",
    )
    run = trainer.fit(glow, 0, tmp_path / "run", "cpu", progress=False)
    (shown,) = sorted((run.path / "cooled").iterdir())
    assert shown.name == "000000032.png"
    model = run.load(device="cpu")
    both = torch.stack([model.sample(36, seed=0), model.sample(36, seed=0, temperature=0.7)], 1).flatten(0, 1)
    with Image.open(shown) as picture, tile(both, columns=12) as want:
        assert picture.convert("RGB").tobytes() == want.convert("RGB").tobytes()
    page = write_report([run.path], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "samples at a lower temperature" in page


def test_pictures_of_a_folder_of_classes_show_all_of_them(tmp_path: Path) -> None:
    """They are read a class after the other, and the first were shown."""
    for grey, name in ((20, "dark"), (200, "light")):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(80):
            Image.new("L", (8, 8), grey + i // 4).save(tmp_path / "set" / name / f"{i}.png")
    data = DataSpec(str(tmp_path / "set"), resolution=8, channels=1)
    train = Train(images=32, batch=16, evaluate=32, sample=32, checkpoint=32)
    run = trainer.fit(
        Recipe(data, MLPAutoencoder(width=8, depth=1), VAE(), train, "v"), 0, tmp_path / "run", progress=False
    )
    (real,) = (run.path / "real").iterdir()
    (*_, reconstructed) = sorted((run.path / "reconstructions").glob("*.png"))
    for file in (real, reconstructed):
        seen = Image.open(file).convert("L").histogram()
        dark, light = sum(seen[20:40]), sum(seen[200:220])
        assert 0.2 < dark / (dark + light) < 0.8
