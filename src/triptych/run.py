"""A `Run`: the folder that one training leaves behind. Plain formats, no pickle, whole at every moment."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from triptych.core import Data, Model, Recipe, Split, decode, encode
from triptych.errors import UserError

Which = Literal["last", "best"]
KEEP = 2
"""Checkpoints kept beside the best."""


def plain(value: Any) -> Any:
    """As JSON knows it: it has no NaN and no infinity, so they become null."""
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: Path, value: Any) -> None:
    """Atomically: a reader, or a kill, meets the old file or the new one."""
    part = path.with_name(f".{path.name}.part")
    with part.open("w") as f:
        json.dump(plain(value), f, indent=2, allow_nan=False)
        f.write("\n")
        f.flush()
        os.fsync(f.fileno())
    part.replace(path)


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (ValueError, UnicodeDecodeError) as e:
        raise UserError(f"{path} is not valid JSON ({e}); restore it from a copy") from e


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON of each whole line; a torn last one is left out, and where there is no file there are none."""
    found = []
    for text in path.read_text().splitlines() if path.is_file() else []:
        try:
            found.append(json.loads(text))
        except ValueError:
            break
    return found


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Where two JSON values differ, a line each: `train.lr: 0.0002 became 0.001`."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in [*old, *(k for k in new if k not in old)]:
            found += differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
        return found
    return [] if old == new else [f"{path}: {json.dumps(old)} became {json.dumps(new)}"]


class Run:
    """One run folder. `Run(path)` opens an existing one."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise UserError(f"{self.path} does not exist; give the folder of a run")
        if not (self.path / "recipe.json").is_file():
            raise UserError(f"{self.path} is not a run: it has no recipe.json; give a folder made by `triptych train`")
        self.asked: dict[str, Any] = read_json(self.path / "recipe.json")
        try:
            recipe = decode(self.asked["recipe"])
            self.seed: int = self.asked["seed"]
        except (KeyError, TypeError) as e:
            raise UserError(f"{self.path / 'recipe.json'} was not written by triptych ({e})") from e
        if not isinstance(recipe, Recipe):
            raise UserError(f"{self.path / 'recipe.json'} holds no recipe")
        self.recipe: Recipe = recipe

    @classmethod
    def create(cls, path: str | Path, recipe: Recipe, seed: int, env: Mapping[str, Any]) -> Run:
        """A new run folder, which appears whole or not at all. UserError when the place is taken."""
        path = Path(path)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            hint = f"`triptych resume {path}` continues it, " if (path / "recipe.json").exists() else ""
            raise UserError(f"{path} exists already; {hint}--out NAME starts elsewhere")
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        for folder in ("checkpoints", "samples"):
            (part / folder).mkdir()
        write_json(part / "recipe.json", {"recipe": encode(recipe), "seed": seed})
        write_json(part / "env.json", dict(env))
        write_json(part / "status.json", {"state": "running", "images": 0, "budget": recipe.train.images, "alarms": []})
        (part / "metrics.jsonl").touch()
        if path.exists():
            path.rmdir()
        part.rename(path)
        return cls(path)

    # ------------------------------------------------------------------------------ small files

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def env(self) -> dict[str, Any]:
        return read_json(self.path / "env.json")

    @property
    def status(self) -> dict[str, Any]:
        return read_json(self.path / "status.json")

    def set_status(self, **fields: Any) -> None:
        write_json(self.path / "status.json", {**self.status, **fields})

    def lines(self) -> list[dict[str, Any]]:
        """The whole lines of metrics.jsonl; a torn last line is left out."""
        return read_lines(self.path / "metrics.jsonl")

    def append(self, line: Mapping[str, Any]) -> None:
        with (self.path / "metrics.jsonl").open("a") as f:
            f.write(json.dumps(plain(line), allow_nan=False) + "\n")

    def truncate(self, images: int) -> None:
        """Drop what was logged after `images`: training goes on from there."""
        kept = [json.dumps(line) + "\n" for line in self.lines() if line["images"] <= images]
        part = self.path / ".metrics.jsonl.part"
        part.write_text("".join(kept))
        part.replace(self.path / "metrics.jsonl")

    def set_numbers_aside(self) -> bool:
        """Rename an eval.json that no longer stands for this run; whether there was one."""
        file = self.path / "eval.json"
        if file.exists():
            file.replace(self.path / "eval-old.json")
            return True
        return False

    # ------------------------------------------------------------------------------ checkpoints

    def checkpoints(self) -> list[int]:
        """Image counts of the whole checkpoints, ascending."""
        found = (self.path / "checkpoints").glob("*.safetensors")
        return sorted(int(f.stem) for f in found if f.stem.isdigit() and f.with_suffix(".json").exists())

    @property
    def best(self) -> int | None:
        """Image count of the best checkpoint, where the recipe chooses one."""
        file = self.path / "checkpoints" / "best.json"
        return read_json(file)["images"] if file.exists() else None

    def save(self, images: int, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Write a checkpoint, then drop the old ones. A full disk leaves the previous one whole."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        folder = self.path / "checkpoints"
        target = folder / f"{images:09d}.safetensors"
        part = folder / f".{target.name}.part"
        try:
            save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, part)
            with part.open("rb+") as f:
                os.fsync(f.fileno())
            write_json(target.with_suffix(".json"), {"images": images, "bytes": part.stat().st_size, **meta})
            part.replace(target)
        except (OSError, SafetensorError) as e:
            part.unlink(missing_ok=True)
            raise UserError(
                f"the checkpoint at {images} images could not be written ({e}); free some disk, then "
                f"`triptych resume {self.path}` continues from the one before"
            ) from e
        kept = {*self.checkpoints()[-KEEP:], self.best}
        for old in self.checkpoints():
            if old not in kept:
                (folder / f"{old:09d}.safetensors").unlink()
                (folder / f"{old:09d}.json").unlink()

    def choose_best(self, images: int, line: Mapping[str, Any]) -> None:
        """Remember the checkpoint at `images` if its line is the best so far by the recipe's metric."""
        best = self.recipe.train.best
        name = best.removeprefix("-")
        if not name or not math.isfinite(value := line.get(name, math.nan)):
            return
        sign = -1 if best.startswith("-") else 1
        file = self.path / "checkpoints" / "best.json"
        if not file.exists() or sign * value < sign * read_json(file)["value"]:
            write_json(file, {"images": images, "metric": name, "value": value})

    def read(self, images: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and notes of one checkpoint."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        file = self.path / "checkpoints" / f"{images:09d}.safetensors"
        meta = read_json(file.with_suffix(".json"))
        if not isinstance(meta, dict) or meta.get("format") != "triptych":
            raise UserError(f"{file} is not a checkpoint of triptych; remove it, and the one before is used")
        try:
            if file.stat().st_size != meta["bytes"]:
                raise UserError(f"{file} has {file.stat().st_size} bytes, not {meta['bytes']}; remove it and try again")
            return load_file(file), meta
        except SafetensorError as e:
            raise UserError(f"{file} cannot be read ({e}); remove it, and the one before is used") from e

    # ------------------------------------------------------------------------------ the trained model

    def data(self, split: Split | None = None, where: str | None = None) -> Data:
        """The data this run was trained on, as they were prepared; read from `where` when they have moved.

        UserError where other examples than the run's own are found.
        """
        from triptych import run_data

        return run_data.own(self, where).load(split)

    def shape(self) -> tuple[int, ...]:
        return tuple(self.env["shape"])

    def load(self, which: Which = "last", device: str = "auto") -> Model:
        """The trained model, in eval mode: averaged weights for the sampling players where the run has them.

        UserError without a checkpoint, and for `best` where no metric has chosen one.
        """
        from triptych.runtime import pick_device, place

        saved = self.checkpoints()
        if not saved:
            raise UserError(f"{self.path} has no checkpoint yet; `triptych resume {self.path}` goes on with it")
        images = self.best if which == "best" else saved[-1]
        if images is None:
            raise UserError(
                f"{self.path} keeps no best checkpoint; leave --which out, or train with --train.best METRIC"
            )
        tensors, _ = self.read(images)
        model = self.recipe.model.build(self.shape())
        state = part(tensors, "model") | part(tensors, "ema") | part(tensors, "ema-statistics")
        try:
            model.load_state_dict(state)
        except RuntimeError as e:
            raise UserError(f"the checkpoint at {images} images does not fit the model of recipe.json ({e})") from e
        place(model, pick_device(device), "fp32")
        return model.eval()


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries below `prefix/`, without it."""
    return {k.removeprefix(f"{prefix}/"): v for k, v in tensors.items() if k.startswith(f"{prefix}/")}


def load(run: str | Path, device: str = "auto", which: Which = "last") -> Model:
    """The trained model of a run folder, ready to `sample`, and where it can, `encode`, `decode`, `log_prob`."""
    return Run(run).load(which, device)


def fresh(path: Path) -> Path:
    """`path`, or the first of path-2, path-3, ... that is not taken."""
    candidate, k = path, 2
    while candidate.exists():
        candidate, k = path.with_name(f"{path.name}-{k}"), k + 1
    return candidate


__all__ = ["Run", "load"]
