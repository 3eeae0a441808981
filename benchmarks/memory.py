"""Resident memory while preparing a set of 2 GB, and while reading epochs of it.

The birds at 350 x 350 make 2.2 GB. A process of its own prepares them, another reads three epochs; the size of
either (and its workers) is read from the operating system ten times a second.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import record

from triptych.data.sources.image_folders import BIRDS

SIDE, BATCH, EPOCHS = 350, 32, 3

PREPARE = f"""
import resource, torch
from triptych import data
d = data.load({{source!r}}, "all", resolution={SIDE})
print(d.x.numel())
"""
READ = f"""
import sys, torch
from triptych import data
from triptych.data.batches import Batches
d = data.load({{source!r}}, "all", resolution={SIDE})
print("start", flush=True)
stream = Batches(d, {BATCH}, seed=0, device=torch.device("cpu"))
for epoch in range({EPOCHS}):
    for _ in range(len(d) // {BATCH}):
        total = float(next(stream).sum())
    print("epoch", flush=True)
"""


def resident(pid: int) -> int:
    """Bytes of a process and its children."""
    total = 0
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        total = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text(encoding="utf-8").split():
                total += resident(int(child))
    except (OSError, StopIteration):
        pass
    return total


def watch(code: str, cache: str) -> tuple[list[int], list[tuple[str, int]]]:
    """Sizes over a process's life, and each line it printed with the number of sizes read by then."""
    import os
    import threading

    env = os.environ | {"TRIPTYCH_CACHE": cache}
    p = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, encoding="utf-8", env=env)
    sizes: list[int] = []
    said: list[tuple[str, int]] = []

    def listen() -> None:
        assert p.stdout is not None
        said.extend((line.strip(), len(sizes)) for line in p.stdout)

    reader = threading.Thread(target=listen)
    reader.start()
    while p.poll() is None:
        sizes.append(resident(p.pid))
        time.sleep(0.1)
    reader.join()
    assert p.returncode == 0
    return sizes, said


def main() -> None:
    source = str(BIRDS.home())
    bare, _ = watch(
        "import torch, time; from triptych import data; from triptych.data import batches; time.sleep(0.5)", "/nowhere"
    )
    with tempfile.TemporaryDirectory() as tmp:
        preparing, said = watch(PREPARE.format(source=source), tmp)
        size = int(said[0][0])
        reading, marks = watch(READ.format(source=source), tmp)
    ends = [0, *[i for line, i in marks if line in ("start", "epoch")]]
    peaks = [max(reading[a:b], default=0) for a, b in itertools.pairwise(ends[1:])]
    base = max(bare)
    above = {"preparing": (max(preparing) - base) / 2**20, "reading": (max(peaks) - base) / 2**20}
    growth = (peaks[-1] - peaks[0]) / 2**20
    record(
        "memory",
        f"resident memory while preparing {size / 2**30:.2f} GB and while reading {EPOCHS} epochs of it",
        "under 1.5 GB above the model, no growth over epochs",
        f"{above['preparing']:.0f} MB (workers counted) and {above['reading']:.0f} MB above the bare imports, "
        f"{growth:+.0f} MB from the first epoch to the last",
        max(above.values()) < 1536 and growth < 50,
        {
            "megabytes_above": above,
            "epoch_peaks_mb": [p / 2**20 for p in peaks],
            "imports_mb": base / 2**20,
            "bytes": size,
        },
    )


if __name__ == "__main__":
    main()
