"""A run's life: what is left behind, resuming bit for bit, and everything that can cut it off."""

from __future__ import annotations

import dataclasses
import errno
import importlib.util
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import SMALL, final, fit, same

from triptych import trainer
from triptych.cli import main
from triptych.core import ModelSpec, discover
from triptych.errors import UserError
from triptych.objectives.gan import WGAN
from triptych.run import Run, load
from triptych.study.jobs import Job
from triptych.system import files
from triptych.system.files import write_json
from triptych.trainer import loop, observe, start
from triptych.trainer.state import State


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fit(tmp_path_factory.mktemp("runs") / "whole")


def test_leaves_a_whole_folder(whole: Run) -> None:
    assert whole.status["state"] == "done"
    assert whole.status["images"] == 6_400
    assert whole.checkpoints() == [4_800, 6_400]
    assert (whole.path / "samples" / "000000000.png").exists()
    assert (whole.path / "samples" / "000006400.png").exists()
    images = [line["images"] for line in whole.lines()]
    assert images == sorted(set(images))
    assert images[0] == 0
    assert images[-1] == 6_400
    assert {"critic_loss", "generator_loss", "modes", "high_quality"} <= whole.lines()[-1].keys()
    assert not list(whole.path.rglob(".*.part"))


def test_loads_with_averaged_weights(whole: Run) -> None:
    model = load(whole.path, device="cpu")
    tensors = final(whole)
    assert set(model.players) == {"generator", "critic"}
    assert not model.training
    for k, v in model.state_dict().items():
        assert torch.equal(v, tensors.get(f"ema/{k}", tensors[f"model/{k}"]))
    assert any(
        not torch.equal(tensors[k], tensors[k.replace("ema/", "model/")]) for k in tensors if k.startswith("ema/")
    )
    assert torch.allclose(model.sample(50, seed=1), model.sample(50, seed=1, batch=7), atol=1e-6)


def test_cadence_of_looking_changes_nothing(whole: Run, tmp_path: Path) -> None:
    often = fit(tmp_path / "often", evaluate=640, sample=3_200, log=64)
    assert same(whole, often)


@pytest.mark.parametrize("steps", [1, 37, 70])
def test_resume_is_bit_exact(whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    original, done = loop.step, 0

    def cut(state: State) -> None:
        nonlocal done
        if done == steps:
            raise KeyboardInterrupt
        done += 1
        original(state)

    monkeypatch.setattr(loop, "step", cut)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "cut")
    monkeypatch.undo()
    torch.rand(5)
    resumed = trainer.resume(tmp_path / "cut", progress=False)
    assert same(whole, resumed)
    keys = {"seconds", "evaluating"}
    assert [{k: v for k, v in line.items() if k not in keys} for line in resumed.lines()] == [
        {k: v for k, v in line.items() if k not in keys} for line in whole.lines()
    ]


def test_kill_and_resume(whole: Run, tmp_path: Path) -> None:
    """kill −9 while it trains, wherever that is; the resumed run ends with the same weights."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); import small_runs; from pathlib import Path;"
        "small_runs.fit(Path(sys.argv[1]))"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "killed"), str(Path(__file__).parents[1])])
    while len(list((tmp_path / "killed").glob("checkpoints/*.safetensors"))) < 2 and child.poll() is None:
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    with (tmp_path / "killed" / "metrics.jsonl").open("a") as f:
        f.write('{"images": 99, "torn')
    assert same(whole, trainer.resume(tmp_path / "killed", progress=False))


def test_a_run_cut_before_its_first_checkpoint_starts_again(whole: Run, tmp_path: Path) -> None:
    run = fit(tmp_path / "early")
    for file in (run.path / "checkpoints").iterdir():
        file.unlink()
    run.set_status(state="running", images=0)
    assert same(whole, trainer.resume(run.path, progress=False))


def test_finished_run_is_left_as_it_is(whole: Run) -> None:
    before = (whole.path / "metrics.jsonl").read_bytes()
    trainer.resume(whole.path)
    assert (whole.path / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize("state", ["done", "running", "diverged"])
def test_a_run_whose_checkpoints_are_gone_is_refused(whole: Run, tmp_path: Path, state: str) -> None:
    """Beginning again would lose the log."""
    shutil.copytree(whole.path, tmp_path / "gone")
    run = Run(tmp_path / "gone")
    run.set_status(state=state)
    shutil.rmtree(run.path / "checkpoints")
    before = (run.path / "metrics.jsonl").read_bytes()
    assert main(["resume", str(run.path)]) == 2
    with pytest.raises(UserError, match=r"trained on 6400 images and its checkpoints are gone; put them back"):
        trainer.resume(run.path)
    assert (run.path / "metrics.jsonl").read_bytes() == before


def test_a_run_is_trained_by_one_process_at_a_time(tmp_path: Path) -> None:
    """And a kill of that process lets go of the run."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); import small_runs; from pathlib import Path;"
        "small_runs.fit(Path(sys.argv[1]), images=10**9, checkpoint=320, evaluate=10**9, sample=10**9)"
    )
    path = tmp_path / "busy"
    child = subprocess.Popen([sys.executable, "-c", code, str(path), str(Path(__file__).parents[1])])
    while len(list(path.glob("checkpoints/*.safetensors"))) < 2 and child.poll() is None:
        time.sleep(0.002)
    try:
        with pytest.raises(UserError, match="is being trained by another process; wait for it, or end it"):
            trainer.resume(path, progress=False)
    finally:
        child.kill()
        child.wait()
    with start.training_lock(Run(path)):
        pass


@pytest.mark.skipif(os.name == "nt", reason="Windows locks otherwise")
def test_a_file_system_without_locks_trains_all_the_same(whole: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*given: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", flock)
    with start.training_lock(whole):
        pass


def test_numbers_of_earlier_weights_are_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An evaluation of a cut run is not taken for that of the finished one; one of the last checkpoint stays."""
    original = observe.Checkpoint.save

    def cut(self: observe.Checkpoint, state: State, line: dict[str, Any]) -> None:
        original(self, state, line)
        if state.images >= 1_600:
            raise KeyboardInterrupt

    monkeypatch.setattr(observe.Checkpoint, "save", cut)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "cut")
    run, job = Run(tmp_path / "cut"), Job(SMALL, 3, tmp_path / "cut")
    write_json(run.path / "eval.json", {"modes": {"value": 1}})
    monkeypatch.undo()
    trainer.resume(run.path)
    assert "eval.json was of earlier weights and is now eval-old.json" in capsys.readouterr().err
    assert not (run.path / "eval.json").exists()
    assert (run.path / "eval-old.json").exists()
    assert run.status["state"] == "done"
    assert not job.done
    write_json(run.path / "eval.json", {"modes": {"value": 8}})
    run.set_status(state="running")
    assert trainer.resume(run.path, progress=False).status["state"] == "done"
    assert job.done


def test_edited_recipe_is_refused_and_named(tmp_path: Path) -> None:
    run = fit(tmp_path / "edited", images=1_600)
    asked = json.loads((run.path / "recipe.json").read_text())
    asked["recipe"]["train"]["lr"] = 0.5
    (run.path / "recipe.json").write_text(json.dumps(asked))
    with pytest.raises(UserError, match=r"train\.lr: 0\.0002 became 0\.5"):
        trainer.resume(run.path)


def test_a_place_that_is_taken_is_refused(whole: Run) -> None:
    with pytest.raises(UserError, match="exists already"):
        fit(whole.path)


def test_pictures_come_with_each_checkpoint(tmp_path: Path) -> None:
    run = fit(tmp_path / "pictures", images=1_600, evaluate=1_600, checkpoint=400, sample=0)
    assert [int(f.stem) for f in sorted((run.path / "samples").glob("*.png"))] == [0, 448, 832, 1_216, 1_600]


@pytest.mark.parametrize("state", ["failed", "running"])
def test_full_disk_leaves_the_previous_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    """`running`: not even the status can be written any more, which must not hide the reason."""
    original, calls = files.write_bytes, 0

    def full(path: Path, *given: Any) -> None:
        nonlocal calls
        calls += path.suffix == ".safetensors"
        if calls == 3 and (state == "running" or path.suffix == ".safetensors"):
            raise OSError(28, "No space left on device")
        original(path, *given)

    monkeypatch.setattr(files, "write_bytes", full)
    with pytest.raises(UserError, match="free some disk"):
        fit(tmp_path / "full")
    run = Run(tmp_path / "full")
    assert run.checkpoints() == [0, 1_600]
    assert run.status["state"] == state
    monkeypatch.undo()
    assert trainer.resume(run.path, progress=False).status["state"] == "done"


def test_a_checkpoint_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    run = fit(tmp_path / "foreign", images=1_600)
    for file in (run.path / "checkpoints").glob("*.safetensors"):
        save_file({"other": torch.zeros(3)}, file)
    with pytest.raises(UserError, match="bytes"):
        load(run.path)
    for file in (run.path / "checkpoints").glob("*.json"):
        file.write_text("{}")
    with pytest.raises(UserError, match="not a checkpoint of triptych"):
        load(run.path)


def test_wgan_weights_stay_clipped(tmp_path: Path) -> None:
    run = fit(tmp_path / "clipped", dataclasses.replace(SMALL, objective=WGAN(clip=0.03)), images=1_600, lr=0.01)
    weights = [v for k, v in final(run).items() if k.startswith("model/critic")]
    assert max(w.abs().max().item() for w in weights) <= 0.03 + 1e-9


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"images": 0}, "train.images"),
        ({"batch": 10**9}, "train.batch"),
        ({"batch": -1}, "train.batch"),
        ({"ema": 1.0}, "train.ema"),
    ],
)
def test_impossible_settings_are_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(UserError, match=named):
        fit(tmp_path / "no", **changes)
    assert not (tmp_path / "no").exists()


def test_a_best_that_is_never_logged_ends_the_run_at_its_first_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train\.best names 'recall', which is not in the log; .*critic_loss, .*modes"):
        fit(tmp_path / "unknown", best="-recall")
    assert Run(tmp_path / "unknown").status["images"] < 1_600
    run = fit(tmp_path / "loss", images=1_600, best="critic_loss")
    assert run.best in run.checkpoints()


def test_held_out_numbers_are_of_the_weights_that_load_gives(tmp_path: Path) -> None:
    from triptych import recipes

    recipe = recipes.get("realnvp-8gaussians")
    recipe = dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, layers=2, width=8))
    run = fit(tmp_path / "flow", recipe, images=6_400, batch=64, ema=0.99, evaluate=6_400, lr=1e-2)
    model, test = run.load(device="cpu"), run.data("test")
    with torch.no_grad():
        spread = -model.log_prob(test.x[: observe.VALIDATED])
    assert run.lines()[-1]["nll_se"] == pytest.approx(spread.std().item() / math.sqrt(len(spread)), rel=1e-4)


def test_what_is_not_finite_is_null_in_the_files(tmp_path: Path) -> None:
    """NaN is no JSON, and browsers refuse it."""
    run = Run.create(tmp_path / "run", SMALL, 0, {})
    run.append({"images": 0, "nll": math.nan, "kl_per_dim": [1.0, math.inf]})
    write_json(tmp_path / "eval.json", {"fid": {"value": math.nan}})
    for text in ((run.path / "metrics.jsonl").read_text(), (tmp_path / "eval.json").read_text()):
        json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in a file"))
    assert run.lines() == [{"images": 0, "nll": None, "kl_per_dim": [1.0, None]}]


def sizes() -> Iterator[tuple[type[ModelSpec], str]]:
    for spec in discover("models", ModelSpec).values():
        if importlib.util.find_spec("zuko") is None and spec.__module__.endswith("zuko"):
            continue
        for field in dataclasses.fields(spec):
            number = isinstance(field.default, int | float) and not isinstance(field.default, bool)
            if number and field.default and field.name != "guidance":  # a weight, which only models with classes have
                yield spec, field.name


@pytest.mark.parametrize(("spec", "name"), list(sizes()), ids=lambda v: v if isinstance(v, str) else v.__name__)
@pytest.mark.parametrize("value", [0, -1])
def test_no_model_has_a_size_of_nothing(spec: type[ModelSpec], name: str, value: int) -> None:
    with pytest.raises(UserError, match=rf"model\.{name} is {value}; it must be"):
        spec(**{name: value})
