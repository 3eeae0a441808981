"""Commands of triptych, one per forked child of a process that has imported everything: a trial costs no import.

`python server.py` reads a JSON object per line and answers each with one. A trial runs one command line in a child
that is watched (watch.py), limited in time and memory, and perhaps killed at its k-th file operation (kills.py).
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import kills
import watch

SPARE = 4 << 30
"""Bytes of address space beyond what the child begins with: a bomb ends in MemoryError and not in a dead machine."""


def prepare() -> None:
    """Import what any command imports; single-threaded, since children are forked."""
    import PIL.Image
    import torch

    torch.set_num_threads(1)
    PIL.Image.init()
    import pkgutil
    from importlib import import_module

    import triptych

    for module in pkgutil.walk_packages(triptych.__path__, "triptych."):
        if not module.name.endswith(("__main__", "nets.zuko")):
            import_module(module.name)
    from triptych.metrics.features import contrasts, self_trained

    self_trained.EXAMPLES = (2048, 2048)  # a minute's training of an extractor says nothing of an input
    contrasts.STEPS = 5
    warm_up()


def warm_up() -> None:
    """What libraries do once, at their first use, is done before the children are forked."""
    from triptych.cli import main

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        os.environ["TRIPTYCH_CACHE"] = folder
        run = str(Path(folder) / "run")
        small = ["--model.width", "8", "--train.images", "64", "--train.batch", "32", "--out", run]
        for argv in (["train", "gan-8gaussians", *small], ["report", run, "--out", f"{run}.html"]):
            if main(argv) != 0:
                raise RuntimeError("the server of trials cannot even do this: " + " ".join(argv))
        del os.environ["TRIPTYCH_CACHE"]


def child(trial: dict[str, Any]) -> int:
    """The command itself, in the child; its exit status."""
    os.setsid()
    for fd, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(trial[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), fd)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w", buffering=1), open(2, "w", buffering=1)  # noqa: SIM115
    os.environ.update(trial.get("env", {}))
    tempfile.tempdir = None  # as the trial's TMPDIR says
    os.chdir(trial["cwd"])
    base = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (base + SPARE, base + SPARE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(int(trial["limit"]) + 10)  # should the server be gone by then
    if "watched" in trial:
        watch.install(trial["watched"], trial["acts"])
    if "kill" in trial:
        kills.install(trial["kill"], trial["under"], trial["operations"])
    from triptych.cli import main

    try:
        return int(main(trial["argv"]) or 0)
    except SystemExit as e:
        return e.code if isinstance(e.code, int) else 1


def run(trial: dict[str, Any], command: Callable[[dict[str, Any]], int] = child) -> dict[str, Any]:
    """Fork, wait, and say how it ended: status (negative: a signal), seconds, processor seconds, peak bytes more.

    It is ended, as `late`, after `limit` seconds, `work` processor seconds, or `idle` seconds without using any.
    """
    sys.stdout.flush()
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            status = command(trial)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):
                    stream.flush()
            os._exit(status)
    late, nap, worked, progress, looked = False, 0.002, 0.0, began, began
    while True:
        done, status, used = os.wait4(pid, os.WNOHANG)
        if done:
            break
        now = time.monotonic()
        age = now - began
        if now - looked > 0.5:
            looked, before_that, worked = now, worked, max(worked, session_seconds(pid))
            progress = now if worked > before_that else progress
        idle, busy = now - progress > trial.get("idle", math.inf), worked > trial.get("work", math.inf)
        if (age > trial["limit"] or idle or busy) and not late:
            late = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        if "after" in trial and age >= trial["after"] and not late:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(nap)
        nap = min(nap * 1.3, 0.02)
    settle(pid)
    return {
        "status": os.waitstatus_to_exitcode(status),
        "late": late,
        "seconds": time.monotonic() - began,
        "cpu": used.ru_utime + used.ru_stime,
        "grown": max(used.ru_maxrss * 1024 - before, 0),
    }


def session_seconds(session: int) -> float:
    """Processor seconds that the living processes of a session have used so far."""
    ticks = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session:
                    ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def settle(group: int, patience: float = 20.0) -> None:
    """Wait until the children that a command left behind have ended by themselves; end them where they do not."""
    until = time.monotonic() + patience
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < until:
            os.killpg(group, 0)
            time.sleep(0.01)
        os.killpg(group, signal.SIGKILL)


def serve() -> None:
    """Answer trials until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    prepare()
    for line in sys.stdin:
        answers.write(json.dumps(run(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()
