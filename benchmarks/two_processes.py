"""Two processes do the same at the same time: evaluate, report, prepare, resume. Is anything torn, or does one fail?

While they work, a reader opens every file that they write, over and over: each is whole or not there. Of two that
resume one run, one may be turned away with a line that says so.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from common import HERE, record

sys.path.insert(0, str(HERE.parent / "tests"))

from PIL import Image
from trials.client import Trials
from trials.points import content, differences

FIXTURE = HERE.parent / "tests" / "fixtures" / "runs-0.1" / "gan"
READ = {".json", ".jsonl", ".html", ".csv", ".npy"}


class Reader(threading.Thread):
    """Reads what lies below a folder until it is stopped, and counts what is not whole."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder, self.stopped = folder, threading.Event()
        self.reads, self.torn = 0, []

    def run(self) -> None:
        while not self.stopped.is_set():
            # os.walk goes on where a folder is gone in between
            for path in [Path(where, name) for where, _, names in os.walk(self.folder) for name in names]:
                # what begins with a point is being written, and nobody else's to read
                if path.suffix in READ and not any(p.startswith(".") for p in path.relative_to(self.folder).parts):
                    try:
                        whole = check(path)
                    except OSError:  # gone in between
                        continue
                    self.reads += 1
                    if not whole:
                        self.torn.append(path.name)

    def stop(self) -> None:
        self.stopped.set()
        self.join()


def check(path: Path) -> bool:
    """Whether a file is whole."""
    if path.suffix == ".npy":
        try:
            np.load(path, mmap_mode="r")
        except ValueError:
            return False
        return True
    raw = path.read_bytes()
    try:
        if path.suffix == ".json":
            json.loads(raw)
        elif path.suffix == ".jsonl":  # a last line may be on its way
            for line in raw.split(b"\n")[:-1]:
                json.loads(line)
        elif path.suffix == ".html":
            return raw.rstrip().endswith(b"</html>")
        else:
            return raw.endswith(b"\n")
    except ValueError:
        return False
    return True


def pictures(folder: Path, n: int = 60) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(n):
        Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(folder / f"{i}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    failures: list[str] = []
    torn: Counter[str] = Counter()
    reads = 0
    with Trials() as one, Trials() as other, tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as both:
        base = Path(folder)
        pictures(base / "pics")

        def ask(number: int, server: Trials, argv: list[str], place: Path) -> tuple[int, str]:
            said = base / f"said-{number}"
            trial: dict[str, Any] = {"argv": argv, "cwd": str(place), "stdout": f"{said}.out", "stderr": f"{said}.err"}
            trial["env"] = {"TRIPTYCH_CACHE": str(place / "cache"), "HOME": str(base), "TMPDIR": str(base)}
            answer = server.run(trial | {"limit": 300})
            text = Path(f"{said}.err").read_text(encoding="utf-8", errors="replace").strip()
            return answer["status"], text.splitlines()[-1] if text else ""

        def at_once(what: str, argv: list[str], place: Path) -> None:
            """Both run the command; at most one may be turned away, and only where one run is resumed twice."""
            asked = [both.submit(ask, i, server, argv, place) for i, server in enumerate((one, other))]
            ended = [a.result() for a in asked]
            bad = [e for e in ended if e[0] != 0]
            if what == "resume" and len(bad) == 1 and bad[0][0] == 2 and bad[0][1].startswith("error: "):
                return
            failures.extend(f"{what}: status {status}: {said[:200]}" for status, said in bad)

        alone = base / "alone"
        shutil.copytree(FIXTURE, alone / "run")
        ask(0, one, ["resume", str(alone / "run")], alone)
        expected = {str(p.relative_to(alone)): content(p) for p in (alone / "run").rglob("*")}
        for k in range(options.rounds):
            place = base / f"round-{k}"
            shutil.copytree(FIXTURE, place / "run")
            reader = Reader(place)
            reader.start()
            run, report = str(place / "run"), str(place / "report.html")
            at_once("prepare", ["data", "prepare", str(base / "pics"), "--resolution", "8"], place)
            at_once("resume", ["resume", run], place)
            now = {str(p.relative_to(place)): content(p) for p in (place / "run").rglob("*")}
            failures += [f"resume: {d}" for d in differences(expected, now)]
            at_once("evaluate", ["evaluate", run, "-n", "64"], place)
            at_once("report", ["report", run, "--out", report], place)
            reader.stop()
            reads += reader.reads
            torn.update(reader.torn)
            for path in place.rglob("*"):
                if path.name.endswith((".part", ".partial")) or ".tmp" in path.name:
                    failures.append(f"left over: {path.name}")
            shutil.rmtree(place)
            print(f"round {k + 1}: {len(failures)} failures, {sum(torn.values())} torn of {reads} reads", flush=True)
    for failure, n in Counter(failures).most_common(20):
        print(f"  {n} times {failure}")
    if options.no_record:
        return
    record(
        "two_processes",
        "two processes evaluate, report, prepare and resume the same at one time, while a third reads what they write",
        "50 rounds, 0 torn reads, 0 failures",
        f"{options.rounds} rounds, {sum(torn.values())} torn of {reads:,} reads, {len(failures)} failures",
        options.rounds >= 50 and not torn and not failures,
        {"failures": dict(Counter(failures)), "torn": dict(torn), "reads": reads},
    )


if __name__ == "__main__":
    main()
