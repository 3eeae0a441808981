"""What a job carried out on another machine needs, and what it does there: the same as a local process.

Where that machine sees the folder of the study, the run is trained in place, so that a second attempt goes on from the
last checkpoint of the first. Where it does not, the run is made in a folder of its own and brought back whole; a shard
of a data set, which would be large, is refused there.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import socket
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from triptych import __version__
from triptych.core import plugins
from triptych.errors import UserError
from triptych.study.executor import log_of
from triptych.study.jobs import Work
from triptych.system import files
from triptych.system.children import Ended

TAKEN_ALONG = "TRIPTYCH_"
"""Environment variables that begin so hold there as here."""


@contextmanager
def order(job: Work, device: str) -> Iterator[str]:
    """A line of JSON for `done`; inside, a file lies in the study's folder by which it is known there."""
    here = job.path.absolute().parent
    mark = here / "logs" / f".{secrets.token_hex(8)}"
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    try:
        yield json.dumps(
            {
                "job": job.order(device) | {"path": str(job.path.absolute())},
                "mark": str(mark),
                "folder": str(Path.cwd()),
                "plugins": [p.given for p in plugins.given()],
                "environment": {k: v for k, v in os.environ.items() if k.startswith(TAKEN_ALONG)},
                "version": __version__,
            }
        )
    finally:
        mark.unlink(missing_ok=True)


def done(line: str) -> dict[str, Any]:
    """Carry out an order; state and message, and the run as a tar archive where its folder is not seen here."""
    from triptych.core.discovery import add_plugin
    from triptych.study.worker import answered

    told = json.loads(line)
    job = told["job"]
    if told["version"] != __version__:
        return failed(f"this machine has triptych {__version__}, and the study is of {told['version']}; install that")
    os.environ.update(told["environment"])
    if Path(told["folder"]).is_dir():  # what is named relative to it is found
        os.chdir(told["folder"])
    try:
        for where in told["plugins"]:
            add_plugin(where)
    except UserError as e:
        return failed(str(e))
    if Path(told["mark"]).exists():
        return dict(answered(job))
    if job.get("in_place"):
        return failed(f"{socket.gethostname()} does not see {Path(told['mark']).parents[1]}, which it would write to")
    with tempfile.TemporaryDirectory(prefix="triptych-") as folder:
        path = Path(folder) / Path(job["path"]).name
        log_of(path).parent.mkdir()
        answer: dict[str, Any] = {**answered({**job, "path": str(path)})}
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for part in (path, log_of(path)):
                if part.exists():
                    tar.add(part, str(part.relative_to(folder)))
        return answer | {"archive": archive.getvalue()}


def failed(message: str) -> dict[str, str]:
    return {"state": "failed", "message": message}


def taken(answer: dict[str, Any], job: Work, log: Path) -> tuple[str, str]:
    """State and message of an answer; a run that came with it is put in its place."""
    if "archive" not in answer:
        return answer["state"], answer["message"]
    if job.path.exists():
        raise Ended(f"{job.path} was begun here, and the machine that went on with it does not see it; move it away")
    with tempfile.TemporaryDirectory(dir=job.path.parent, prefix=".brought-") as folder:
        with tarfile.open(fileobj=io.BytesIO(answer["archive"])) as tar:
            tar.extractall(folder, filter="data")
        said = log_of(Path(folder) / job.path.name)
        if said.is_file():
            with files.appending(log) as f:
                f.write(said.read_bytes())
        if (brought := Path(folder) / job.path.name).is_dir():
            brought.rename(job.path)
    return answer["state"], answer["message"]
