"""What a change costs: processor time of training, resume, prepare and report, against another commit, in pairs.

    python benchmarks/safety_cost.py --against COMMIT

Both trees do the same work in turns, in processes of their own; imports are not counted, child processes are. With
`--work` some are measured, and the record keeps what it has of the others, with the commit that they are of.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from common import HERE, RESULTS, commit, record
from PIL import Image

ROOT = HERE.parent
LIMIT = 1.02
WORK = ("training", "resume", "prepare", "report")
MEASURE = """
import os, resource, sys, time
import torch, PIL.Image, matplotlib.figure
torch.set_num_threads(1)
import pkgutil, importlib, triptych
assert triptych.__file__.startswith(os.environ["TREE"]), triptych.__file__
for m in pkgutil.walk_packages(triptych.__path__, "triptych."):
    if not m.name.endswith(("__main__", "zuko", "worker", "decode")):
        importlib.import_module(m.name)
from triptych.cli import main
def used():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
began = used()
status = main(sys.argv[1:])
print("processor seconds", used() - began)
sys.exit(status)
"""


def measured(tree: Path, work: str, argv: list[str], base: Path) -> float:
    """Processor seconds of one command of a tree."""
    env = os.environ | {"PYTHONPATH": str(tree / "src"), "TREE": str(tree), "OMP_NUM_THREADS": "1"}
    env |= {"TRIPTYCH_CACHE": str(base / "cache")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", MEASURE, *argv], env=env, capture_output=True, text=True, encoding="utf-8"
    )
    if done.returncode:
        raise RuntimeError(f"{work} of {tree}: {done.stderr[-500:]}")
    return float(done.stdout.split()[-1])


def once(tree: Path, work: str, pictures: Path, runs: list[Path]) -> float:
    """One work in an empty place."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        if work == "training":
            argv = ["train", "wgan-gp-25gaussians", "--train.images", "25600", "--train.evaluate", "25600"]
            argv += ["--train.checkpoint", "2560", "--out", str(base / "run")]
        elif work == "resume":
            shutil.copytree(runs[0], base / "run")
            argv = ["resume", str(base / "run")]
        elif work == "prepare":
            argv = ["data", "prepare", str(pictures), "--resolution", "32"]
        else:
            argv = ["report", *map(str, runs), "--out", str(base / "report.html")]
        return measured(tree, work, argv, base)


def interval(ratios: list[float], resamples: int = 10_000) -> tuple[float, float]:
    """95 % bootstrap interval of the median."""
    rng = np.random.default_rng(0)
    drawn = np.median(rng.choice(ratios, (resamples, len(ratios))), axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def unpack(commit: str, folder: Path) -> None:
    """The tree of a commit, without touching this one."""
    packed = subprocess.run(["git", "-C", str(ROOT), "archive", commit], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as t:
        t.extractall(folder, filter="data")


def kept(against: str, pairs: int) -> dict[str, dict]:
    """What the record has of works that were measured against the same commit before, each with the commit it is of."""
    file = RESULTS / "safety_cost.json"
    if not file.exists():
        return {}
    before = json.loads(file.read_text(encoding="utf-8"))
    if against not in before["claim"]:
        return {}
    return {
        work: {"commit": before["commit"], **f} for work, f in before["details"].items() if len(f["pairs"]) >= pairs
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", required=True, help="commit to compare with")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--work", nargs="*", default=list(WORK), choices=WORK)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder) / "old"
        unpack(options.against, old)
        pictures = Path(folder) / "pics"
        pictures.mkdir()
        rng = np.random.default_rng(0)
        for i in range(300):
            Image.fromarray(rng.integers(0, 256, (96, 80, 3), dtype=np.uint8)).save(pictures / f"{i}.jpg")
        runs = []
        for kind in ("gan", "vae", "flow"):
            runs.append(Path(folder) / kind)
            shutil.copytree(ROOT / "tests" / "fixtures" / "runs-0.1" / kind, runs[-1])
        for work in options.work:
            once(ROOT, work, pictures, runs)  # files in memory
            pairs = []
            for k in range(options.pairs):
                order = (old, ROOT) if k % 2 else (ROOT, old)
                took = {tree: once(tree, work, pictures, runs) for tree in order}
                pairs.append((took[ROOT], took[old]))
            ratios = [a / b for a, b in pairs]
            low, high = interval(ratios)
            found[work] = {"median": statistics.median(ratios), "low": low, "high": high, "pairs": pairs}
            found[work]["commit"] = commit()
            print(f"{work}: {found[work]['median']:.3f} ({low:.3f} to {high:.3f})", flush=True)
    if options.no_record:
        return
    found = kept(options.against, options.pairs) | found
    said = "; ".join(
        f"{work} {f['median']:.3f} ({f['low']:.3f} to {f['high']:.3f}; at {f['commit']})" for work, f in found.items()
    )
    record(
        "safety_cost",
        f"processor time of training, resume, prepare and report against commit {options.against}",
        f"the 95 % interval of the median ratio does not lie wholly above {LIMIT}",
        f"{said}, medians of {options.pairs} pairs with bootstrap intervals",
        options.pairs >= 30 and all(f["low"] <= LIMIT for f in found.values()) and set(found) == set(WORK),
        found,
    )


if __name__ == "__main__":
    main()
