"""A `Run`: the folder that one training leaves behind. Plain formats, no pickle, whole at every moment."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from triptych.core import Conditional, Data, Model, Recipe, Split, conditions, encode
from triptych.core.columns import Column, Columns, read_back
from triptych.core.frame import frame
from triptych.core.model import Stepwise
from triptych.errors import UserError
from triptych.run import best, checkpoint, given_away, json_types, plugins, schema, shown
from triptych.run.addresses import Place, local
from triptych.run.given_away import PUBLISHED
from triptych.system import files
from triptych.system.refusals import refuse_unwritable
from triptych.system.shell import shell

Which = Literal["last", "best"]


def read_status(folder: Path) -> dict[str, Any]:
    """status.json of a run folder; where it is gone or wrong, what log and checkpoints tell, and that is said."""
    try:
        return schema.read_status(folder)
    except (UserError, OSError) as e:
        budget = schema.read_asked(folder)["recipe"]["train"]["images"]
        lines, _ = schema.read_log(folder)
        last = lines[-1] if lines else {"images": 0}
        saved = checkpoint.counts(folder / "checkpoints")
        state = "done" if saved and min(saved[-1], last["images"]) >= budget else "running"
        status = {"state": state, "images": last["images"], "budget": budget, "alarms": []}
        schema.note(f"{e}: taken from the log instead, the run is {status['state']} at {status['images']} images")
        return status | {k: last[k] for k in ("seconds",) if json_types.is_number(last.get(k))}


ELSEWHERE = "--out NAME starts elsewhere"


def check_free(path: Path) -> None:
    """UserError where no new run folder can be made: the place is taken, or nothing can be written there."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        hint = f"`{shell('triptych', 'resume', str(path))}` continues it, " if (path / "recipe.json").exists() else ""
        raise UserError(f"{path} exists already; {hint}{ELSEWHERE}")
    refuse_unwritable(path, ELSEWHERE, folder=True)


class Run:
    """One run folder. `Run(path)` opens an existing one; an address, `zoo:NAME` or `hub:OWNER/NAME`, fetches it."""

    def __init__(self, path: Place) -> None:
        self.path = local(path)
        if not self.path.exists():
            raise UserError(f"{self.path} does not exist; give the folder of a run")
        schema.check_places(self.path)
        if not (self.path / "recipe.json").is_file():
            raise UserError(f"{self.path} is not a run: it has no recipe.json; give a folder made by `triptych train`")
        self.recipe: Recipe
        self.recipe, self.seed = schema.read_recipe(self.path)

    def __fspath__(self) -> str:
        return str(self.path)

    @classmethod
    def elsewhere(cls, path: str | Path, recipe: Recipe, seed: int) -> Run:
        """The run that another process makes, perhaps on another machine: nothing of it is read."""
        run = cls.__new__(cls)
        run.path, run.recipe, run.seed = Path(path), recipe, seed
        return run

    @classmethod
    def create(cls, path: str | Path, recipe: Recipe, seed: int, env: Mapping[str, Any]) -> Run:
        """A new run folder, which appears whole or not at all. UserError when the place is taken."""
        path = Path(path)
        check_free(path)
        asked: dict[str, Any] = {"format": schema.FORMAT, "recipe": encode(recipe), "seed": seed}
        if needs := plugins.needed(recipe):
            asked["plugins"] = needs
        status = {"state": "running", "images": 0, "budget": recipe.train.images, "alarms": []}
        _sweep_old_parts(path)
        with files.making_folder(path, ELSEWHERE) as part:
            for folder in ("checkpoints", "samples"):
                (part / folder).mkdir()
            files.write_json(part / "recipe.json", asked)
            files.write_json(part / "env.json", dict(env))
            files.write_json(part / "status.json", status)
            files.write_text(part / "metrics.jsonl", "")
        return cls(path)

    def check_plugins(self) -> None:
        """UserError where a plug-in has changed since this run was made, so that it could not go on as it began."""
        if how := plugins.changed(schema.read_asked(self.path)):
            raise UserError(f"{self.path}: {how}; put the old one back, or start a new run with `triptych train`")

    @property
    def budgets(self) -> list[int]:
        """Budgets in images that this run had before it went on for longer."""
        return [before["images"] for before in schema.read_asked(self.path).get("continued", [])]

    def with_budget(self, recipe: Recipe, at: int) -> Run:
        """This run, to go on from `at` images by `recipe`, which differs in its budget alone; the old one is kept."""
        asked = schema.read_asked(self.path)
        before = [*asked.get("continued", []), {"images": self.recipe.train.images, "at": at}]
        files.write_json(self.path / "recipe.json", {**asked, "recipe": encode(recipe), "continued": before})
        self.set_status(budget=recipe.train.images, end=None)
        return Run(self.path)

    def sweep_parts(self) -> None:
        """Remove the part files that kills left and that no process holds. For everybody who writes into the folder."""
        for folder in (self.path, *(self.path / name for name in schema.FOLDERS)):
            files.sweep(folder)

    def sweep(self) -> None:
        """Remove whatever kills left. For the process that trains this run: nobody else writes checkpoints."""
        self.sweep_parts()
        for folder in (self.path, *(self.path / name for name in schema.FOLDERS)):
            # version 0.1: the part files of fixed names, and those of the library that wrote the tensors
            for stray in (*folder.glob(".*.part"), *folder.glob(".tmp??????")):
                if not files.PART.fullmatch(stray.name) and stray.is_file():
                    stray.unlink(missing_ok=True)

    # ------------------------------------------------------------------------------ small files

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def env(self) -> dict[str, Any]:
        return schema.read_env(self.path)

    @property
    def status(self) -> dict[str, Any]:
        return read_status(self.path)

    def set_status(self, **fields: Any) -> None:
        """Change these fields; None drops one."""
        status = {**self.status, **fields}
        files.write_json(self.path / "status.json", {k: v for k, v in status.items() if v is not None})

    def lines(self) -> list[dict[str, Any]]:
        """The whole lines of metrics.jsonl, increasing in `images`; others are left out."""
        return schema.read_log(self.path)[0]

    def metrics(self) -> Any:
        """The log, a row per moment: a pandas DataFrame where pandas is installed, else a dictionary of arrays."""
        return frame(self.lines())

    def _repr_html_(self) -> str:
        """In a notebook: how it stands, its evaluated numbers, and its newest samples."""
        return shown.html(self.path, self.status)

    def _repr_png_(self) -> bytes | None:
        """In a notebook: the newest samples."""
        return shown.newest(self.path)

    def append(self, line: Mapping[str, Any]) -> None:
        files.append_line(self.path / "metrics.jsonl", line)

    def truncate(self, images: int) -> None:
        """Drop what was logged after `images`: training goes on from there. Lines that were spoilt are counted."""
        lines, bad = schema.read_log(self.path)
        if bad:
            schema.note(
                f"{self.path / 'metrics.jsonl'}: {bad} of {bad + len(lines)} lines were spoilt and are left out"
            )
        kept = [files.json_text(line) + "\n" for line in lines if line["images"] <= images]
        files.write_text(self.path / "metrics.jsonl", "".join(kept))

    def archive_evaluation(self) -> bool:
        """Rename an eval.json that no longer stands for this run; whether there was one."""
        file = self.path / "eval.json"
        if file.exists():
            file.replace(self.path / "eval-old.json")
            return True
        return False

    # ------------------------------------------------------------------------------ checkpoints

    @property
    def folder(self) -> Path:
        return self.path / "checkpoints"

    def checkpoints(self) -> list[int]:
        """Image counts of the whole checkpoints, ascending."""
        return checkpoint.counts(self.folder)

    def notes(self) -> list[tuple[int, dict[str, Any]]]:
        """Image counts and notes of the checkpoints, the newest first; damaged notes are left out."""
        found = []
        for images in reversed(self.checkpoints()):
            try:
                found.append((images, checkpoint.read_note(self.folder, images)))
            except checkpoint.Spoilt:
                continue
        return found

    @property
    def best(self) -> int | None:
        """Image count of the best checkpoint, where the recipe chooses one."""
        return next((found["images"] for found in self._bests()), None)

    def _bests(self) -> list[dict[str, Any]]:
        """The best so far as each checkpoint has it, the newest first, of those that are still there."""
        bests = [self.best_at(images, note) for images, note in self.notes()]
        return [found for found in bests if found is not None and found["images"] in self.checkpoints()]

    def best_at(self, images: int, note: Mapping[str, Any]) -> dict[str, Any] | None:
        """The best so far when the checkpoint at `images` was written: images, metric and value."""
        if "best" in note:
            return note["best"]
        old = self.folder / "best.json"
        return best.of_0_1(old, self.recipe.train.best, self.lines(), self.checkpoints(), images)

    def save(self, images: int, tensors: Mapping[str, Tensor], note: Mapping[str, Any]) -> None:
        """Write a checkpoint, then drop the old ones. A full disk leaves the previous one whole.

        The log reaches the disk before the checkpoint that counts on it.
        """
        try:
            files.sync(self.path / "metrics.jsonl")
            checkpoint.write(self.folder, images, tensors, note)
        except (UserError, OSError) as e:
            reason = e.__cause__ if isinstance(e.__cause__, OSError) else e
            raise UserError(
                f"the checkpoint at {images} images could not be written ({reason}); free some disk, then "
                f"`{shell('triptych', 'resume', str(self.path))}` continues from the one before"
            ) from e
        self.prune(images, note.get("best"), later=False)
        (self.folder / "best.json").unlink(missing_ok=True)  # of version 0.1; the note has it now

    def prune(self, images: int, chosen: Mapping[str, Any] | None, *, later: bool) -> None:
        """Drop the checkpoints not needed beside that at `images` and the best one, and halves that a kill left."""
        keep, at = self.recipe.train.keep, None if chosen is None else chosen["images"]
        checkpoint.prune(self.folder, images, at, later=later, keep=keep)

    def read(self, images: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and note of one checkpoint, verified."""
        try:
            return checkpoint.read(self.folder, images)
        except checkpoint.Spoilt as e:
            raise UserError(
                f"the checkpoint at {images} images of {self.path} is damaged ({e}); restore it from a copy"
            ) from e

    def newest(self) -> tuple[int, dict[str, Tensor], dict[str, Any]]:
        """Images, tensors and note of the last sound checkpoint; damaged ones after it are named on standard error."""
        saved = self.checkpoints()
        if not saved:
            again = shell("triptych", "resume", str(self.path))
            raise UserError(f"{self.path} has no checkpoint yet; `{again}` goes on with it")
        return checkpoint.newest(self.folder, self.path, saved)

    @property
    def finished(self) -> bool:
        """Whether it is trained to its end and its last checkpoint is sound."""
        status, saved = self.status, self.checkpoints()
        done = status["state"] == "done" and status["images"] >= status.get("end", self.recipe.train.images)
        return done and bool(saved) and self.newest()[0] == saved[-1]

    @property
    def given_away(self) -> bool:
        """Whether it has weights and no checkpoints: it can be used, not trained on."""
        return (self.path / PUBLISHED).is_file() and not self.checkpoints()

    # ------------------------------------------------------------------------------ the trained model

    def data(self, split: Split | None = None, where: str | None = None) -> Data:
        """The data this run was trained on, as they were prepared; read from `where` when they have moved.

        UserError where other examples than the run's own are found.
        """
        from triptych.run import data as run_data

        return run_data.own(self, where).load(split)

    def shape(self) -> tuple[int, ...]:
        return tuple(self.env["shape"])

    def origin(self) -> tuple[float, ...]:
        """What the columns of its vectors are counted from, as `Data.origin`."""
        return tuple(self.env.get("data", {}).get("origin", ()))

    def given(self) -> tuple[Column, ...]:
        """The columns or factors that its examples are conditioned on, as `Data.condition_columns`."""
        told = self.env.get("data", {}).get("given")
        return conditions.from_names(self.env.get("given", ())) if told is None else read_back(told).all

    def names(self) -> tuple[str, ...]:
        """Names of the columns of its vectors, as `Data.columns`; () where they have none, or an old run lacks them."""
        return tuple(self.env.get("data", {}).get("names", ()))

    def typed(self) -> Columns | None:
        """The typed columns that its vectors stand for, as `Data.typed`."""
        told = self.env.get("data", {}).get("columns")
        return None if told is None else read_back(told)

    def load(self, which: Which = "last", device: str = "auto") -> Model:
        """The trained model, in eval mode: averaged weights for the sampling players where the run has them.

        UserError without a sound checkpoint, for weights that are not finite, and for a `best` that no metric chose.
        """
        return self._model(which, device)

    def load_at(self, images: int, device: str = "auto") -> Model:
        """As `load`, of the checkpoint at so many images; UserError where it is damaged."""
        return self._model(images, device)

    def _model(self, which: Which | int, device: str) -> Model:
        from triptych.models.build import build
        from triptych.system.device import pick_device, place
        from triptych.system.processor import arithmetic

        if how := plugins.changed(schema.read_asked(self.path)):
            schema.note(f"{self.path}: {how}; what it makes may differ")
        model = build(self.recipe.model, self.shape())
        state = self.weights(model.state_dict(), which)
        for player in given_away.left_out(model.state_dict(), state):
            model.leave_out(player, f"{self.path.name} was given away without its {player}; train it again to have one")
        model.load_state_dict(state)
        if isinstance(model, Conditional):
            model.class_names = tuple(self.env.get("classes", ()))
            model.number_columns = self.given() or model.number_columns
        place(model, pick_device(device), "fp32")
        if isinstance(model, Stepwise) and self.env.get("precision") == "bf16":
            model.brief = arithmetic(model.device).bfloat16 is True
        return model.eval()

    def weights(self, like: Mapping[str, Tensor], which: Which | int = "last") -> dict[str, Tensor]:
        """What `load` or `load_at` puts into a model whose own weights are `like`; UserErrors as there.

        Of a run that was given away, players may be missing as a whole.
        """
        if self.given_away:
            return given_away.read_weights(self.path / PUBLISHED, like, self.status["images"])
        if isinstance(which, int):
            images, tensors = which, self.read(which)[0]
        else:
            images, tensors, _ = self.newest() if which == "last" else self._read_best()
        contents = checkpoint.Contents.unpack(tensors)
        own, averages = dict(contents.model), {**contents.averages, **contents.statistics}
        fits = "the model of recipe.json"
        checkpoint.check_fit(own, like, images, fits)
        checkpoint.check_fit(averages, {k: v for k, v in own.items() if k in averages}, images, fits)
        state = own | averages
        # a range without limits is infinite in a new model, too
        spoilt = sorted(
            {k.split(".")[0] for k, v in state.items() if not bool((torch.isfinite(v) | (v == like[k].to(v))).all())}
        )
        if spoilt:
            raise UserError(
                f"weights of the {' and '.join(spoilt)} of {self.path} are not finite at {images} images: it has "
                "diverged; try --which best where the run has one, or train again with a lower --train.lr"
            )
        return state

    def _read_best(self) -> tuple[int, dict[str, Tensor], dict[str, Any]]:
        bests = list(dict.fromkeys(found["images"] for found in self._bests()))
        if not bests:
            self.newest()  # without any checkpoint that is the message
            raise UserError(
                f"{self.path} keeps no best checkpoint; leave --which out, or train with --train.best METRIC"
            )
        return checkpoint.newest(self.folder, self.path, bests[::-1])


def _sweep_old_parts(path: Path) -> None:
    """Unfinished folders of version 0.1 for this run, `.NAME.PID.part`: without a lock, so only those of hours ago."""
    name = re.compile(rf"\.{re.escape(path.name)}\.\d+\.part")
    for stray in path.parent.iterdir() if path.parent.is_dir() else ():
        old = name.fullmatch(stray.name) and time.time() - stray.lstat().st_mtime > 3600
        if old and stray.is_dir() and not stray.is_symlink():
            shutil.rmtree(stray, ignore_errors=True)


def load(run: Place, device: str = "auto", which: Which = "last") -> Model:
    """The trained model of a run folder, of `zoo:NAME` or of `hub:OWNER/NAME@REVISION`, ready to `sample`.

    Where it can, it also has `encode`, `decode`, `log_prob`.
    """
    return Run(run).load(which, device)


def fresh(path: Path) -> Path:
    """`path`, or the first of path-2, path-3, ... that is not taken."""
    candidate, k = path, 2
    while candidate.exists():
        candidate, k = path.with_name(f"{path.name}-{k}"), k + 1
    return candidate


__all__ = ["Run", "load"]
