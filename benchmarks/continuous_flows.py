"""Continuous flows on the 2-D sets, straight and turned, in equal seconds of one thread, beside the other flows.

Each side is one thread and stops when it has used `--seconds` of processor time; recipes take their budget from the
time of their first steps. `torchcfm` is that library's MLP and training loop as its first example has them, sampled by
100 steps of Euler; it is left out where it is not installed. A set NAME@DEGREES is NAME, turned. The record is written
after each set, and sets of an earlier record stay in it, so that the table can be made in parts.

Modes are judged by good samples, other sets by the sliced Wasserstein distance of 5,000 samples to fresh points beside
that of two sets of fresh points, and all by KL(data ‖ model) with its card. Seeds are not those of any setting.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from common import RESULTS, record, spread
from torch import Tensor

from triptych import recipes, trainer
from triptych.core import Data, DataSpec, Model
from triptych.data import load_spec
from triptych.metrics import mode_coverage
from triptych.metrics.cards import EstimateCard
from triptych.metrics.comparison import fresh
from triptych.metrics.log_likelihoods import exact
from triptych.metrics.transport import sliced_wasserstein
from triptych.recipes.flows import TOYS

SAMPLES, POINTS, FLOORS = 5_000, 5_000, 10
ANGLE = 30
EVERY = [*TOYS, *(f"{name}@{ANGLE}" for name in TOYS)]


def judge(data: Data, samples: Tensor, model: Model | None, seed: int) -> dict[str, Any]:
    row: dict[str, Any] = {"sliced_wasserstein": sliced_wasserstein(fresh(data, SAMPLES, 900 + seed).x, samples)}
    if (law := data.distribution) is not None and law.modes is not None and law.std is not None:
        found = mode_coverage(samples, data.modes, law.std)
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

        batch, steps = recipe.train.batch, 1_000
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


def ahead(rows: dict[str, Any]) -> bool:
    """Whether a set's continuous flow is better, on average, than each of the others."""
    key, sign = ("high_quality", 1) if "high_quality" in rows["cfm"] else ("sliced_wasserstein", -1)
    others = [rows[k][key]["mean"] for k in rows if k not in ("cfm", "floors", "good")]
    return all(sign * rows["cfm"][key]["mean"] > sign * other for other in others)


def written(table: dict[str, Any], seconds: float) -> None:
    """The record of the sets so far."""

    def said(name: str) -> str:
        rows = table[name]
        cfm = rows["cfm"]
        key = "high_quality" if "high_quality" in cfm else "sliced_wasserstein"
        others = [
            f"{k} {rows[k][key]['mean']:.3f}" for k in rows if k not in ("cfm", "floors", "good") and key in rows[k]
        ]
        kl = f"KL {cfm['kl']['mean']:.3f}" + (f" ({', '.join(others)})" if others else "")
        if key == "high_quality":
            return f"{name} {cfm[key]['mean']:.1%} good, {kl}"
        return f"{name} distance {cfm[key]['mean']:.3f} (floor to {max(rows['floors']):.3f}), {kl}"

    sure = [n for n in table if table[n]["cfm"]["kl"]["mean"] <= 0.05 and table[n]["cfm"]["converged"]["mean"] == 1]
    good, missing = [n for n in table if table[n]["good"]], [n for n in EVERY if n not in table]
    turned = [n for n in table if "@" in n]
    first = f"ahead of every other on {sum(ahead(table[n]) for n in turned)} of {len(turned)} turned sets; "
    seeds = {len(row["kl"]["values"]) for row in (table[n]["cfm"] for n in table)}
    record(
        "continuous-flows",
        f"cfm recipes on 2-D sets, straight and turned, {seconds:.0f} s of one thread",
        "good samples ≥ 97 % (turned ≥ 95 %), else sliced Wasserstein within the floor; KL ≤ 0.05 nats, converged; on "
        "turned sets ahead of every other",
        f"{len(good)} of {len(table)} sets good, {len(sure)} with KL ≤ 0.05; {first}" + "; ".join(map(said, table)),
        len(good) == len(sure) == len(table) and all(ahead(table[n]) for n in turned) and (None if missing else True),
        table,
        f"seeds of cfm: {', '.join(map(str, sorted(seeds)))}, of the others fewer (see `values`)"
        + (f"; not run: {', '.join(missing)}" if missing else ""),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rival-seeds", type=int, default=1)
    parser.add_argument("--sets", nargs="+", default=EVERY)
    parser.add_argument("--rivals", nargs="*", default=["realnvp", "spline", "maf"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    file = RESULTS / "continuous-flows.json"
    table: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["details"] if file.exists() else {}
    peer = ["torchcfm"] if find_spec("torchcfm") else []
    for name in args.sets:
        plain = name.partition("@")[0]
        data, runs = load_spec(DataSpec(name)), dict[str, list[dict[str, Any]]]()
        for k in range(args.seeds):
            for family in ["cfm", *(args.rivals + peer if k < args.rival_seeds else [])]:
                seed = 1_000 + k
                made = (
                    torchcfm(name, args.seconds, seed)
                    if family == "torchcfm"
                    else ours(f"{family}-{plain}", name, args.seconds, seed)
                )
                runs.setdefault(family, []).append(made)
                print(name, family, seed, made, flush=True)
        floors = [
            sliced_wasserstein(fresh(data, SAMPLES, 2 * i).x, fresh(data, SAMPLES, 2 * i + 1).x) for i in range(FLOORS)
        ]
        rows = {k: {m: spread([float(r[m]) for r in v]) for m in v[0]} for k, v in runs.items()}
        table[name] = {"floors": floors, **rows, "good": good_enough(rows, "@" in name, floors)}
        written(table, args.seconds)


if __name__ == "__main__":
    main()
