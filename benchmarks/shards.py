"""A million generated pictures prepared in shards, each by a process of its own, against all at once: rate and memory.

Pictures are random PNG files of 32 px in tars. Shards run `--jobs` at a time; the memory of each process with its
workers, pages that several share counted by their part, is read from the operating system a few times a second. Then
the merged files are compared with the unsharded ones.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from common import record
from PIL import Image

from triptych.data.prepare.prepared import CHECKED

TAR = 10_000
"""Pictures in one tar."""
LIMIT = 500e6


def generate(folder: Path, n: int) -> None:
    """Tars of distinct PNG files of 32 px: four random colours each, so that they compress."""
    noise = np.random.default_rng(0)
    for start in range(0, n, TAR):
        with tarfile.open(folder / f"{start // TAR:05d}.tar", "w") as tar:
            for i in range(start, min(start + TAR, n)):
                quarters = noise.integers(256, size=(2, 2, 3), dtype=np.uint8)
                content = io.BytesIO()
                Image.fromarray(quarters.repeat(16, 0).repeat(16, 1)).save(content, "PNG", compress_level=1)
                member = tarfile.TarInfo(f"{i:08d}.png")
                member.size = content.tell()
                content.seek(0)
                tar.addfile(member, content)


def held(pid: int) -> int:
    """Bytes of a process and its children; a page that several hold counts for each by its part."""
    total = 0
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
        total = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(held(int(child)) for child in (task / "children").read_text(encoding="utf-8").split())
    except (OSError, StopIteration):
        pass
    return total


def command(cache: Path, *words: str) -> tuple[float, int, float]:
    """Seconds, the most bytes and the seconds of processor time of `triptych data ...`, its workers counted."""
    env = os.environ | {"TRIPTYCH_CACHE": str(cache)}
    began, most = time.perf_counter(), 0
    out = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, "-m", "triptych", "data", *words], env=env, stdout=out, stderr=out)
    while True:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        most = max(most, held(process.pid))
        time.sleep(1.0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, words
    return time.perf_counter() - began, most, used.ru_utime + used.ru_stime


def sums(cache: Path) -> dict[str, str]:
    """Checksums of the prepared set's files, but for the note of when its arrays were last read, and from where."""
    (folder,) = (p.parent for p in (cache / "prepared").glob("*/about.json"))
    found = {}
    for file in folder.iterdir():
        if file.name == CHECKED:
            continue
        with file.open("rb") as f:  # piece by piece: the array has gigabytes
            found[file.name] = hashlib.file_digest(f, "sha256").hexdigest()
    return found


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--pictures", type=int, default=1_000_000)
    options.add_argument("--shards", type=int, default=4)
    options.add_argument("--jobs", type=int, default=2, help="shards at a time")
    options.add_argument("--folder", type=Path, help="where pictures and caches go; default: a temporary folder")
    options.add_argument("--note", default="")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as tmp:
        pictures, whole, parts = Path(tmp) / "pictures", Path(tmp) / "whole", Path(tmp) / "parts"
        pictures.mkdir()
        generate(pictures, asked.pictures)
        source = [str(pictures), "--resolution", "32"]
        at_once = command(whole, "prepare", *source)
        began = time.perf_counter()
        with ThreadPoolExecutor(asked.jobs) as pool:
            shards = list(
                pool.map(
                    lambda i: command(parts, "prepare", *source, "--shard", f"{i + 1}/{asked.shards}"),
                    range(asked.shards),
                )
            )
        sharded = time.perf_counter() - began
        merge = command(parts, "merge", *source)
        one, other = sums(whole), sums(parts)
        differ = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
        most = max(m for _, m, _ in (at_once, *shards, merge))
        record(
            "shards",
            f"{asked.pictures:,} generated pictures of 32 px prepared in {asked.shards} shards and merged",
            "each process under 500 MB, workers counted; every file equal to that of one process, to the last bit",
            f"{asked.pictures / (sharded + merge[0]):,.0f} pictures/s in shards, {asked.jobs} at a time "
            f"({sharded:.0f} s and {merge[0]:.0f} s for the merge), {asked.pictures / at_once[0]:,.0f}/s at once, "
            f"{asked.pictures / at_once[2]:,.0f} for each second of a processor; most "
            f"memory of a process {most / 1e6:.0f} MB (at once {at_once[1] / 1e6:.0f}, a shard "
            f"{max(m for _, m, _ in shards) / 1e6:.0f}, the merge {merge[1] / 1e6:.0f}); files "
            f"{'differ: ' + ', '.join(differ) if differ else 'equal'}",
            not differ and most < LIMIT,
            {"at once": at_once, "shards": shards, "merge": merge, "differ": differ},
            asked.note,
        )


if __name__ == "__main__":
    main()
