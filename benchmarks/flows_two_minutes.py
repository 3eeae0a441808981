"""The same data and the same seconds of processor time: spline couplings here against zuko's NSF.

Each side is one thread and stops when it has used `--seconds` of processor time. zuko is trained as its tutorial
"Train from data" does: NSF with 3 transforms and two hidden layers of 64, Adam with step size 1e-3, batches of 64 out
of 16,384 fixed points. Ours is the recipe `spline-*`, its budget taken from the time of its first steps. Both are
judged on 50,000 points that neither has seen, against the exact density.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
import zuko
from common import RESULTS, record

from triptych import recipes, trainer
from triptych.core import Data
from triptych.data import load_spec
from triptych.recipes.flows import TOYS

POINTS = 50_000


def judge(log_prob: torch.Tensor, data: Data, x: torch.Tensor) -> dict[str, float]:
    log_prob = log_prob.double()
    gap = data.log_prob(x).double() - log_prob
    return {
        "nll": -log_prob.mean().item(),
        "kl": gap.mean().item(),
        "kl_se": gap.std().item() / math.sqrt(len(x)),
        "nonfinite": int((~torch.isfinite(gap)).sum()),
    }


def ours(name: str, data: Data, x: torch.Tensor, seconds: float, seed: int) -> dict[str, float]:
    recipe = recipes.get(f"spline-{name}")
    with tempfile.TemporaryDirectory() as folder:

        def fit(images: int) -> tuple[object, float]:
            train = replace(recipe.train, images=images, log=images, evaluate=images, sample=images, checkpoint=images)
            began = time.process_time()
            out = Path(tempfile.mkdtemp(dir=folder)) / "run"
            run = trainer.fit(replace(recipe, train=train), seed, out, "cpu", progress=False)
            return run.load(device="cpu"), time.process_time() - began

        trial, steps = 0.0, 200
        fit(2 * recipe.train.batch)  # what is done once: imports, the first picture
        _, base = fit(2 * recipe.train.batch)
        _, trial = fit(steps * recipe.train.batch)
        budget = int((seconds - base) / (trial - base) * (steps - 2)) * recipe.train.batch
        model, used = fit(budget)
    with torch.no_grad():
        return judge(model.log_prob(x), data, x) | {"cpu_seconds": used, "images": budget}


def theirs(data: Data, x: torch.Tensor, seconds: float, seed: int) -> dict[str, float]:
    torch.manual_seed(seed)
    train = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(data.sample(16_384, seed=1)), batch_size=64, shuffle=True
    )
    flow = zuko.flows.NSF(features=2, transforms=3, hidden_features=(64, 64))
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-3)
    began, images = time.process_time(), 0
    while time.process_time() - began < seconds:
        for (part,) in train:
            loss = -flow().log_prob(part).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            images += len(part)
            if time.process_time() - began >= seconds:
                break
    with torch.no_grad():
        log_prob = torch.cat([flow().log_prob(part) for part in x.split(4096)])
    return judge(log_prob, data, x) | {"cpu_seconds": time.process_time() - began, "images": images}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--sets", nargs="+", default=list(TOYS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--add", action="store_true", help="to the sets of the last record")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = {}
    for name in args.sets:
        data = load_spec(recipes.get(f"spline-{name}").data)
        x = data.sample(POINTS, seed=99)
        a, b = ours(name, data, x, args.seconds, args.seed), theirs(data, x, args.seconds, args.seed)
        rows[name] = {"ours": a, "zuko": b}
        print(name, rows[name], flush=True)
    if args.add:
        rows = json.loads((RESULTS / "flows-two-minutes.json").read_text(encoding="utf-8"))["details"] | rows
    better = [name for name, r in rows.items() if r["ours"]["nll"] < r["zuko"]["nll"]]
    said = "; ".join(f"{name} {r['ours']['kl']:.3f} against {r['zuko']['kl']:.3f}" for name, r in rows.items())
    record(
        "flows-two-minutes",
        f"KL(data ‖ model) after {args.seconds:.0f} s of one core, spline recipes against zuko's NSF and loop",
        "lower test NLL on every set",
        said + f" nats ({len(better)} of {len(rows)} better)",
        len(better) == len(rows),
        rows,
    )


if __name__ == "__main__":
    main()
