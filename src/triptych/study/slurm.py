"""Where a study may be carried out, and what is asked of a Slurm cluster; without heavy imports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ON = "local|ray[://HOST:PORT]|slurm"
"""What `--on` takes."""


@dataclass(frozen=True)
class Slurm:
    """What a job asks the cluster for."""

    partition: str = ""
    """partition of the jobs; default: the cluster's own"""
    minutes: int = 240
    """time limit of a job; one that needs longer is queued again and goes on from its last checkpoint"""
    cpus: int = 1
    """processor cores of a job"""
    gpus: int = 0
    """GPUs of a job"""
    memory: int = 0
    """GB of memory of a job; 0: the cluster's own limit"""
    cluster: Literal["slurm", "local"] = "slurm"
    """local: no cluster, but processes of this machine in its place, to try it out"""
