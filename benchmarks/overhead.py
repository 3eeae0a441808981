"""What the trainer costs beside a bare hand-written loop of the same nets, optimisers and data."""

from __future__ import annotations

import sys
from dataclasses import replace

import torch
from common import auto_precision, here, in_turns, interval, record

from triptych import recipes
from triptych.core import Recipe, Train
from triptych.data import load_spec
from triptych.data.batches import Batches
from triptych.objectives.gan import WGANGP, gradient_penalty
from triptych.system import device as runtime
from triptych.trainer.loop import step
from triptych.trainer.state import State

PAIRS = 5 if "--quick" in sys.argv else 30


def bare(recipe: Recipe, steps: int) -> object:
    """Algorithm 1 written out: nothing but the nets, Adam and the batches."""
    data = load_spec(recipe.data)
    model = recipe.model.build(data.shape)
    device = torch.device("cpu")
    runtime.place(model, device, auto_precision(recipe, model, data))
    model.train()
    batches = Batches(data, recipe.train.batch, 0, device)
    G, D = model.players["generator"], model.players["critic"]
    adam_d = torch.optim.Adam(D.parameters(), recipe.train.lr, recipe.train.betas, fused=True)
    adam_g = torch.optim.Adam(G.parameters(), recipe.train.lr, recipe.train.betas, fused=True)
    n, gp = recipe.objective.n_critic, recipe.objective.gp

    def loop() -> None:
        for _ in range(steps):
            for _ in range(n):
                real = next(batches)
                with torch.no_grad():
                    fake = G(model.prior(len(real)))
                d_real, d_fake = D(torch.cat([real, fake])).flatten().chunk(2)
                loss = d_fake.mean() - d_real.mean() + gp * gradient_penalty(D, real, fake)
                for w in D.parameters():
                    w.grad = None
                loss.backward(inputs=list(D.parameters()))
                adam_d.step()
            loss = -D(G(model.prior(len(real)))).mean()
            for w in G.parameters():
                w.grad = None
            loss.backward(inputs=list(G.parameters()))
            adam_g.step()

    return loop


def ours(recipe: Recipe, steps: int) -> object:
    data = load_spec(recipe.data)
    model = recipe.model.build(data.shape)
    device = torch.device("cpu")
    runtime.place(model, device, auto_precision(recipe, model, data))
    model.train()
    state = State(recipe, model, data, None, 0)

    def loop() -> None:
        for _ in range(steps):
            step(state)

    return loop


def main() -> None:
    sizes = {"mlp": ("wgan-gp-25gaussians", 30), "conv": ("wgan-gp-mnist", 2)}
    for size, (name, steps) in sizes.items():
        recipe = recipes.get(name)
        recipe = replace(recipe, train=Train(images=10**9, batch=recipe.train.batch), objective=WGANGP())
        ways = {"ours": ours(recipe, steps), "bare": bare(recipe, steps)}
        times = in_turns(ways, rounds=PAIRS, warmup=2)  # type: ignore[arg-type]
        speed = interval(times["bare"], times["ours"])
        record(
            here(f"overhead-{size}"),
            f"trainer against a bare loop of the same nets, {size} size ({name})",
            "the 95 % interval of the speed over 30 pairs reaches 0.99 of the bare loop's",
            f"{speed['mean']:.3f} of the bare loop's speed ({speed['low']:.3f} to {speed['high']:.3f}, {PAIRS} pairs)",
            speed["high"] >= 0.99,
            {"seconds": times, "speed": speed, "steps": steps},
        )


if __name__ == "__main__":
    main()
