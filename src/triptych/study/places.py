"""The executor that `--on` names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from triptych.core.counts import counted
from triptych.errors import UserError
from triptych.study.executor import Executor
from triptych.study.local import Local
from triptych.study.on_ray import OnRay
from triptych.study.on_slurm import OnSlurm
from triptych.study.slurm import Slurm
from triptych.study.study import MOST


@contextmanager
def executor(on: str, slurm: Slurm, jobs: int | None, device: str, folder: Path) -> Iterator[Executor]:
    """`local`, `ray`, `ray://HOST:PORT` or `slurm`; closed afterwards."""
    if jobs is not None and not 1 <= jobs <= MOST:
        raise UserError(f"--jobs is {counted(jobs)}; give at least 1, and at most {MOST:,}")
    kind, _, address = on.partition("://")
    if kind == "ray":
        found: Executor = OnRay(address, jobs, device)
    elif on == "slurm":
        found = OnSlurm(slurm, jobs, device, folder / "slurm")
    elif on == "local":
        found = Local(jobs, device)
    else:
        raise UserError(f"--on is {on!r}; give local, ray, ray://HOST:PORT or slurm")
    try:
        yield found
    finally:
        found.close()
