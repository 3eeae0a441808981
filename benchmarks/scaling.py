"""Two ranks on two cores against one process with two threads: examples per second of the trainer's own step.

`python benchmarks/scaling.py` starts itself as two ranks; both ways run in turns, each with processes of its own, so
that starting is not counted. Beside it, what a step sends: numbers of bytes, from the model alone.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import replace

import torch
from common import ratio, record

from triptych.core import Data, Recipe
from triptych.data import load_spec
from triptych.models.build import build
from triptych.models.gans.resnet import ResNetGAN
from triptych.recipes import get
from triptych.system import device, distributed
from triptych.trainer.state import State
from triptych.trainer.step import step

RECIPES = {"birds step": "wgan-gp-birds", "2-D step": "wgan-gp-25gaussians"}
BATCH = {"birds step": 64}
FABRICS = {"NVLink, 400 GB/s": 400e9, "25 Gbit/s": 25e9 / 8}
"""Bytes that a device sends a second."""


def recipe_of(case: str, width: int) -> Recipe:
    recipe = get(RECIPES[case])
    train = replace(recipe.train, batch=BATCH.get(case, recipe.train.batch), precision="fp32")
    narrower = width and case == "birds step"
    return replace(recipe, train=train, model=ResNetGAN(width=width) if narrower else recipe.model)


def examples(case: str) -> Data:
    """Points; in place of birds noise of their size, which takes as long."""
    if case != "birds step":
        return load_spec(get(RECIPES[case]).data)
    noise = torch.Generator().manual_seed(0)
    return Data("noise", torch.randint(256, (1000, 3, 32, 32), generator=noise, dtype=torch.uint8))


def rank(case: str, seconds: float, width: int) -> None:
    """One process of a way: the first prints examples per second."""
    with distributed.group() as ranks:
        threads = 2 // ranks.world
        torch.set_num_threads(threads)
        recipe = recipe_of(case, width)
        torch.manual_seed(0)
        data = examples(case)
        model = device.place(build(recipe.model, data.shape), torch.device("cpu"), "fp32")
        state = State(recipe, model, data, None, 0)
        state.join(ranks)
        model.train()
        step(state)
        before, began, done = state.images, time.perf_counter(), False
        while not done:
            step(state)
            done = ranks.any(ranks.first and time.perf_counter() - began > seconds)[0]
        if ranks.first:
            print((state.images - before) / (time.perf_counter() - began))


def run(case: str, world: int, seconds: float, width: int) -> float:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = str(s.getsockname()[1])
    words = [sys.executable, __file__, "--rank", case, "--seconds", str(seconds), "--width", str(width)]
    common = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo"}
    common |= {"WORLD_SIZE": str(world), "OMP_NUM_THREADS": str(2 // world)}
    started = [
        subprocess.Popen(words, env=common | {"RANK": str(i)}, stdout=subprocess.PIPE, text=True, encoding="utf-8")
        for i in range(world)
    ]
    said = [p.communicate()[0] for p in started]
    assert not any(p.returncode for p in started)
    return float(said[0])


def sent(case: str, world: int) -> dict[str, float]:
    """Bytes that each rank sends in a step of the recipe at full width: a ring passes 2 (N − 1) / N of every number."""
    recipe = get(RECIPES[case])
    shape = examples(case).shape
    with torch.device("meta"):
        model = recipe.model.build(shape)
    weights = {k: 4 * sum(w.numel() for w in p.parameters()) for k, p in model.players.items()}
    moves = getattr(recipe.objective, "n_critic", 1)
    gradients = moves * weights["critic"] + weights["generator"]
    statistics_ = sum(
        # forward of every call in training mode, backward of that which the generator learns from
        4 * 2 * m.num_features * (moves + 2)
        for m in model.modules()
        if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)
    )
    ring = 2 * (world - 1) / world
    return {
        "gradients": ring * gradients,
        "batch statistics": ring * world * statistics_,
        "all": ring * gradients + ring * world * statistics_,
    }


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rank", default="")
    options.add_argument("--seconds", type=float, default=10.0)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--width", type=int, default=0, help="of the birds' networks; 0: the recipe's own")
    options.add_argument("--note", default="")
    asked = options.parse_args()
    if asked.rank:
        rank(asked.rank, asked.seconds, asked.width)
        return
    details, told = {}, []
    for case in RECIPES:
        rates: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(asked.rounds):
            for world in rates:
                rates[world].append(run(case, world, asked.seconds, asked.width))
        speed = ratio(rates[2], rates[1])
        volume = sent(case, 8)
        details[case] = {
            "one process, two threads": rates[1],
            "two ranks": rates[2],
            "ratio": speed,
            "8 ranks send": volume,
        }
        told.append(
            f"{case} {statistics.median(rates[2]):,.0f} against {statistics.median(rates[1]):,.0f} examples/s "
            f"({speed['median']:.2f} times, {speed['min']:.2f} to {speed['max']:.2f})"
        )
    details["fabrics"] = {k: {c: sent(c, 8)["all"] / v for c in RECIPES} for k, v in FABRICS.items()}
    record(
        "scaling",
        "two gloo ranks on two cores against one process with two threads, whole training steps",
        "recorded",
        "; ".join(told),
        None,
        json.loads(json.dumps(details)),
        asked.note,
    )


if __name__ == "__main__":
    main()
