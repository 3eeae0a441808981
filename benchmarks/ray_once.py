"""A named study, whole, on a Ray cluster of two nodes of which one is killed half way, against local processes.

Both nodes are this machine, on its loopback, with a processor each. The script starts them by `ray start`, kills the
second one with all its processes when half of the runs are done, and ends the first afterwards.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import HERE, record
from slurm_once import numbers

PATIENCE = 120.0
"""Seconds within which a node has to be ready."""
OPTIONS = "--node-ip-address 127.0.0.1 --num-cpus 1 --object-store-memory 80000000 --disable-usage-stats --block"


def node(role: str, log: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """A node of the cluster, in a process group of its own, once it is ready."""
    ray = Path(sys.executable).with_name("ray")
    with log.open("wb") as out:
        words = [str(ray), "start", *role.split(), *OPTIONS.split()]
        started = subprocess.Popen(words, stdout=out, stderr=out, env=env, start_new_session=True)
    until = time.monotonic() + PATIENCE
    while b"Ray runtime started" not in log.read_bytes():
        assert started.poll() is None, log.read_text(encoding="utf-8", errors="replace")[-800:]
        assert time.monotonic() < until, "a node did not start"
        time.sleep(0.2)
    return started


def killed(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--study", default="toys")
    options.add_argument("--seeds", type=int, default=1)
    options.add_argument("--note", default="")
    asked = options.parse_args()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    address = f"127.0.0.1:{port}"
    env = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16), "OMP_NUM_THREADS": "1"}
    env["PYTHONPATH"] = str(HERE.parent / "src")
    words = [sys.executable, "-m", "triptych", "study", asked.study, "--seeds", str(asked.seeds), "--scale", "quick"]
    seconds: dict[str, float] = {}
    cluster: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory() as tmp:
        home = Path(tmp)
        here, there = home / "here", home / "there"
        began = time.perf_counter()
        subprocess.run([*words, "--out", str(here), "--jobs", "2"], env=env, check=True)
        seconds["local"] = time.perf_counter() - began
        runs = len(numbers(here))
        try:
            cluster.append(node(f"--head --port {port} --include-dashboard false", home / "0", env))
            cluster.append(node(f"--address {address}", home / "1", env))
            began = time.perf_counter()
            study = subprocess.Popen([*words, "--out", str(there), "--on", f"ray://{address}"], env=env)
            while len(list(there.glob("*/eval.json"))) < runs // 2:
                assert study.poll() is None, "the study ended before half of its runs were done"
                time.sleep(0.5)
            killed(cluster[1])
            status = study.wait()
            seconds["ray"] = time.perf_counter() - began
        finally:
            for one in cluster:
                killed(one)
        found = numbers(there)
        same = status == 0 and bool(found) and found == numbers(here)
    record(
        "ray-once",
        f"`triptych study {asked.study}`, {asked.seeds} seeds, on a Ray cluster of two nodes on loopback; one is "
        "killed when half of the runs are done",
        "all runs done, every number equal to that of local processes",
        f"{len(found)} of {runs} runs, numbers {'equal' if same else 'DIFFER'}; {seconds['ray']:.0f} s, and "
        f"{seconds['local']:.0f} s by two local processes",
        same and len(found) == runs,
        {"seconds": seconds},
        asked.note,
    )


if __name__ == "__main__":
    main()
