"""pythae's VAE with its networks for CIFAR-10, sampled by its mixture of Gaussians of the codes."""

from __future__ import annotations

import torch
from pythae.models import VAE, VAEConfig
from pythae.models.nn.benchmarks.cifar import Decoder_Conv_AE_CIFAR, Encoder_Conv_VAE_CIFAR
from pythae.samplers import GaussianMixtureSampler, GaussianMixtureSamplerConfig
from shared import Task


def main() -> None:
    task = Task("pythae", __doc__ or "", batch=128)
    config = VAEConfig(input_dim=task.shape, latent_dim=128, reconstruction_loss="mse")
    net = VAE(config, encoder=Encoder_Conv_VAE_CIFAR(config), decoder=Decoder_Conv_AE_CIFAR(config))
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for x in task.batches():
        loss = net({"data": (x + 1) / 2}).loss  # its decoder ends in a sigmoid
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.eval()
    sampler = GaussianMixtureSampler(net, GaussianMixtureSamplerConfig(n_components=10))
    sampler.fit(task.pictures[:20_000].float() / 255)
    task.finish(net, lambda n: sampler.sample(num_samples=n, batch_size=n, return_gen=True) * 2 - 1)


if __name__ == "__main__":
    main()
