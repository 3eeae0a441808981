"""A process of a study: `python -m triptych.worker` reads jobs and trains, judges and draws them one by one.

Each job is a JSON line on standard input, answered by a JSON line on standard output; what a run prints goes to a
file of its name in the study's folder `logs/`. When the input ends, because the study was stopped or killed, so
does this process, at once: run folders are whole at every moment.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from triptych.core import Recipe, decode
from triptych.errors import Diverged, UserError


def serve() -> None:
    """Answer jobs until the input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    jobs: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            jobs.put(line)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        job = json.loads(jobs.get())
        path = Path(job["path"])
        logs = path.parent / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        log = (logs / f"{path.name}.txt").open("a")
        with log, contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
            state, message = attempt(job, path)
        answers.write(json.dumps({"state": state, "message": message}) + "\n")
        answers.flush()


def attempt(job: dict[str, Any], path: Path) -> tuple[str, str]:
    """State and message of a job; no exception of one run reaches the next."""
    try:
        train(job, path)
    except Diverged as e:
        return "diverged", str(e)
    except Exception as e:
        return "failed", told(e)
    try:
        judge(path, job["samples"], job["device"])
    except Exception as e:
        return "done", f"not judged: {told(e)}"
    return "done", ""


def told(e: Exception) -> str:
    """One line; the traceback of a surprise goes to the log."""
    if isinstance(e, UserError):
        return str(e)
    traceback.print_exc()
    return f"{type(e).__name__}: {e}"


def train(job: dict[str, Any], path: Path) -> None:
    """Begin a run, or go on with it."""
    from triptych import trainer

    if (path / "recipe.json").exists():
        trainer.resume(path, progress=False)
        return
    recipe = decode(job["recipe"])
    if not isinstance(recipe, Recipe):
        raise UserError("the job holds no recipe")
    trainer.fit(recipe, job["seed"], path, job["device"], progress=False)


def judge(path: Path, samples: int | None, device: str) -> None:
    """Walks through the latent space, nearest neighbours, then eval.json, whose presence says that all is there."""
    from triptych import album, evaluate
    from triptych.core import Latent, Sampler
    from triptych.run import Run

    model = Run(path).load(device=device)
    if isinstance(model, Latent) and (len(model.shape) == 3 or model.shape == (2,)):
        album.write_interpolation(path, device=device)
        album.write_sweep(path, device=device)
    if isinstance(model, Sampler) and len(model.shape) == 3:
        album.write_neighbours(path, device=device)
    if not (path / "eval.json").exists():
        evaluate.evaluate_run(path, evaluate.Options(n=samples, device=device))


if __name__ == "__main__":
    serve()
