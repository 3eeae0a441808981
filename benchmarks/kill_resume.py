"""kill −9 at random moments, then resume: are the final weights the uninterrupted run's, bit for bit?"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from common import record

from triptych.run import Run

OPTIONS = [
    "--train.images",
    "40000",
    "--train.checkpoint",
    "2000",
    "--train.evaluate",
    "8000",
    "--train.sample",
    "20000",
]


def train(recipe: str, out: Path, resume: bool = False) -> subprocess.Popen[bytes]:
    argv = ["resume", str(out)] if resume else ["train", recipe, *OPTIONS, "--out", str(out), "--device", "cpu"]
    return subprocess.Popen([sys.executable, "-m", "triptych", *argv], stdout=subprocess.DEVNULL)


def same(a: Path, b: Path) -> bool:
    x, y = (run.read(run.checkpoints()[-1])[0] for run in (Run(a), Run(b)))
    return x.keys() == y.keys() and all(torch.equal(x[k], y[k]) for k in x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--recipes", nargs="+", default=["wgan-gp-25gaussians", "vae-8gaussians", "realnvp-8gaussians"])
    args = parser.parse_args()
    chance = random.Random(0)
    identical, moments = 0, []
    with tempfile.TemporaryDirectory() as folder:
        whole = {}
        for recipe in args.recipes:
            began = time.monotonic()
            assert train(recipe, Path(folder) / recipe).wait() == 0
            whole[recipe] = time.monotonic() - began
        for k in range(args.kills):
            recipe = args.recipes[k % len(args.recipes)]
            out = Path(folder) / f"{recipe}-{k}"
            child = train(recipe, out)
            while not (out / "recipe.json").exists():
                time.sleep(0.005)
            moment = chance.uniform(0, 0.8 * whole[recipe])
            time.sleep(moment)
            child.send_signal(signal.SIGKILL)
            child.wait()
            at = Run(out).checkpoints()
            assert train(recipe, out, resume=True).wait() == 0
            ok = same(Path(folder) / recipe, out)
            identical += ok
            moments.append(
                {"recipe": recipe, "seconds": round(moment, 3), "checkpoint": at[-1] if at else None, "same": ok}
            )
            print(moments[-1], flush=True)
    record(
        "kill-resume",
        "kill −9 at random moments, then `resume`: final weights, optimisers and random states bit-identical",
        f"{args.kills} of {args.kills}",
        f"{identical} of {args.kills} identical ({', '.join(args.recipes)})",
        identical == args.kills,
        {"kills": moments, "options": OPTIONS},
    )


if __name__ == "__main__":
    main()
