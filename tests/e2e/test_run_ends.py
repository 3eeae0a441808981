"""Trainings that end early, by a kill, a signal, a divergence or a refusal: nothing is lost, nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from spoilt_runs import (
    GAN_RECIPE,
    TRAIN,
    copied,
    ends_alike,
    fit,
    flip,
    resume,
    tensors_of,
    trained,
    unfinish,
)

from triptych import trainer
from triptych.cli import main
from triptych.core import DataSpec, Recipe, Train
from triptych.errors import Diverged, Interrupted, UserError
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows.coupling import RealNVP
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.autoencoder import VAE
from triptych.objectives.flow import NLL
from triptych.objectives.gan import GAN
from triptych.run import Run, checkpoint, load
from triptych.system import files
from triptych.trainer import loop
from triptych.trainer.state import State

__all__ = ["copied", "trained"]  # fixtures


# ------------------------------------------------------------------------------------------------- log


def test_a_spoilt_line_in_the_middle_loses_that_line_alone(
    run: Run, whole: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    unfinish(run)
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    at = json.loads(lines[5])["images"]
    lines[3], lines[5], lines[6] = "{broken", lines[5].replace(f'"images": {at}', '"images": 99999'), '{"images": "x"}'
    (run.path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    resume(run.path)
    kept = [line["images"] for line in whole.lines()]
    assert [line["images"] for line in run.lines()] == [n for i, n in enumerate(kept) if i not in (3, 5, 6)]
    assert f"3 of {len(kept)} lines were spoilt" in capsys.readouterr().err


def test_the_log_is_on_the_disk_before_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, order = fit(tmp_path / "run", images=32), []
    monkeypatch.setattr(files, "sync", lambda path: order.append(Path(path).name))
    write = files.write_bytes
    monkeypatch.setattr(files, "write_bytes", lambda path, *given: (order.append(Path(path).name), write(path, *given)))
    run.save(64, {"model/x": torch.zeros(1)}, {"asked": {"recipe": {}, "seed": 0}})
    assert order == ["metrics.jsonl", "000000064.safetensors", "000000064.json"]


# ------------------------------------------------------------------------------------------------- best


@pytest.mark.parametrize("best", ["critic_loss", "-generator_loss"])
def test_a_kill_right_after_any_checkpoint_leaves_the_same_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: str
) -> None:
    uncut = fit(tmp_path / "uncut", best=best)
    write, at = checkpoint.write, 0
    for at in (160, 320, 480, 640):

        def killed(folder: Path, images: int, *given: Any, at: int = at) -> None:
            write(folder, images, *given)
            if images >= at:
                raise KeyboardInterrupt

        monkeypatch.setattr("triptych.run.checkpoint.write", killed)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / str(at), best=best)
        monkeypatch.undo()
        ends_alike(resume(tmp_path / str(at)), uncut)


def test_the_best_that_is_damaged_falls_back_to_the_best_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = fit(tmp_path / "run", best="-step")  # the last is always the best
    assert run.best == 640
    flip(tensors_of(run, 640), 5_000)
    assert torch.equal(run.load("best", "cpu").generator[0].weight, run.read(480)[0]["ema/generator.0.weight"])  # pyright: ignore
    assert "the checkpoint at 640 images is damaged" in capsys.readouterr().err


# -------------------------------------------------------------------------------------------- strays


def test_strays_are_swept_when_training_goes_on(run: Run, whole: Run) -> None:
    unfinish(run)
    strays = [
        run.path / ".status.json.part",
        run.path / f".eval.json.{'0' * 16}.part",
        run.folder / ".tmpAb3dE9",
        run.folder / f".000000640.safetensors.{'a' * 16}.part",
        run.folder / "000000320.safetensors",  # half of a checkpoint
        run.folder / "000000800.json",
        run.path / "samples" / f".000000640.png.{'f' * 16}.part",
    ]
    for stray in strays:
        stray.write_text("")
    ends_alike(resume(run.path), whole)
    assert not [s for s in strays if s.exists()]


def test_a_kill_while_the_folder_is_made_leaves_nothing_for_long(tmp_path: Path) -> None:
    code = (
        "import os, sys; from triptych.system import files\n"
        "with files.making_folder(sys.argv[1]) as part: (part / 'x').touch(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], check=False)
    (tmp_path / f".b.{'0' * 16}.part").mkdir()  # killed before it had a lock
    assert len(list(tmp_path.iterdir())) == 2
    with files.making_folder(tmp_path / "c"), files.making_folder(tmp_path / "d"):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c", "d"]


@pytest.mark.parametrize("at", ["files.sync_folder", "files.Path.rename", "files.shutil.rmtree", "files.Path.unlink"])
def test_a_kill_at_the_last_step_of_a_folder_or_while_it_is_removed_leaves_nothing(tmp_path: Path, at: str) -> None:
    fails = "1 / 0" if "rm" in at or "unlink" in at else "pass"
    code = (
        "import os, sys; from triptych.system import files\n"
        "with files.making_folder(sys.argv[1]) as part:\n"
        "    (part / 'in').mkdir(); (part / 'x').touch(); (part / 'in' / 'y').touch()\n"
        f"    {at} = lambda *_, **__: os._exit(9)\n"
        f"    {fails}"
    )
    status = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], check=False).returncode
    assert status == 9
    assert len(list(tmp_path.iterdir())) == 1
    assert files.sweep(tmp_path) == 1
    assert not list(tmp_path.iterdir())


def test_folders_that_version_0_1_left_unfinished_are_swept(tmp_path: Path) -> None:
    """They had no lock: only those that nobody can be at work on any more."""
    for name, hours in ((".run.4711.part", 2), (".run.4712.part", 0), (".other.4711.part", 2)):
        (tmp_path / name / "samples").mkdir(parents=True)
        os.utime(tmp_path / name, (time.time() - 3600 * hours,) * 2)
    fit(tmp_path / "run", images=32)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".other.4711.part", ".run.4712.part", "run"]


def test_checkpoints_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        run = fit(tmp_path / "run", images=32)
    finally:
        os.umask(before)
    assert {f.stat().st_mode & 0o777 for f in run.folder.iterdir()} == {0o664}


# ------------------------------------------------------------------------------------------- divergence


def test_an_infinite_gradient_norm_is_divergence(tmp_path: Path) -> None:
    """Clipped by it all gradients are 0, so that training stood still and ended well."""
    flow = Recipe(DataSpec("8gaussians"), RealNVP(layers=2, width=8), NLL(), replace(TRAIN, best="", clip=1.0, ema=0.0))
    with pytest.raises(Diverged, match="not finite"):
        fit(tmp_path / "run", flow, lr=1e10)
    assert Run(tmp_path / "run").status["state"] == "diverged"


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_norm_that_is_not_finite_stops_before_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *a, **k: torch.tensor(value))
    with pytest.raises(Diverged, match="loss or its gradient of the critic is not finite at 32 images"):
        fit(tmp_path / "run", clip=1.0)


# --------------------------------------------------------------------------------------- SIGTERM and Ctrl-C


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """In a shell's background job interrupts are ignored, and so they would be here."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
@pytest.mark.parametrize(
    ("number", "steps"),
    [(signal.SIGTERM, n) for n in (1, 7, 10, 13)] + [(signal.SIGINT, n) for n in (1, 10, 13)],
)
def test_a_signal_saves_between_two_steps_and_nothing_changes(
    whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, steps: int
) -> None:
    original, done = loop.step, 0

    def step(state: State) -> None:
        nonlocal done
        original(state)
        done += 1
        if done == steps:
            signal.raise_signal(number)

    monkeypatch.setattr(loop, "step", step)
    with pytest.raises((SystemExit, Interrupted)) as ended:
        fit(tmp_path / "run")
    monkeypatch.undo()
    if number == signal.SIGTERM:
        assert isinstance(ended.value, SystemExit)
        assert ended.value.code == 143
    else:
        assert str(ended.value).endswith(f"goes on from {32 * steps:,} images")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    run = Run(tmp_path / "run")
    assert run.status["state"] == "running"
    assert run.status["note"] == "interrupted"
    assert run.checkpoints()[-1] == 32 * steps
    ends_alike(resume(run.path), whole)


@pytest.mark.usefixtures("_interruptible")
def test_a_second_interrupt_leaves_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a step, or of a look that takes long: the last checkpoint is what is left."""
    original, done = loop.step, 0

    def step(state: State) -> None:
        nonlocal done
        original(state)
        done += 1
        if done == 7:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("it went on")

    monkeypatch.setattr(loop, "step", step)
    with pytest.raises(Interrupted, match="goes on from"):
        fit(tmp_path / "run")
    assert Run(tmp_path / "run").checkpoints()[-1] < 32 * 7


@pytest.mark.skipif(os.name == "nt", reason="signals end a process at once there")
def test_sigterm_from_outside_is_answered(tmp_path: Path) -> None:
    command = [
        "train",
        "gan-8gaussians",
        "--train.images",
        "100000000",
        "--train.checkpoint",
        "640",
        "--out",
        str(tmp_path / "run"),
    ]
    child = subprocess.Popen([sys.executable, "-m", "triptych", *command], stderr=subprocess.PIPE, text=True)
    while not list((tmp_path / "run" / "checkpoints").glob("*.json")) and child.poll() is None:
        time.sleep(0.01)
    time.sleep(0.2)
    child.terminate()
    _, said = child.communicate(timeout=60)
    assert child.returncode == 143
    assert "goes on from there" in " ".join(said.split())
    assert Run(tmp_path / "run").checkpoints()[-1] > 0


def test_a_handler_of_the_person_stays(tmp_path: Path) -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        mine = signal.getsignal(signal.SIGTERM)
        fit(tmp_path / "run", images=32)
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


# ------------------------------------------------------------------------------------------------ sizes


@pytest.mark.parametrize(
    ("model", "word"),
    [
        ({"width": 10**7}, r"model\.width is 10000000"),
        ({"depth": 10**7}, r"model\.depth is 10000000"),
        ({"latent": 2**62}, r"model\.latent"),
        ({"depth": 100_000, "width": 64}, "more than"),
        ({"depth": 2_000, "width": 4_096}, "more than"),
        ({"width": 1_000_000}, "more than"),
    ],
)
def test_absurd_sizes_are_refused_before_the_memory_is_taken(tmp_path: Path, model: dict[str, int], word: str) -> None:
    began = time.monotonic()
    with pytest.raises(UserError, match=word):
        fit(tmp_path / "run", replace(GAN_RECIPE, model=MLPGAN(**model)))
    assert time.monotonic() - began < 30
    assert not (tmp_path / "run").exists()


def test_an_absurd_size_in_a_run_folder_is_refused(run: Run) -> None:
    env = files.read_object(run.path / "env.json")
    for shape in ([10**9], [3, 20_000, 20_000], [0], [], ["2"], [2, 2, 2, 2]):
        files.write_json(run.path / "env.json", env | {"shape": shape})
        with pytest.raises(UserError, match="shape"):
            load(run.path)


# ------------------------------------------------------------------------------------------ small things


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("vae", [False, True])
def test_sets_of_a_few_pictures_train_to_their_end(tmp_path: Path, n: int, vae: bool) -> None:
    """What cannot be computed from so few is left out by name."""
    np.save(tmp_path / "few.npy", np.random.default_rng(n).integers(0, 255, (n, 16, 16, 1), np.uint8))
    data = DataSpec(str(tmp_path / "few.npy"))
    model, objective = (MLPAutoencoder(width=8), VAE()) if vae else (MLPGAN(width=8, depth=1), GAN())
    train = Train(images=32, batch=8, evaluate=16)
    told: list[str] = []
    run = trainer.fit(Recipe(data, model, objective, train), 0, tmp_path / "run", "cpu", announce=told.append)
    assert run.status["state"] == "done"
    (left_out,) = (text for text in told if "left out" in text)
    assert all(name in left_out for name in ("frechet", "kernel", "coverage"))


@pytest.mark.parametrize("command", ["--help", "data --help"])
def test_without_docstrings_and_asserts(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-OO", "-m", "triptych", *command.split()], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_numbers_that_are_not_finite_are_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"objective\.free_bits is inf"):
        trainer.fit(
            Recipe(DataSpec("8gaussians"), MLPAutoencoder(width=8), VAE(free_bits=float("inf")), Train(images=64)),
            out=tmp_path / "run",
            device="cpu",
        )
    assert not list(tmp_path.iterdir())


def test_a_run_whose_name_is_no_utf8_works_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(tmp_path / os.fsdecode(b"run\xe9"))
    asked = ["train", "gan-8gaussians", "--train.images", "512", "--out", run, "--device", "cpu"]
    out = str(tmp_path / "r.html")
    for argv in (asked, ["sample", run, "-n", "4"], ["resume", run], ["evaluate", run, "-n", "100"]):
        assert main(argv) == 0, capsys.readouterr().err
    assert main(["report", run, "--out", out]) == 0
