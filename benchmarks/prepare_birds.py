"""Preparing the birds to 32 x 32, against a bare pool of processes that decodes and resizes the same files.

Both read the files of one folder and end with the array in memory or on disk; ours also hashes every file, keeps a
journal for restarts and writes the index. Then every prepared pixel is compared with Pillow's.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import tempfile
from pathlib import Path

import numpy as np
from common import in_turns, ratio, record
from PIL import Image

from triptych.data import load
from triptych.data.prepare.decode import FILTERS
from triptych.data.sources.image_folders import BIRDS

SIZE = 32


def bare(path: str) -> np.ndarray:
    with Image.open(path) as im:
        return np.asarray(im.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def pool(files: list[str], workers: int) -> np.ndarray:
    with multiprocessing.get_context("fork").Pool(workers) as p:
        return np.stack(list(p.imap(bare, files, chunksize=64)))


def main() -> None:
    source = BIRDS.home()
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp) / "birds"
        if source.is_file():
            import tarfile

            with tarfile.open(source) as t:
                t.extractall(folder, filter="data")
        else:
            folder = source
        files = sorted(str(p) for p in folder.rglob("*.jpg"))
        workers = len(os.sched_getaffinity(0))
        count = iter(range(1000))

        def ours() -> object:
            os.environ["TRIPTYCH_CACHE"] = f"{tmp}/cache{next(count)}"
            return load(folder, "all", resolution=SIZE)

        times = in_turns({"pool": lambda: pool(files, workers), "triptych": ours}, rounds=7)
        speed = ratio(times["pool"], times["triptych"])
        rates = {k: len(files) / statistics.median(v) for k, v in times.items()}
        record(
            "prepare_birds",
            f"preparing {len(files):,} birds to {SIZE} x {SIZE}",
            "at least 85 % of the speed of a bare multi-process Pillow loop on the same files",
            f"{100 * speed['median']:.0f} % ({rates['triptych']:,.0f} against {rates['pool']:,.0f} pictures/s)",
            speed["median"] >= 0.85,
            {"ratio": speed, "seconds": times, "pictures_per_second": rates, "workers": workers},
        )
        compare(folder, tmp)


def compare(folder: Path, tmp: str) -> None:
    """Every prepared value against Pillow's own, for every filter."""
    different, values = 0, 0
    for name, kind in FILTERS.items():
        os.environ["TRIPTYCH_CACHE"] = f"{tmp}/cache-{name}"
        data = load(folder, "all", resolution=SIZE, filter=name)  # type: ignore[arg-type]
        index = Path(data.about["folder"], "index.json").read_text(encoding="utf-8")
        import json

        for entry in json.loads(index)["sources"]:
            with Image.open(folder / entry["name"]) as im:
                want = np.asarray(im.convert("RGB").resize((SIZE, SIZE), kind)).transpose(2, 0, 1)
            different += int((data.x[entry["row"]].numpy() != want).sum())
            values += want.size
    record(
        "resampling",
        "prepared pixels against Pillow's, four filters",
        "equal bit for bit",
        f"{different} of {values:,} values differ",
        different == 0,
        {"different": different, "values": values, "filters": list(FILTERS)},
    )


if __name__ == "__main__":
    main()
