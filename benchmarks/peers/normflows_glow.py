"""Glow of normflows: three levels of affine couplings with 1 x 1 convolutions, exact likelihood."""

from __future__ import annotations

import normflows as nf
import torch
from shared import Task

LEVELS, BLOCKS, HIDDEN = 3, 8, 128
TEMPERATURE = 0.7


def build(shape: tuple[int, int, int]) -> nf.MultiscaleFlow:
    c, h, w = shape
    base, flows, merges = [], [], []
    for i in range(LEVELS):
        channels = c * 2 ** (LEVELS + 1 - i)
        blocks = [nf.flows.GlowBlock(channels, HIDDEN, split_mode="channel", scale=True) for _ in range(BLOCKS)]
        flows.append([*blocks, nf.flows.Squeeze()])
        deepest = i == 0
        side = 2 ** (LEVELS - i)
        latent = (channels if deepest else channels // 2, h // side, w // side)
        if not deepest:
            merges.append(nf.flows.Merge())
        base.append(nf.distributions.DiagGaussian(latent, trainable=False))
    return nf.MultiscaleFlow(base, flows, merges, class_cond=False)


def main() -> None:
    task = Task("normflows", __doc__ or "", batch=64)
    net = build(task.shape)
    optimizer = torch.optim.Adamax(net.parameters(), 1e-3)
    for x in task.batches():
        loss = net.forward_kld(x + (torch.rand_like(x) - 0.5) / 127.5)
        if not bool(torch.isfinite(loss)):
            continue  # as its examples do
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.eval()

    def draw(n: int) -> torch.Tensor:
        for base in net.q0:
            base.temperature = TEMPERATURE
        return net.sample(n)[0]

    task.finish(net, draw)


if __name__ == "__main__":
    main()
