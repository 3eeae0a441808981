"""A process of a study: `python -P -m triptych.study.worker PLUGIN...` reads jobs, and trains, judges and draws each.

Some jobs are less than that: a pace that is measured, a shard of a data set.

Each job is a JSON line on standard input, answered by a JSON line on standard output. Both are private from the start:
what a run, a library in C or a program of theirs prints goes to a file of the run's name in the study's folder `logs/`.
When the input ends, because the study was stopped or killed, so does this process, at once: run folders are whole at
every moment.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from triptych.core import Recipe, decode
from triptych.core.discovery import add_plugin
from triptych.errors import Diverged, UserError
from triptych.study.executor import log_of
from triptych.system import files


def serve(plugins: Sequence[str] = ()) -> None:
    """Answer jobs until the input ends; with the parts of the plug-ins that the study was given."""
    orders, answers = private_streams()
    for where in plugins:
        add_plugin(where)
    jobs: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in orders:
            jobs.put(line)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        answer = answered(json.loads(jobs.get()))
        # a line of its own, whatever was written there before
        answers.write("\n" + json.dumps(answer) + "\n")
        answers.flush()


def answered(job: dict[str, Any]) -> dict[str, str]:
    """Do one job, everything that is printed meanwhile in its log; how it ended."""
    path = Path(job["path"])
    try:
        with files.appending(log_of(path)) as log, everything_to(log):
            state, message = attempt(job, path)
    except Exception as e:
        state, message = "failed", told(e)
    return {"run": path.name, "state": state, "message": message}


def private_streams() -> tuple[IO[str], IO[str]]:
    """Copies of standard input and output that no other code and no child knows; the originals lead elsewhere."""
    orders = os.fdopen(os.dup(0), "r", encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    return orders, answers


@contextlib.contextmanager
def everything_to(log: IO[bytes]) -> Iterator[None]:
    """Standard output and error lead to `log`, at the level of the system: for libraries in C as for Python."""
    before = os.dup(2)
    try:
        for number in (1, 2):
            os.dup2(log.fileno(), number)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number in (1, 2):
            os.dup2(before, number)
        os.close(before)


def attempt(job: dict[str, Any], path: Path) -> tuple[str, str]:
    """State and message of a job; no exception of one run reaches the next."""
    try:
        return "done", TASKS[job["task"]](job, path)
    except Diverged as e:
        return "diverged", str(e)
    except Exception as e:
        return "failed", told(e)


def told(e: Exception) -> str:
    """One line; the traceback of a surprise goes to the log."""
    if isinstance(e, UserError):
        return str(e)
    traceback.print_exc()
    return f"{type(e).__name__}: {e}"


def train_and_judge(job: dict[str, Any], path: Path) -> str:
    """A run from its beginning, or from where it was cut, to its report's pictures; what could not be evaluated."""
    train(job, path)
    if not job.get("judged", True):
        return ""
    try:
        judge(path, job["samples"], job["device"])
    except Exception as e:
        return f"not evaluated: {told(e)}"
    return ""


def shard(job: dict[str, Any], path: Path) -> str:
    """A shard of a data set, in the cache of whoever asks for it; what it holds."""
    from triptych.core.preparation import Preparation
    from triptych.data import sharded
    from triptych.data.prepare.shards import Shard

    os.environ["TRIPTYCH_CACHE"] = job["cache"]
    return sharded.make(job["data"], Preparation(**job["preparation"]), Shard.read(job["shard"]), job["workers"])


def train(job: dict[str, Any], path: Path) -> None:
    """Begin a run, or go on with it."""
    from triptych.run.sinks import trackers
    from triptych.trainer import fit, resume

    sinks = trackers.by_name(job.get("track", ()))
    if (path / "recipe.json").exists():
        resume(path, progress=False, sinks=sinks)
        return
    fit(recipe_of(job), job["seed"], path, job["device"], progress=False, sinks=sinks)


def pace(job: dict[str, Any], path: Path) -> str:
    """The images of a recipe that is to be trained for so many minutes, or seconds of processor time."""
    from triptych.trainer.start import affordable, prepared

    recipe, seed, device, budget = recipe_of(job), job["seed"], job["device"], job["pace"]["budget"]
    if job["pace"]["equal"] == "seconds":
        return str(affordable(recipe, seed, device, budget))
    return str(prepared(recipe, seed, device, budget).plan.recipe.train.images)


def recipe_of(job: dict[str, Any]) -> Recipe:
    recipe = decode(job["recipe"])
    if not isinstance(recipe, Recipe):
        raise UserError("the job holds no recipe")
    return recipe


def judge(path: Path, samples: int | None, device: str) -> None:
    """Walks through the latent space, nearest neighbours, then eval.json, whose presence says that all is there."""
    from triptych.core import Latent, Sampler
    from triptych.evaluate import of_run
    from triptych.evaluate.options import Samples
    from triptych.explore import neighbours, walks
    from triptych.run.folder import Run

    run = Run(path)
    run.sweep_parts()
    model = run.load(device=device)
    if isinstance(model, Latent) and (len(model.shape) == 3 or model.shape == (2,)):
        walks.write_interpolation(path, model=model)
        walks.write_sweep(path, model=model)
    if isinstance(model, Sampler) and len(model.shape) == 3:
        neighbours.write_neighbours(path, model=model)
    if not (path / "eval.json").exists():
        of_run.evaluate_run(path, samples=Samples(n=samples), model=model, device=device, progress=True)


TASKS: dict[str, Callable[[dict[str, Any], Path], str]] = {"train": train_and_judge, "pace": pace, "shard": shard}
"""What a job may ask for: done in the end, with a message."""


if __name__ == "__main__":
    serve(sys.argv[1:])
