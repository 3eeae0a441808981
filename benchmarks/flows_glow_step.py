"""One Glow training step, batch 64 of 32×32×3, K = 16, L = 3, 128 channels, against normflows' with the same sizes."""

from __future__ import annotations

import argparse
import statistics

import normflows as nf
import torch
from common import here, in_turns, ratio, record

from triptych.core import Clock
from triptych.models.flows.multiscale import Glow
from triptych.objectives.flow import NLL
from triptych.system import device
from triptych.system.processor import AMX, of_processor

BATCH, K, L, WIDTH = 64, 16, 3, 128


def theirs() -> nf.MultiscaleFlow:
    flows, merges, bases = [], [], []
    for i in range(L):
        steps = [nf.flows.GlowBlock(3 * 2 ** (L + 1 - i), WIDTH, split_mode="channel", scale=True) for _ in range(K)]
        flows.append([*steps, nf.flows.Squeeze()])
        if i > 0:
            merges.append(nf.flows.Merge())
            shape = (3 * 2 ** (L - i), 32 // 2 ** (L - i), 32 // 2 ** (L - i))
        else:
            shape = (3 * 2 ** (L + 1), 32 // 2**L, 32 // 2**L)
        bases.append(nf.distributions.DiagGaussian(shape))
    return nf.MultiscaleFlow(bases, flows, merges, transform=nf.transforms.Logit(0.05))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.manual_seed(0)
    k = torch.randint(0, 256, (BATCH, 3, 32, 32))
    ways, sizes = {}, {}
    for precision in ("bf16", "fp32"):
        model = Glow(levels=L, steps=K, width=WIDTH).build((3, 32, 32))
        device.place(model, torch.device("cpu"), precision).train()
        optimizer = torch.optim.Adam(model.parameters(), 1e-4, fused=True)
        sizes[precision] = sum(w.numel() for w in model.parameters())

        def ours(model=model, optimizer=optimizer) -> None:
            (move,) = NLL().step(model, iter([k / 127.5 - 1]), Clock(0, 0, 0.0))
            optimizer.zero_grad()
            move.loss.backward()
            optimizer.step()

        ways[precision] = ours
    other = theirs().train()
    sizes["normflows"] = sum(w.numel() for w in other.parameters())
    other_optimizer = torch.optim.Adam(other.parameters(), 1e-4)

    def step() -> None:
        x = (k + torch.rand(k.shape)) / 256
        loss = other.forward_kld(x)
        other_optimizer.zero_grad()
        loss.backward()
        other_optimizer.step()

    times = in_turns(ways | {"normflows": step}, args.rounds, warmup=2)
    gain = {p: ratio(times["normflows"], times[p]) for p in ("bf16", "fp32")}
    ms = {name: 1000 * statistics.median(t) for name, t in times.items()}
    target = 2.6 if of_processor() is AMX else 2.0
    record(
        here("flows-glow-step"),
        f"Glow training step, batch {BATCH}, 32×32×3, K = {K}, L = {L}, {WIDTH} channels, against normflows",
        f"≥ {target:g}× faster",
        f"{gain['bf16']['median']:.2f}× in bfloat16 ({ms['bf16']:.0f} against {ms['normflows']:.0f} ms), "
        f"{gain['fp32']['median']:.2f}× in float32 ({ms['fp32']:.0f} ms)",
        gain["bf16"]["median"] >= target,
        {"seconds": times, "ratio": gain, "parameters": sizes},
    )


if __name__ == "__main__":
    main()
