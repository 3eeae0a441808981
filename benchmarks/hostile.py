"""Hostile run folders, archives, pictures, arrays, tables, study files: does one act, write outside, hang or crash?

The inputs come from tests/hostile; each is tried in a forked child that is watched. `--list` prints every trial that
failed, `--kinds` and `--each` try a part.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from common import HERE, record

sys.path.insert(0, str(HERE.parent / "tests"))

from hostile.families import a_few, by_kind
from hostile.place import attempt, clear
from trials.client import Trials

WORDS = ("act", "changed", "hang", "ended", "traceback", "not one line", "taken", "memory", "escape")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="*", default=None)
    parser.add_argument("--each", type=int, default=100_000, help="at most so many trials of a kind")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    tried: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    by_fault: dict[str, Counter[str]] = {}
    slowest, largest = 0.0, 0
    with Trials() as trials, tempfile.TemporaryDirectory() as folder:
        for kind in options.kinds or by_kind():
            for i, hostile in enumerate(a_few(kind, options.each)):
                base = Path(folder) / f"{sum(tried.values())}-{i}"
                verdict = attempt(trials, hostile, base)
                clear(base)
                tried[kind] += 1
                slowest, largest = max(slowest, verdict.seconds), max(largest, verdict.grown)
                if verdict.faults:
                    failed[kind] += 1
                    if options.list:
                        print(f"{hostile}\n    " + "\n    ".join(verdict.faults), flush=True)
                for fault in {next((w for w in WORDS if f.startswith(w)), "other") for f in verdict.faults}:
                    faults[fault] += 1
                    by_fault.setdefault(kind, Counter())[fault] += 1
            print(f"{kind}: {failed[kind]} of {tried[kind]} failed {dict(by_fault.get(kind, {}))}", flush=True)
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
