"""How long the runs of a finished study trained: `python benchmarks/study_times.py FOLDER --limit SECONDS`."""

from __future__ import annotations

import argparse
import statistics
from collections import Counter
from pathlib import Path

from common import record

from triptych.run import Run
from triptych.system.files import read_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, help="folder made by `triptych study NAME --scale quick`")
    parser.add_argument("--limit", type=float, required=True, help="seconds a run may take")
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    told = read_json(args.study / "study.json")
    runs = [Run(args.study / entry["run"]) for entry in told["runs"] if entry["state"] == "done"]
    seconds = {run.path.name: run.status["seconds"] for run in runs}
    states = Counter(entry["state"] for entry in told["runs"])
    slow = {name: s for name, s in seconds.items() if s > args.limit}
    middle, worst = statistics.median(seconds.values()), max(seconds.values())
    record(
        f"study-times-{told['name']}",
        f"training of each run of `triptych study {told['name']} --scale quick --seeds {told['seeds']}`, two at a time",
        f"≤ {args.limit:g} s a run",
        f"median {middle:.0f} s, slowest {worst:.0f} s; {len(slow)} of {len(seconds)} above {args.limit:g} s; "
        + ", ".join(f"{n} {state}" for state, n in sorted(states.items())),
        not slow and set(states) == {"done"},
        {"seconds": seconds},
        args.note,
    )


if __name__ == "__main__":
    main()
