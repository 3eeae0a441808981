"""A data set prepared in shards by an executor: each shard is a job, and the last step puts them together here."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triptych.core.preparation import Preparation
from triptych.data.prepare.shards import Shard
from triptych.data.source import digest
from triptych.errors import UserError
from triptych.study.executor import Executor
from triptych.study.jobs import Outcome, Work
from triptych.system.cache import plain, root
from triptych.system.console import say
from triptych.system.progress import Progress


@dataclass(frozen=True)
class ShardJob(Work):
    """One shard of a data set, made in the cache, which every machine has to see under the same path."""

    data: str
    how: Preparation
    shard: Shard
    path: Path
    workers: int = 1
    """decoding processes of it"""

    def order(self, device: str) -> dict[str, Any]:
        told = {"data": self.data, "preparation": vars(self.how), "shard": f"{self.shard.number}/{self.shard.of}"}
        told |= {"cache": str(root().absolute()), "workers": self.workers}
        return {"task": "shard", "path": str(self.path), "in_place": True, **told}


def work_folder(data: str, how: Preparation) -> Path:
    """Where logs lie until all shards are made."""
    return root() / "prepared" / "shards" / f"work-{plain(data)}-{digest(data, how.identity())[:12]}"


def make_shards(data: str, how: Preparation, shards: int | None, executor: Executor) -> None:
    """Prepare every shard, by default as many as the executor makes at a time.

    What is made already is not made again. UserError where one could not be made.
    """
    folder, n = work_folder(data, how), shards or executor.at_once
    all_of = [Shard(i, n) for i in range(1, n + 1)]
    jobs = [ShardJob(data, how, s, folder / f"{s.number}-of-{n}", executor.cores) for s in all_of]
    failed: list[Outcome[ShardJob]] = []
    with Progress(f"preparing {plain(data)}", n, unit="shards") as bar:
        for i, outcome in enumerate(executor.map(jobs), 1):
            bar.update(i)
            if outcome.state == "done":
                say(outcome.message.partition("; ")[0], stderr=True)
            else:
                failed.append(outcome)
    if failed:
        first = failed[0]
        raise UserError(
            f"{len(failed)} of {n} shards were not made; number {first.job.shard.number}: {first.message} (the same "
            "command makes what is missing)"
        )
    shutil.rmtree(folder, ignore_errors=True)
