"""Early stopping: a training ends once `train.best` came no better for so many images, and is whole then."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.trials import ranks
from triptych.core import DataSpec, Recipe, Train
from triptych.errors import Interrupted, UserError
from triptych.models.autoencoders import MLPAutoencoder
from triptych.objectives.autoencoder import VAE
from triptych.recipes import recommend
from triptych.run import Run
from triptych.trainer import fit, resume
from triptych.trainer.observer import Observer
from triptych.trainer.state import State

TRAIN = Train(images=1280, batch=32, ema=0.9, log=64, evaluate=160, checkpoint=160, sample=640, best="step")
WORSE = Recipe(  # the number of steps is least at the beginning, and never again
    DataSpec("8gaussians"), MLPAutoencoder(width=8, depth=1, codes="mixture"), VAE(), replace(TRAIN, patience=300)
)
END = 320 + 32
"""The first checkpoint at which the patience is over, and the last step."""
TIMED = ("seconds", "evaluating", "codes_seconds")


class Cut(Observer):
    """A kill after the step that comes to so many images."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def stepped(self, state: State) -> None:
        if state.images == self.at:
            raise KeyboardInterrupt


def trained(recipe: Recipe, out: Path, *observers: Observer) -> Run:
    return fit(recipe, 0, out, "cpu", progress=False, observers=observers)


def untimed(run: Run) -> list[dict[str, object]]:
    return [{k: v for k, v in line.items() if k not in TIMED} for line in run.lines()]


@pytest.fixture(scope="module")
def early(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(WORSE, tmp_path_factory.mktemp("patience") / "early")


def test_everything_of_an_end_is_there(early: Run) -> None:
    status, lines = early.status, early.lines()
    assert (status["state"], status["images"], status["budget"]) == ("done", END, 1280)
    assert early.best == 0
    assert early.checkpoints()[-1] == lines[-1]["images"] == END
    assert (early.path / "samples" / f"{END:09d}.png").is_file()
    assert (early.path / "samples" / "animation.webp").is_file()
    assert "codes_nll" in lines[-1]  # of the mixture that is fitted to the codes at the end


def test_a_finished_one_stays_as_it_is(early: Run) -> None:
    before = {p: p.stat().st_mtime_ns for p in early.path.rglob("*") if p.is_file() and p.name != ".lock"}
    assert resume(early, progress=False).status["images"] == END
    assert before == {p: p.stat().st_mtime_ns for p in before}


def test_what_keeps_getting_better_goes_to_the_end(tmp_path: Path) -> None:
    better = replace(WORSE, train=replace(WORSE.train, best="-step"))
    assert trained(better, tmp_path / "run").status["images"] == 1280


def test_patience_counts_from_the_best(tmp_path: Path) -> None:
    """Samples grow alike at first, so that the best is a later one; the end is the first checkpoint far from it."""
    recipe = replace(WORSE, train=replace(WORSE.train, best="diversity", images=1600))
    run = trained(recipe, tmp_path / "run")
    lines = [line for line in run.lines() if line["images"] % 160 == 0]
    best, ends = None, None
    for line in lines:
        if best is None or line["diversity"] < best[1]:
            best = line["images"], line["diversity"]
        elif line["images"] - best[0] >= 300:
            ends = line["images"] + 32
            break
    assert run.status["images"] == (ends or 1600)


def test_between_two_evaluations_nothing_is_known(tmp_path: Path) -> None:
    recipe = replace(WORSE, train=replace(WORSE.train, best="diversity", evaluate=640))
    assert trained(recipe, tmp_path / "run").status["images"] >= 640


@pytest.mark.parametrize("at", [160, 224, 320, 352])
def test_a_kill_changes_nothing(early: Run, tmp_path: Path, at: int) -> None:
    with pytest.raises(Interrupted):
        trained(WORSE, tmp_path / "run", Cut(at))
    run = resume(tmp_path / "run", progress=False)
    assert run.status["images"] == END
    assert untimed(run) == untimed(early)
    a, b = run.read(END)[0], early.read(END)[0]
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_it_goes_on_when_asked_to(early: Run, tmp_path: Path) -> None:
    run = trained(WORSE, tmp_path / "run")
    assert resume(run, images=2000, progress=False).status["images"] == 480 + 32  # the next checkpoint, and a step
    assert Run(run.path).finished
    images = [line["images"] for line in run.lines()]
    assert images == sorted(set(images))


def test_a_kill_on_the_way_to_another_budget_does_not_end_it(tmp_path: Path) -> None:
    run = trained(WORSE, tmp_path / "run")
    with pytest.raises(Interrupted):
        resume(run, images=2000, progress=False, observers=[Cut(END + 64)])
    assert resume(run, progress=False).status["images"] == 480 + 32


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"best": ""}, "train.patience is 300, and no metric is named that it waits for"),
        ({"patience": -1}, "train.patience is -1; it must be a finite number, 0 or more"),
    ],
)
def test_refused_before_anything_is_written(tmp_path: Path, changed: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        trained(replace(WORSE, train=replace(WORSE.train, **changed)), tmp_path / "run")  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_two_ranks_end_together(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["gan-8gaussians", "--train.images", "5120", "--train.batch", "64", "--train.checkpoint", "512"]
    words += ["--train.evaluate", "512", "--train.best", "step", "--train.patience", "1024", "--out", str(run)]
    processes = ranks.launched(["-m", "triptych", "train", *words], 2)
    told = [p.communicate(timeout=300) for p in processes]
    assert [p.returncode for p in processes] == [0, 0], told
    assert json.loads((run / "status.json").read_text())["images"] == 1024 + 128


def test_a_table_that_is_memorised_ends_early(tmp_path: Path) -> None:
    """Columns that have nothing to do with each other: all that is learned of pairs is learned by heart."""
    generator = torch.Generator().manual_seed(0)
    columns = torch.randn(300, 6, generator=generator)
    text = "\n".join(",".join(f"{v:.3f}" for v in row) for row in columns.tolist())
    (tmp_path / "noise.csv").write_text("a,b,c,d,e,f\n" + text + "\n")
    recipe, why = recommend(DataSpec(str(tmp_path / "noise.csv")))
    assert "training ends before that once held-out rows become no likelier" in why
    run = trained(recipe, tmp_path / "run")
    nll = {line["images"]: line["nll"] for line in run.lines() if "nll" in line}
    assert run.status["images"] < recipe.train.images / 2
    assert run.best is not None
    assert nll[run.best] == min(nll.values())
    assert list(nll.values())[-1] < nll[run.best] + 0.5
