"""Continuous flows on the 2-D sets, straight and turned, in equal seconds of one thread, beside the other flows.

Each side is one thread and stops when it has used `--seconds` of processor time; recipes take their budget from the
time of their first steps. `torchcfm` is that library's MLP and training loop as its first example has them, sampled by
100 steps of Euler; it is left out where it is not installed. A set NAME@DEGREES is NAME, turned.

Modes are judged by good samples, other sets by the sliced Wasserstein distance of 5,000 samples to fresh points beside
that of two sets of fresh points, and all by KL(data ‖ model) with its card. Seeds are not those of any setting.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from common import record, spread
from torch import Tensor

from triptych import recipes, trainer
from triptych.core import Data, DataSpec, Model
from triptych.data import load_spec
from triptych.metrics import mode_coverage
from triptych.metrics.cards import EstimateCard
from triptych.metrics.comparison import fresh
from triptych.metrics.likelihood import exact
from triptych.metrics.transport import sliced_wasserstein
from triptych.recipes.flows import TOYS

SAMPLES, POINTS, FLOORS = 5_000, 5_000, 10
ANGLE = 30


def judge(data: Data, samples: Tensor, model: Model | None, seed: int) -> dict[str, Any]:
    row: dict[str, Any] = {"sliced_wasserstein": sliced_wasserstein(fresh(data, SAMPLES, 900 + seed).x, samples)}
    if data.distribution is not None and data.distribution.modes is not None:
        found = mode_coverage(samples, data.modes, data.distribution.std)
        row |= {"modes": found["modes"], "high_quality": found["high_quality"]}
    if model is not None:
        x = data.sample(POINTS, seed=500 + seed)
        log_p, card = exact(model, x)
        row["kl"] = (data.log_prob(x).double() - log_p).mean().item()
        row["converged"] = card.converged if isinstance(card, EstimateCard) else True
    return row


def ours(recipe_name: str, set_name: str, seconds: float, seed: int) -> dict[str, Any]:
    """A recipe on a set, for so many seconds of processor time."""
    base = recipes.get(recipe_name)
    recipe = replace(base, data=DataSpec(set_name))
    with tempfile.TemporaryDirectory() as folder:

        def fit(images: int, name: str) -> tuple[Model, float]:
            train = replace(recipe.train, images=images, log=images, evaluate=images, sample=images, checkpoint=images)
            began = time.process_time()
            run = trainer.fit(replace(recipe, train=train), seed, Path(folder) / name, "cpu", progress=False)
            return run.load(device="cpu"), time.process_time() - began

        batch, steps = recipe.train.batch, 200
        fit(2 * batch, "first")  # what is done once: imports, the first picture
        _, least = fit(2 * batch, "least")
        _, some = fit(steps * batch, "some")
        images = int((seconds - least) / (some - least) * (steps - 2)) * batch
        model, used = fit(images, "whole")
    data = load_spec(recipe.data)
    row = judge(data, model.sample(SAMPLES, seed=seed), model, seed)
    return row | {"cpu_seconds": used, "images": images}


def torchcfm(set_name: str, seconds: float, seed: int) -> dict[str, Any]:
    """The peer's network and loop, as its tutorial on 2-D data has them."""
    from torchcfm.conditional_flow_matching import ConditionalFlowMatcher  # pyright: ignore[reportMissingImports]
    from torchcfm.models.models import MLP  # pyright: ignore[reportMissingImports]

    torch.manual_seed(seed)
    data = load_spec(DataSpec(set_name))
    net, matcher = MLP(dim=2, time_varying=True), ConditionalFlowMatcher(sigma=0.1)
    optimizer = torch.optim.Adam(net.parameters())
    began, images, batch = time.process_time(), 0, 256
    while time.process_time() - began < seconds:
        x1 = data.x[torch.randint(len(data), (batch,))]
        t, xt, ut = matcher.sample_location_and_conditional_flow(torch.randn_like(x1), x1)
        loss = (net(torch.cat([xt, t[:, None]], 1)) - ut).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        images += batch
    used, x = time.process_time() - began, torch.randn(SAMPLES, 2)
    with torch.no_grad():
        for i in range(100):
            x = x + 0.01 * net(torch.cat([x, torch.full((SAMPLES, 1), i / 100)], 1))
    return judge(data, x, None, seed) | {"cpu_seconds": used, "images": images}


def good_enough(rows: dict[str, Any], turned: bool, floors: list[float]) -> bool:
    """Whether a set's continuous flow is as good as was promised, on average over seeds."""
    cfm = rows["cfm"]
    if "high_quality" in cfm:
        return cfm["high_quality"]["mean"] >= (0.95 if turned else 0.97)
    return cfm["sliced_wasserstein"]["mean"] <= max(floors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", default=[*TOYS, *(f"{name}@{ANGLE}" for name in TOYS)])
    parser.add_argument("--families", nargs="+", default=["cfm", "realnvp", "spline", "maf"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    table: dict[str, Any] = {}
    for name in args.sets:
        plain = name.partition("@")[0]
        data, runs = load_spec(DataSpec(name)), dict[str, list[dict[str, Any]]]()
        for seed in range(1_000, 1_000 + args.seeds):
            for family in args.families:
                runs.setdefault(family, []).append(ours(f"{family}-{plain}", name, args.seconds, seed))
                print(name, family, seed, runs[family][-1], flush=True)
            if find_spec("torchcfm"):
                runs.setdefault("torchcfm", []).append(torchcfm(name, args.seconds, seed))
                print(name, "torchcfm", seed, runs["torchcfm"][-1], flush=True)
        floors = [
            sliced_wasserstein(fresh(data, SAMPLES, 2 * i).x, fresh(data, SAMPLES, 2 * i + 1).x) for i in range(FLOORS)
        ]
        rows = {k: {m: spread([float(r[m]) for r in v]) for m in v[0]} for k, v in runs.items()}
        table[name] = {"floors": floors, **rows}
        table[name]["good"] = good_enough(rows, "@" in name, floors)

    def said(name: str) -> str:
        cfm = table[name]["cfm"]
        kl = f"KL {cfm['kl']['mean']:.3f}"
        if "high_quality" in cfm:
            return f"{name} {cfm['high_quality']['mean']:.1%} good, {kl}"
        return (
            f"{name} distance {cfm['sliced_wasserstein']['mean']:.3f} (floor to {max(table[name]['floors']):.3f}), {kl}"
        )

    sure = [n for n in table if table[n]["cfm"]["kl"]["mean"] <= 0.05 and table[n]["cfm"]["converged"]["mean"] == 1]
    good = [n for n in table if table[n]["good"]]
    record(
        "continuous-flows",
        f"cfm recipes on 2-D sets, straight and turned, {args.seconds:.0f} s of one thread, {args.seeds} seeds",
        "good samples ≥ 97 % (turned ≥ 95 %), else sliced Wasserstein within the floor; KL ≤ 0.05 nats, converged",
        f"{len(good)} of {len(table)} sets good, {len(sure)} with KL ≤ 0.05: " + "; ".join(map(said, table)),
        len(good) == len(sure) == len(table),
        table,
    )


if __name__ == "__main__":
    main()
