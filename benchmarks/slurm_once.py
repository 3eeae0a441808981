"""A study as jobs of a real Slurm, against local processes: the cluster is this machine, on its loopback.

    python benchmarks/slurm_once.py

Debian's `slurm-wlm` and `munge` have to be installed. The script writes a configuration of its own into a temporary
folder, starts `munged`, `slurmctld` and `slurmd`, and ends these three processes afterwards. There is no accounting, so
submitit sees a job's end by its answer alone.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import record

RECIPES = ("gan-8gaussians", "realnvp-8gaussians")
PATIENCE = 120.0
"""Seconds within which the cluster has to be ready."""


def program(name: str) -> str:
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    assert found is not None, f"{name} is not installed: apt-get install slurm-wlm munge"
    return found


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def configuration(folder: Path) -> Path:
    """A cluster of one node, this machine, that listens on loopback alone."""
    host, user, file = socket.gethostname().partition(".")[0], getpass.getuser(), folder / "slurm.conf"
    lines = {
        "ClusterName": "once",
        "SlurmctldHost": f"{host}(127.0.0.1)",
        "SlurmUser": user,
        "SlurmdUser": user,
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={folder / 'munge.socket'}",
        "CommunicationParameters": "NoCtldInAddrAny,NoInAddrAny",
        "SlurmctldPort": free_port(),
        "SlurmdPort": free_port(),
        "SlurmctldPidFile": folder / "slurmctld.pid",
        "SlurmdPidFile": folder / "slurmd.pid",
        "StateSaveLocation": folder / "state",
        "SlurmdSpoolDir": folder / "spool",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_Core",
        "SchedulerParameters": "sched_interval=2",
        "ReturnToService": 2,
    }
    text = "".join(f"{k}={v}\n" for k, v in lines.items())
    text += f"NodeName={host} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} State=UNKNOWN\n"
    file.write_text(text + f"PartitionName=all Nodes={host} Default=YES State=UP\n", encoding="utf-8")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    return file


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of commands to a cluster that runs meanwhile."""
    key = folder / "munge.key"
    key.touch(0o400)
    key.chmod(0o600)
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    env = os.environ | {"SLURM_CONF": str(configuration(folder)), "PATH": os.environ["PATH"] + ":/usr/sbin"}
    munged = [program("munged"), "--foreground", "--force", "--num-threads=2"]
    munged += [
        f"--{what}={folder / name}"
        for what, name in (
            ("socket", "munge.socket"),
            ("key-file", "munge.key"),
            ("pid-file", "munge.pid"),
            ("seed-file", "munge.seed"),
            ("log-file", "munge.log"),
        )
    ]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for words in (munged, [program("slurmctld"), "-D"], [program("slurmd"), "-D"]):
            with (folder / f"{Path(words[0]).name}.txt").open("wb") as out:
                started.append(subprocess.Popen(words, env=env, stdout=out, stderr=out))
            time.sleep(2)
        until = time.monotonic() + PATIENCE
        while (
            subprocess.run(
                ["sinfo", "-h", "-o", "%t"], env=env, capture_output=True, text=True, encoding="utf-8"
            ).stdout.strip()
            != "idle"
        ):
            said = "\n".join(
                p.read_text(encoding="utf-8", errors="replace")[-800:] for p in sorted(folder.glob("*.txt"))
            )
            assert all(p.poll() is None for p in started), said
            assert time.monotonic() < until, said
            time.sleep(1)
        yield env
    finally:
        for process in reversed(started):
            process.terminate()
        for process in reversed(started):
            process.wait(60)


def numbers(folder: Path) -> dict[str, Any]:
    """The values of every evaluation of a study, by run."""
    found = {p.parent.name: json.loads(p.read_text(encoding="utf-8")) for p in folder.glob("*/eval.json")}
    return {
        run: {k: v["value"] for k, v in told.items() if isinstance(v, dict) and "value" in v}
        for run, told in found.items()
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--images", type=int, default=20_480, help="of each run")
    options.add_argument("--seeds", type=int, default=2)
    options.add_argument("--note", default="")
    asked = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the cluster ends with this process
    with tempfile.TemporaryDirectory() as tmp:
        home = Path(tmp)
        study = home / "once.yaml"
        recipes = [{"recipe": name, "train.images": asked.images} for name in RECIPES]
        study.write_text(
            json.dumps({"name": "once", "seeds": asked.seeds, "samples": 200, "yardsticks": False, "recipes": recipes}),
            encoding="utf-8",
        )
        command = [sys.executable, "-m", "triptych", "study", str(study)]
        seconds = {}
        (home / "slurm").mkdir()
        with cluster(home / "slurm") as env:
            env |= {"OMP_NUM_THREADS": "1"}
            began = time.perf_counter()
            subprocess.run([*command, "--out", str(home / "there"), "--on", "slurm"], env=env, check=True)
            seconds["slurm"] = time.perf_counter() - began
            version = subprocess.run(
                ["sinfo", "--version"], env=env, capture_output=True, text=True, encoding="utf-8"
            ).stdout.strip()
        began = time.perf_counter()
        subprocess.run([*command, "--out", str(home / "here")], env=env, check=True)
        seconds["local"] = time.perf_counter() - began
        here, there = numbers(home / "here"), numbers(home / "there")
        jobs = len(list((home / "there" / "slurm").glob("*_submission.sh")))
    same = bool(here) and here == there
    record(
        "slurm-once",
        f"a study of {len(RECIPES)} recipes and {asked.seeds} seeds as jobs of {version} on loopback",
        "every number equal to that of local processes",
        f"{len(there)} runs by {jobs} jobs, numbers {'equal' if same else 'DIFFER'}; {seconds['slurm']:.0f} s, and "
        f"{seconds['local']:.0f} s by local processes",
        same,
        {"seconds": seconds, "slurm": version},
        asked.note,
    )


if __name__ == "__main__":
    main()
