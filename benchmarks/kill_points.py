"""SIGKILL before every file operation of tiny trainings, a study and a preparation, and at random moments.

Then the command is asked again until it is done, and everything that it left is compared with what an uncut one left:
weights, optimisers, random states, log lines, the best checkpoint, pictures, and that nothing is left over.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common import HERE, record

sys.path.insert(0, str(HERE.parent / "tests"))

from trials.client import Trials
from trials.points import SUBJECTS, Bench


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", nargs="*", default=list(SUBJECTS), choices=list(SUBJECTS))
    parser.add_argument("--random", type=int, default=200, help="kills at random moments, shared by the subjects")
    parser.add_argument("--every", type=int, default=1, help="every so many file operations")
    parser.add_argument("--jobs", type=int, default=1, help="so many subjects at once")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    points: Counter[str] = Counter()
    moments: Counter[str] = Counter()
    unlike: list[str] = []
    shares = {
        name: options.random // len(options.subjects) + (i < options.random % len(options.subjects))
        for i, name in enumerate(options.subjects)
    }

    def one(name: str) -> None:
        rng = random.Random(f"{options.seed} {name}")
        with Trials() as trials:
            bench = Bench(trials, SUBJECTS[name], Path(folder) / name)
            print(f"{name}: {len(bench.operations)} file operations, {bench.seconds:.1f} s", flush=True)
            for k, operation, found in bench.every_point(range(1, len(bench.operations) + 1, options.every)):
                points[name] += 1
                if found:
                    unlike.append(f"{name} before operation {k} ({operation}): {'; '.join(found[:6])}")
                    print(f"  {unlike[-1]}", flush=True)
            for _ in range(shares[name]):
                after = rng.uniform(0, bench.seconds)
                found = bench.cut(after=after)
                moments[name] += 1
                if found:
                    unlike.append(f"{name} after {after:.3f} s: {'; '.join(found[:6])}")
                    print(f"  {unlike[-1]}", flush=True)
            print(f"{name}: {points[name]} points, {moments[name]} moments; {len(unlike)} unlike so far", flush=True)

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as several:
        list(several.map(one, options.subjects))
    n, m = sum(points.values()), sum(moments.values())
    if options.no_record:
        return
    record(
        "kill_points",
        "kill −9 before every file operation, and at random moments, of a GAN, a VAE, a flow, a study and a "
        "preparation, then asked again: all that is left is identical, best checkpoint included, nothing is left over",
        "all of at least 300 points and 200 random moments",
        f"{n + m - len(unlike)} of {n} points and {m} random moments identical",
        not unlike and n >= 300 and m >= 200,
        {"points": dict(points), "moments": dict(moments), "unlike": unlike, "seed": options.seed},
    )


if __name__ == "__main__":
    main()
