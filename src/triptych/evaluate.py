"""From a model, or two sets of pictures, to numbers that say what they are."""

from __future__ import annotations

import torch

from triptych.core import Data, Density, Model, Sampler
from triptych.metrics.coverage import mode_coverage
from triptych.metrics.transport import sliced_wasserstein


def during_training(model: Model, data: Data, test: Data | None, n: int, seed: int) -> dict[str, float]:
    """Cheap numbers for a line of the log: n samples against n fresh or held-out examples.

    Vectors with a known law: `modes`, `high_quality`, `reverse_kl` where it has modes, `wasserstein` (sliced), and
    `nll` and `kl` (nats, data against model) where the model has a density. Leaves the global random state alone.
    """
    out: dict[str, float] = {}
    if data.is_images or data.law is None:
        return out
    real = data.sample(n, seed + 1)
    if isinstance(model, Sampler):
        samples = model.sample(n, seed=seed).cpu()
        if data.law.modes is not None:
            out |= mode_coverage(samples, data.modes, data.std)
        finite = torch.isfinite(samples).all(1)
        out["wasserstein"] = sliced_wasserstein(real, samples) if finite.all() else float("nan")
    if isinstance(model, Density):
        with torch.no_grad():
            log_prob = torch.cat([model.log_prob(part.to(model.device)) for part in real.split(4096)]).cpu().double()
        out["nll"] = -log_prob.mean().item()
        out["kl"] = (data.log_prob(real).double() - log_prob).mean().item()
    return out
