"""Runs as jobs of a Slurm cluster, submitted by submitit; where a job runs out of its time, it is queued again."""

from __future__ import annotations

import logging
import subprocess
import time
from pathlib import Path
from typing import Any

from triptych.errors import UserError
from triptych.study import elsewhere
from triptych.study.executor import Executor, Worker
from triptych.study.jobs import Work
from triptych.study.slurm import Slurm
from triptych.system.children import Ended

LOOK = 1.0
"""Seconds between two looks at whether a job has ended."""
ANSWER = 60.0
"""Seconds within which Slurm's own commands have to answer."""
QUEUE, MISSED = 20.0, 3
"""Seconds between two looks into the queue, and how many in a row have to miss a job that has not answered."""
AT_ONCE = 64
"""Jobs in the queue at a time, unless --jobs says otherwise."""


class OnSlurm(Executor):
    """Scripts and logs of the jobs lie in `folder`, which all machines of the cluster have to see."""

    def __init__(self, asked: Slurm, at_once: int | None, device: str, folder: Path) -> None:
        super().__init__(at_once or AT_ONCE, device, asked.cpus)
        self.asked = asked
        submitit = imported()
        try:
            self.queue = submitit.AutoExecutor(folder=folder, cluster=asked.cluster)
        except RuntimeError as e:
            raise UserError(
                f"there is no Slurm here ({e}); run this on a machine with sbatch, or try --slurm.cluster local"
            ) from e
        if asked.cluster == "slurm":
            check_answers(asked.partition)
        self.queue.update_parameters(
            name="triptych",
            timeout_min=asked.minutes,
            cpus_per_task=asked.cpus,
            **({"gpus_per_node": asked.gpus} if asked.gpus else {}),
            **({"mem_gb": asked.memory} if asked.memory else {}),
            **({"slurm_partition": asked.partition} if asked.partition else {}),
        )

    def worker(self, log: Path, at_once: int) -> Worker:
        return _Jobs(self)


class _Jobs(Worker):
    """One job after another."""

    def __init__(self, executor: OnSlurm) -> None:
        self.executor, self.ended, self.at_work = executor, False, None

    def ask(self, job: Work, log: Path) -> tuple[str, str]:
        with elsewhere.order(job, self.executor.device) as line:
            at_work = self.at_work = self.executor.queue.submit(Requeued(), line)
            if self.executor.asked.cluster == "slurm":
                self._await_answer(at_work)
            while not at_work.done():
                time.sleep(LOOK)
            self.at_work = None
            try:
                answer = at_work.result()
            except Exception as e:  # of submitit: it was cancelled, or its process ended without an answer
                self.ended = True
                said = " ".join((at_work.stderr() or str(e)).split())[-300:]
                raise Ended(f"job {at_work.job_id} ended with {at_work.state}: {said}") from e
        return elsewhere.taken(answer, job, log)

    def _await_answer(self, at_work: Any) -> None:
        """Until the job's answer is there. `Ended` where the queue has lost it without one.

        submitit would ask the accounting, which many a cluster does not keep, and wait for a cancelled job for ever.
        """
        missed, looked = 0, time.monotonic()
        while not at_work.paths.result_pickle.exists():
            time.sleep(LOOK)
            if time.monotonic() - looked > QUEUE:
                missed, looked = missed + 1 if gone_from_queue(at_work.job_id) else 0, time.monotonic()
            if missed == MISSED:
                self.ended = True
                said = " ".join((at_work.stderr() or "").split())[-300:]
                raise Ended(f"job {at_work.job_id} left the queue without an answer: cancelled, or dead; {said}")

    @property
    def gone(self) -> bool:
        return self.ended

    def ask_to_end(self) -> None:
        job, self.ended = self.at_work, True
        if job is not None:
            job.cancel(check=False)

    def end(self) -> None:
        self.ask_to_end()


def check_answers(partition: str) -> None:
    """UserError unless the cluster answers and has the partition: every job would fail of it."""
    try:
        seen = run("sinfo", "-h", "-o", "%R")
    except subprocess.TimeoutExpired:
        raise UserError(f"Slurm does not answer within {ANSWER:.0f} s; ask whoever runs it, or try later") from None
    if seen.returncode:
        why = " ".join(seen.stderr.strip().rpartition("\n")[2].split())[:200]
        raise UserError(f"Slurm does not answer ({why}); try `sinfo`, or ask whoever runs the cluster")
    there = sorted(set(seen.stdout.split()))
    if partition and partition not in there:
        raise UserError(f"there is no partition {partition!r} in this cluster; it has {', '.join(there) or 'none'}")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """One of Slurm's own commands."""
    return subprocess.run(words, capture_output=True, text=True, encoding="utf-8", timeout=ANSWER)


def gone_from_queue(job: str) -> bool:
    """Whether `squeue` lists a job no more."""
    try:
        seen = run("squeue", "-h", "-o", "%T", "-j", job)
    except (OSError, subprocess.TimeoutExpired):  # no answer is no news
        return False
    return not seen.stdout.strip() if seen.returncode == 0 else "Invalid job id" in seen.stderr


class Requeued:
    """What is submitted: an order carried out, and queued again where the time was up."""

    def __call__(self, line: str) -> dict[str, Any]:
        return elsewhere.done(line)

    def checkpoint(self, line: str) -> Any:
        """Called by submitit before the job is ended; the run goes on from its own last checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, line)


def imported() -> Any:
    """submitit; UserError where it is not installed."""
    try:
        import submitit
    except ImportError:
        raise UserError("--on slurm needs submitit; install it with: pip install 'triptych[slurm]'") from None
    logging.getLogger("submitit").setLevel(logging.ERROR)  # it warns of every command that it does without
    return submitit
