"""Spline couplings against the same couplings assembled in zuko, and against zuko's NSF, one thread."""

from __future__ import annotations

import argparse

import torch
import zuko
from common import here, in_turns, ratio, record

from triptych.models.flows.coupling import SplineCoupling, alternated
from triptych.models.layers.bijections import Compose
from triptych.system.device import keep_freed_memory

BATCH, LAYERS, WIDTH, BINS, BOUND = 4096, 3, 64, 8, 5.0


def ours(d: int) -> Compose:
    return Compose(alternated(d, LAYERS, lambda: SplineCoupling(d - d // 2, d // 2, WIDTH, 2, BINS, BOUND)))


def theirs(d: int) -> zuko.flows.Flow:
    """As many numbers transformed per layer, hidden layers of the same width, as many bins."""
    layers = []
    for i in range(LAYERS):
        mask = (torch.arange(d) % 2 == i % 2) if d > 1 else torch.ones(d, dtype=torch.bool)
        layers.append(
            zuko.flows.GeneralCouplingTransform(
                features=d,
                mask=mask,
                univariate=zuko.transforms.MonotonicRQSTransform,
                shapes=[(BINS,), (BINS,), (BINS - 1,)],
                hidden_features=(WIDTH, WIDTH),
            )
        )
    base = zuko.lazy.UnconditionalDistribution(
        zuko.distributions.DiagNormal, torch.zeros(d), torch.ones(d), buffer=True
    )
    return zuko.lazy.Flow(layers, base)


def log_prob(flow: Compose, x: torch.Tensor) -> torch.Tensor:
    z, log_det = flow(x)
    return log_det - 0.5 * z.square().sum(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # for both sides alike
    details, slowest = {}, {}
    for d in (2, 16, 64):
        torch.manual_seed(0)
        a, b, x = ours(d), theirs(d), torch.randn(BATCH, d)

        def train_a(a=a, x=x) -> None:
            log_prob(a, x).mean().backward()

        def train_b(b=b, x=x) -> None:
            b().log_prob(x).mean().backward()

        def sample_a(a=a, x=x) -> None:
            with torch.no_grad():
                a.inverse(x)

        def sample_b(b=b) -> None:
            with torch.no_grad():
                b().sample((BATCH,))

        for what, pair in {
            "log-prob and gradient": (train_a, train_b),
            "sampling": (sample_a, sample_b),
        }.items():
            times = in_turns({"ours": pair[0], "zuko": pair[1]}, args.rounds)
            details[f"{what}, D = {d}"] = times | {"ratio": ratio(times["zuko"], times["ours"])}
            slowest[f"{what}, D = {d}"] = ratio(times["zuko"], times["ours"])["median"]
    said = "; ".join(f"{k}: {v:.1f}×" for k, v in slowest.items())
    record(
        here("flows-spline-speed"),
        f"spline couplings, {LAYERS} layers, {BINS} bins, batch {BATCH:,}, against the same in zuko",
        "≥ 2× faster at log-prob and at sampling, D = 2, 16, 64",
        said,
        min(slowest.values()) >= 2,
        details,
    )
    torch.manual_seed(0)
    d = 64
    a, nsf = ours(d), zuko.flows.NSF(d, transforms=LAYERS, bins=BINS, hidden_features=(WIDTH, WIDTH))

    def sample_ours() -> None:
        with torch.no_grad():
            a.inverse(torch.randn(BATCH, d))

    def sample_nsf() -> None:
        with torch.no_grad():
            nsf().sample((BATCH,))

    times = in_turns({"ours": sample_ours, "zuko": sample_nsf}, 2, warmup=0)
    gain = ratio(times["zuko"], times["ours"])
    record(
        here("flows-sampling-speed"),
        f"sampling {BATCH:,} vectors of D = 64 against zuko's autoregressive NSF of as many layers and bins",
        "≥ 50× faster",
        f"{gain['median']:.0f}×",
        gain["median"] >= 50,
        times | {"ratio": gain},
    )


if __name__ == "__main__":
    main()
