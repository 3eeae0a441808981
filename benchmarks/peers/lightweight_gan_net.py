"""lightweight-gan's generator and discriminator in a bare loop: its trainer and its module want a CUDA device.

Its losses and defaults: hinge on both outputs of the discriminator, its own reconstruction loss, a gradient penalty
every fourth step, Adam 2e-4 (0.5, 0.9), averaged weights.
"""

from __future__ import annotations

import sys
from types import ModuleType

import torch
import torch.nn.functional as F
from shared import Averages, Task


def networks() -> ModuleType:
    """Its module, which asks for CUDA and for torchvision when it is imported, and needs neither for the networks."""
    vision, transforms = ModuleType("torchvision"), ModuleType("torchvision.transforms")
    vision.transforms = transforms  # type: ignore[attr-defined]
    sys.modules |= {"torchvision": vision, "torchvision.transforms": transforms}
    available, torch.cuda.is_available = torch.cuda.is_available, lambda: True
    try:
        from lightweight_gan import lightweight_gan
    finally:
        torch.cuda.is_available = available
    return lightweight_gan


def main() -> None:
    lib = networks()
    task = Task("lightweight-gan", __doc__ or "", batch=32)
    c, size, _ = task.shape
    sizes = {"image_size": size, "fmap_max": 128, "greyscale": c == 1}
    net = torch.nn.ModuleDict(
        {
            "G": lib.Generator(latent_dim=256, **sizes),
            "D": lib.Discriminator(disc_output_size=1, **sizes),
        }
    )
    averages = Averages(net["G"], lib.Generator(latent_dim=256, **sizes).eval(), 0.995)
    optimizers = {k: torch.optim.Adam(p.parameters(), 2e-4, betas=(0.5, 0.9)) for k, p in net.items()}
    augmented = ["translation", "cutout", "color"]
    D = lib.AugWrapper(net["D"], size)
    for step, real in enumerate(task.batches()):
        fake = net["G"](torch.randn(len(real), 256)).detach()
        penalised = step % 4 == 0
        real = real.requires_grad_(requires_grad=penalised)
        told, whole, rebuilt = D(real, prob=0.5, types=augmented, calc_aux_loss=True)
        of_fake, whole_fake, _ = D(fake, prob=0.5, types=augmented)
        loss = rebuilt.mean()
        for r, f in ((told, of_fake), (whole, whole_fake)):
            loss = loss + (F.relu(1 + r) + F.relu(1 - f)).mean()
        if penalised:
            outputs = [told.sum(), whole.sum()]
            (slope,) = torch.autograd.grad(sum(outputs), real, create_graph=True)
            loss = loss + 10 * (slope.flatten(1).norm(2, dim=1) - 1).square().mean()
        optimizers["D"].zero_grad()
        loss.backward()
        optimizers["D"].step()
        told, whole, _ = D(net["G"](torch.randn(len(real), 256)), prob=0.5, types=augmented)
        loss = told.mean() + whole.mean()
        optimizers["G"].zero_grad()
        loss.backward()
        optimizers["G"].step()
        averages.update()
    task.finish(net, lambda n: averages.copy(torch.randn(n, 256)))


if __name__ == "__main__":
    main()
