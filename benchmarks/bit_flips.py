"""One bit flipped at random places of checkpoints and of prepared data: is it found before anything is made of it?

Found is: the command refuses (status 2), or says which checkpoint it does not take, or makes the array anew.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from pathlib import Path

from common import HERE, record

sys.path.insert(0, str(HERE.parent / "tests"))

from trials.client import Trials
from trials.points import SUBJECTS, Bench


def flip(path: Path, rng: random.Random) -> str:
    """Turn one bit round, at the file's old size and time; where it was."""
    raw, times = bytearray(path.read_bytes()), path.stat()
    at, bit = rng.randrange(len(raw)), rng.randrange(8)
    raw[at] ^= 1 << bit
    path.write_bytes(raw)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return f"{path.name} byte {at} bit {bit}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=100, help="half in checkpoints, half in the cache")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    missed: list[str] = []
    with Trials() as trials, tempfile.TemporaryDirectory() as folder:
        bench = Bench(trials, SUBJECTS["GAN"], Path(folder) / "run")
        run, out = bench.here / "run", bench.here / "x.npy"
        newest = sorted((run / "checkpoints").glob("0*.safetensors"))[-1]
        sound = newest.read_bytes()
        for _ in range(options.flips // 2):
            where = flip(newest, rng)
            argv = ["sample", str(run), "-n", "4", "--out", str(out)]
            status = bench.ask(argv)["status"]
            said = (bench.base / "stdout").read_text(encoding="utf-8") + (bench.base / "stderr").read_text(
                encoding="utf-8"
            )
            if status == 0 and newest.stem not in said and str(int(newest.stem)) not in said.replace(",", ""):
                missed.append(where)
            newest.write_bytes(sound)
            out.unlink(missing_ok=True)
        bench = Bench(trials, SUBJECTS["preparation"], Path(folder) / "prepared")
        files = sorted((bench.base / "cache").rglob("*.npy"))
        for k in range(options.flips - options.flips // 2):
            file = files[k % len(files)]
            before = file.read_bytes()
            where = flip(file, rng)
            status = bench.ask(bench.subject.again(bench.here))["status"]
            if status == 0 and file.read_bytes() != before:
                missed.append(where)
            if file.exists():
                file.write_bytes(before)
    found = options.flips - len(missed)
    print("\n".join(f"  not found: {m}" for m in missed[:20]))
    if options.no_record:
        print(f"{found} of {options.flips} found")
        return
    record(
        "bit_flips",
        "one bit flipped at a random place of a checkpoint or of the prepared data is found",
        "100 of 100",
        f"{found} of {options.flips}",
        not missed and options.flips >= 100,
        {"missed": missed, "seed": options.seed},
    )


if __name__ == "__main__":
    main()
