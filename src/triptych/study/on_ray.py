"""Runs on a Ray cluster: each is a task, which Ray gives a processor or a GPU, and anew where its node is lost."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path
from typing import Any

from triptych.errors import UserError
from triptych.study import elsewhere
from triptych.study.executor import Executor, Worker
from triptych.study.jobs import Work
from triptych.system.children import PATIENCE, Ended

RETRIES = 3
"""How often a run is begun again where its node or process is lost; it goes on where it was cut."""
ANSWER = 10.0
"""Seconds within which a cluster has to answer."""
SETTINGS = b"\x04"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + SETTINGS + bytes(5)
"""How HTTP/2 begins, which Ray speaks: a server's first frame is one of this kind, too (RFC 9113, 3.4)."""
STORE = 100 << 20
"""Bytes of Ray's object store, which holds no more than orders and answers; Ray's own default is a third of memory."""


class OnRay(Executor):
    """A cluster that runs already, at HOST:PORT or where RAY_ADDRESS says; without either, one of this machine."""

    def __init__(self, address: str, at_once: int | None, device: str) -> None:
        ray = self.ray = imported()
        address = address or os.environ.get("RAY_ADDRESS", "")
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address:
            check_answers(address)
            options["address"] = address
        else:
            # a cluster of its own, also where another one runs on this machine
            options |= {"address": "local", "include_dashboard": False, "object_store_memory": STORE}
        try:
            ray.init(**options)
        except Exception as e:  # whatever Ray raises: addresses, versions, tokens
            raise UserError(
                f"Ray did not begin ({' '.join(str(e).split())[:300]}); check the cluster with `ray status`"
            ) from e
        there = ray.cluster_resources()
        graphics = device in ("auto", "cuda") and there.get("GPU", 0) > 0
        super().__init__(at_once or max(1, int(there.get("GPU" if graphics else "CPU", 1))), device, 1)
        self.task = ray.remote(elsewhere.done).options(
            num_cpus=self.cores, num_gpus=int(graphics), max_retries=RETRIES, scheduling_strategy="SPREAD"
        )

    def worker(self, log: Path, at_once: int) -> Worker:
        return _Tasks(self)

    def close(self) -> None:
        self.ray.shutdown()


class _Tasks(Worker):
    """One task after another."""

    def __init__(self, executor: OnRay) -> None:
        self.executor, self.ended, self.at_work = executor, False, None

    def ask(self, job: Work, log: Path) -> tuple[str, str]:
        ray = self.executor.ray
        with elsewhere.order(job, self.executor.device) as line:
            self.at_work = self.executor.task.remote(line)
            try:
                while not ray.wait([self.at_work], timeout=PATIENCE)[0]:
                    pass
                answer = ray.get(self.at_work)
            except Exception as e:  # of Ray: the node or process was lost too often, or the task was cancelled
                self.ended = True
                raise Ended(f"Ray lost it: {' '.join(str(e).split())[:300]}") from e
            finally:
                self.at_work = None
        return elsewhere.taken(answer, job, log)

    @property
    def gone(self) -> bool:
        return self.ended

    def ask_to_end(self) -> None:
        task, self.ended = self.at_work, True
        if task is not None:
            self.executor.ray.cancel(task, force=True)

    def end(self) -> None:
        self.ask_to_end()


def imported() -> Any:
    """Ray, without its statistics of use; UserError where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise UserError("--on ray needs Ray; install it with: pip install 'triptych[ray]'") from None
    return ray


def check_answers(address: str) -> None:
    """UserError unless a server of Ray's kind listens at HOST:PORT; Ray itself would try for ever."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UserError(f"{address!r} is no address of a Ray cluster; give HOST:PORT, as in --on ray://10.0.0.1:6379")
    try:
        with socket.create_connection((host, int(port)), ANSWER) as asked:
            asked.sendall(PREFACE)
            answer = asked.recv(9, socket.MSG_WAITALL)
    except OSError as e:
        raise UserError(
            f"no Ray cluster answers at {address} within {ANSWER:.0f} s ({e}); start one with `ray start --head`"
        ) from e
    if answer[3:4] != SETTINGS and os.environ.get("RAY_USE_TLS", "0") == "0":
        raise UserError(f"what answers at {address} is no Ray cluster; give the address that `ray start --head` said")
