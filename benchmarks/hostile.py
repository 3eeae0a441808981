"""Hostile run folders, archives, pictures, arrays, tables, study files: does one act, write outside, hang or crash?

The inputs come from tests/hostile; each is tried in a forked child that is watched, where extractors of features are
trained on two thousand examples only. `--list` prints every trial that failed, `--kinds` and `--each` try a part.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue

from common import HERE, record

sys.path.insert(0, str(HERE.parent / "tests"))

from hostile.families import a_few, by_kind
from hostile.place import Hostile, Verdict, attempt, clear
from trials.client import Trials

WORDS = ("act", "changed", "hang", "ended", "traceback", "not one line", "taken", "memory", "escape")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="*", default=None)
    parser.add_argument("--each", type=int, default=100_000, help="at most so many trials of a kind")
    parser.add_argument("--jobs", type=int, default=1, help="so many at once")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    tried: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    slowest, largest = 0.0, 0
    kinds = options.kinds or list(by_kind())
    every = [(kind, hostile) for kind in kinds for hostile in a_few(kind, options.each)]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as opened, ThreadPoolExecutor(options.jobs) as several:
        servers: SimpleQueue[Trials] = SimpleQueue()
        for _ in range(options.jobs):
            servers.put(opened.enter_context(Trials()))

        def one(i: int, hostile: Hostile) -> Verdict:
            server, base = servers.get(), Path(folder) / str(i)
            try:
                return attempt(server, hostile, base)
            finally:
                clear(base)
                servers.put(server)

        for (kind, hostile), verdict in zip(
            every, several.map(one, range(len(every)), (hostile for _, hostile in every)), strict=True
        ):
            tried[kind] += 1
            slowest, largest = max(slowest, verdict.seconds), max(largest, verdict.grown)
            if verdict.faults:
                failed[kind] += 1
                if options.list:
                    print(f"{hostile}\n    " + "\n    ".join(verdict.faults), flush=True)
            faults.update({next((w for w in WORDS if f.startswith(w)), "other") for f in verdict.faults})
            if not tried.total() % 100:
                print(f"{tried.total()} of {len(every)} tried, {failed.total()} failed, now {kind}", flush=True)
    n, bad = sum(tried.values()), sum(failed.values())
    if options.no_record:
        return
    record(
        "hostile",
        "hostile run folders, archives, pictures, arrays, tables, YAML and JSON: nothing acts, nothing outside is "
        "written, no traceback, no hang over 10 s (20 s of work of evaluate and study), no more than 1 GB of memory",
        "0 failures in at least 500 trials",
        f"{bad} failures in {n} trials of {len(tried)} kinds; slowest {slowest:.1f} s, {largest / 1e9:.2f} GB more",
        bad == 0 and n >= 500,
        {"tried": dict(tried), "failed": dict(failed), "faults": dict(faults)},
    )


if __name__ == "__main__":
    main()
