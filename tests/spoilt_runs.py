"""A small run, and copies of it to be spoilt."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save

from triptych import trainer
from triptych.core import DataSpec, Recipe, Train
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.gan import GAN
from triptych.run import Run, checkpoint, schema
from triptych.system import files

TRAIN = Train(images=640, batch=32, ema=0.9, log=64, evaluate=640, sample=640, checkpoint=160, best="critic_loss")
GAN_RECIPE = Recipe(DataSpec("8gaussians"), MLPGAN(width=8, depth=1), GAN(), TRAIN, name="small")


def fit(path: Path, recipe: Recipe = GAN_RECIPE, **changes: Any) -> Run:
    return trainer.fit(replace(recipe, train=replace(recipe.train, **changes)), 3, path, "cpu", progress=False)


def resume(path: Path) -> Run:
    return trainer.resume(path, progress=False)


@pytest.fixture(name="whole", scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fit(tmp_path_factory.mktemp("safety") / "whole")


@pytest.fixture(name="run")
def copied(whole: Run, tmp_path: Path) -> Run:
    """A copy of the finished run, to be spoilt."""
    schema.note.cache_clear()
    return Run(shutil.copytree(whole.path, tmp_path / "run"))


def unfinish(run: Run) -> None:
    run.set_status(state="running")


def log(run: Run) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k not in ("seconds", "evaluating")} for line in run.lines()]


def ends_alike(a: Run, b: Run) -> None:
    assert a.checkpoints() == b.checkpoints()
    assert a.best == b.best
    assert log(a) == log(b)
    for n in a.checkpoints():
        x, y = a.read(n)[0], b.read(n)[0]
        assert x.keys() == y.keys()
        assert all(torch.equal(x[k], y[k]) for k in x)


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= 4
    path.write_bytes(content)


def tensors_of(run: Run, images: int) -> Path:
    return checkpoint.tensors_file(run.folder, images)


def forge(run: Run, change: Any) -> None:
    """Change the tensors of every checkpoint and put the checksums right, as a stranger can."""
    for images in run.checkpoints():
        tensors, note = load_file(tensors_of(run, images)), checkpoint.read_note(run.folder, images)
        tensors = {k: v.clone() for k, v in tensors.items()}
        change(tensors)
        content = save(tensors)
        tensors_of(run, images).write_bytes(content)
        note |= {"bytes": len(content), "sha256": checkpoint.hashlib.sha256(content).hexdigest()}
        files.write_json(checkpoint.note_file(run.folder, images), checkpoint.sealed(note))
