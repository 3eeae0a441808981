"""Run folders for tests, made without training: real weights at their start, logs and results as told."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from triptych import figures
from triptych.core import Conditional, Data, DataSpec, Recipe, Sampler, Train, encode
from triptych.core.columns import Columns
from triptych.data import load_spec
from triptych.models.families import Autoencoder
from triptych.models.gans.mlp import MLPGAN
from triptych.models.gans.small_conv import ConvGAN
from triptych.objectives.gan import GAN, WGANGP
from triptych.report import write_report
from triptych.report.entries import gather
from triptych.report.table import Table, tables
from triptych.run import Run
from triptych.system import files
from triptych.trainer.quantities import logged

ENV = {"triptych": "0.1.0", "torch": "2.13.0", "device": "cpu", "threads": 1, "precision": "fp32", "processor": "a CPU"}


def toy_recipe(name: str = "gan-25gaussians", **train: Any) -> Recipe:
    objective = WGANGP(gp=0.1) if name.startswith("wgan-gp") else GAN()
    return Recipe(DataSpec("25gaussians"), MLPGAN(width=16), objective, Train(images=10_000, **train), name=name)


def picture_recipe(name: str = "gan-mnist", **train: Any) -> Recipe:
    return Recipe(DataSpec("mnist"), ConvGAN(latent=4, width=8), GAN(), Train(images=10_000, **train), name=name)


def make_run(
    path: Path,
    recipe: Recipe,
    seed: int = 0,
    *,
    values: dict[str, Any] | None = None,
    fingerprint: str | None = None,
    state: str = "done",
    alarms: tuple[str, ...] = (),
    points: int = 11,
    pictures: bool = True,
    shape: tuple[int, ...] | None = None,
    classes: tuple[str, ...] = (),
    given: Data | None = None,
    codes: torch.Tensor | None = None,
    old: bool = False,
) -> Run:
    """A finished run of `recipe`; `values` become eval.json (numbers, or whole entries), None leaves it out.

    `classes` are names, for a recipe with classes; a model of numbers knows the conditions of `given`. A second
    stage is fitted to `codes` (n, latent). An `old` run does not say what its numbers are; eval.json never does
    unless an entry of `values` is whole.
    """
    if shape is None:
        shape = (1, 28, 28) if recipe.data.name == "mnist" else (2,)
    torch.manual_seed(seed)
    model = recipe.model.build(shape)
    if given is not None:
        assert isinstance(model, Conditional)
        model.know_classes(given)
    if codes is not None:
        assert isinstance(model, Autoencoder)
        assert model.second is not None
        model.observe(codes, 0.0, torch.ones(()))
        model.second.fit(codes, seed)
    if fingerprint is None:  # a run opens its data by it
        fingerprint = "aaaa" if recipe.data.name == "mnist" else load_spec(recipe.data).fingerprint
    data = {"name": recipe.data.name, "split": "train", "fingerprint": fingerprint, "examples": 60_000}
    data |= {"given": Columns(given.condition_columns).told()} if given is not None else {}
    players = {k: sum(w.numel() for w in p.parameters()) for k, p in model.players.items()}
    run = Run.create(
        path,
        recipe,
        seed,
        ENV
        | {"seed": seed, "shape": list(shape), "data": data, "parameters": players, "test": None}
        | ({"classes": list(classes)} if classes else {})
        | ({} if old else {"quantities": {k: q.told() for k, q in logged(recipe.objective).items()}}),
    )
    budget = recipe.train.images
    for i in range(points):
        at = i * budget // max(points - 1, 1)
        loss = math.exp(-i / 4) + 0.05 * math.sin(i + seed)
        run.append({"images": at, "step": at // 256, "seconds": i * 1.0, "critic_loss": loss, "modes": min(25, 3 * i)})
        if pictures and isinstance(model, Sampler) and i % 5 == 0:
            target = run.path / "samples" / f"{at:09d}.png"
            if len(shape) == 3:
                figures.grid(model.sample(16, seed=0), target)
            else:
                figures.plane(model.sample(200, seed=0), torch.randn(300, 2), target)
    meta = {"asked": {"recipe": encode(recipe), "seed": seed}}
    run.save(budget, {f"model/{k}": v for k, v in model.state_dict().items()}, meta)
    run.set_status(state=state, images=budget, seconds=10.0 + seed, alarms=list(alarms))
    if values is not None:
        entry = {"n": 2500, "extractor": None, "resize": None, "seed": 0, "dtype": "float64", "floor": None, "note": ""}
        full = {k: entry | (v if isinstance(v, dict) else {"value": v}) for k, v in values.items()}
        files.write_json(path / "eval.json", full)
    return Run(path)


def named(recipe: Recipe, name: str) -> Recipe:
    return replace(recipe, name=name)


def study_of(folder: Path, *runs) -> Path:
    """A study.json in `folder` of these runs and of a lost one."""
    rows = [{"run": r.name, "recipe": r.recipe.name, "seed": r.seed, "state": "done", "message": ""} for r in runs]
    rows.append({"run": "lost", "recipe": "lost", "seed": 0, "state": "failed", "message": "no"})
    files.write_json(
        folder / "study.json", {"name": "tiny", "about": "Who?", "seeds": 2, "samples": None, "runs": rows}
    )
    return folder


def page_of(runs: list[Run], tmp_path: Path) -> tuple[str, list[dict[str, str]]]:
    """A report of runs: its text, and the rows of its numbers."""
    out = write_report([r.path for r in runs], tmp_path / "page" / "report.html")
    text, numbers = (f.read_text(encoding="utf-8") for f in (out, out.with_suffix(".csv")))
    return text, list(csv.DictReader(numbers.splitlines()))


def group(tmp_path: Path, name: str, values: list[Any], metric: str = "high_quality", **more: Any) -> list[Run]:
    """A run for each value of a metric, seeds of one recipe."""
    recipe = toy_recipe(name)
    return [
        make_run(tmp_path / f"{name}-{i}", recipe, i, values={metric: v}, pictures=False, **more)
        for i, v in enumerate(values)
    ]


def only_table(runs: list[Run]) -> Table:
    """The table that all of them share."""
    (table,) = tables(gather([r.path for r in runs])[0])
    return table
