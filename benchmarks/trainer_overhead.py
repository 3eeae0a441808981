"""What the trainer costs against another commit: processor time of one training in 2-D, in alternating pairs.

    python benchmarks/trainer_overhead.py --against COMMIT

WGAN-GP between networks of 128 units, where a step is short and the trainer's share of it large. Both trees train
the same recipe from the same seed in turns, each in a process that stays, so that neither imports nor the first
training count. The last checkpoints of both have to be the same to the last bit, or the two did not do the same work.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from subprocess import PIPE

from common import record
from safety_cost import ROOT, interval, unpack

LIMIT = 1.01
MEASURE = """
import hashlib, os, sys, time
from dataclasses import replace
import torch
torch.set_num_threads(1)
import triptych
assert triptych.__file__.startswith(os.environ["TREE"]), triptych.__file__
from triptych import trainer
from triptych.core import DataSpec, Recipe, Train
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.gan import WGANGP
steps, out = int(sys.argv[1]), sys.argv[2]
images = steps * 5 * 256
train = Train(images=images, batch=256, ema=0.999, log=images // 20, evaluate=images, checkpoint=images)
recipe = Recipe(DataSpec("25gaussians"), MLPGAN(width=128), WGANGP(), train, name="overhead")
for k, _ in enumerate(sys.stdin):
    began = time.process_time()
    run = trainer.fit(recipe, 0, f"{out}/{k}", "cpu", progress=False)
    used = time.process_time() - began
    tensors = run.read(run.checkpoints()[-1])[0]
    digest = hashlib.sha256(b"".join(tensors[k].numpy().tobytes() for k in sorted(tensors))).hexdigest()
    print(used, digest, flush=True)
"""


class Tree:
    """A process that trains by one tree, once each time that it is asked."""

    def __init__(self, tree: Path, steps: int, out: Path) -> None:
        env = os.environ | {"PYTHONPATH": str(tree / "src"), "TREE": str(tree), "OMP_NUM_THREADS": "1"}
        argv = [sys.executable, "-P", "-c", MEASURE, str(steps), str(out)]
        self.child = subprocess.Popen(
            argv, env=env | {"TRIPTYCH_CACHE": str(out / "cache")}, stdin=PIPE, stdout=PIPE, text=True, encoding="utf-8"
        )

    def measured(self) -> tuple[float, str]:
        """Processor seconds of one training, and the hash of all tensors that its last checkpoint holds."""
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        print(file=self.child.stdin, flush=True)
        seconds, digest = self.child.stdout.readline().split()
        return float(seconds), digest

    def close(self) -> None:
        assert self.child.stdin is not None
        self.child.stdin.close()
        self.child.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", required=True, help="commit to compare with")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--steps", type=int, default=200, help="generator steps of one training")
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    pairs: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        unpack(options.against, base / "old")
        new, old = Tree(ROOT, options.steps, base / "a"), Tree(base / "old", options.steps, base / "b")
        for k in range(options.pairs + 1):
            found = {tree: tree.measured() for tree in ((old, new) if k % 2 else (new, old))}
            if found[new][1] != found[old][1]:
                raise RuntimeError("the two trees end with other weights; they did not do the same work")
            if k:  # the first of each warms up
                pairs.append((found[new][0], found[old][0]))
        new.close()
        old.close()
    ratios = [a / b for a, b in pairs]
    (low, high), median = interval(ratios), statistics.median(ratios)
    said = f"{median:.4f} ({low:.4f} to {high:.4f}), median of {len(pairs)} pairs with its bootstrap interval"
    print(said)
    if not options.no_record:
        record(
            "trainer_overhead",
            f"processor time of training WGAN-GP in 2-D, {options.steps} steps, against commit {options.against}",
            f"the 95 % interval of the median ratio does not lie wholly above {LIMIT}",
            said,
            len(pairs) >= 30 and low <= LIMIT,
            {"median": median, "low": low, "high": high, "pairs": pairs, "steps": options.steps},
        )


if __name__ == "__main__":
    main()
