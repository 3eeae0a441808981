"""Agreement with zuko's transforms in float64, and what float32 does to inputs up to ±10,000."""

from __future__ import annotations

import torch
import zuko
from common import record
from torch import Tensor

from triptych.models.flows.autoregressive import MAF, MaskedAutoregressive
from triptych.models.flows.coupling import NSF, AffineCoupling, RealNVP, conditioner
from triptych.models.layers.bijections import Affine
from triptych.models.layers.spline import knots, spline


def apart(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference, relative to the larger of the value and 1."""
    return ((ours - theirs).abs() / theirs.abs().clamp_min(1)).max().item()


def moved(module: torch.nn.Module, by: float) -> None:
    with torch.no_grad():
        for p in module.parameters():
            p.add_(by * torch.randn_like(p))


def agreement() -> dict[str, float]:
    n, bins, bound = 10_000, 8, 5.0
    raw, x = torch.randn(3 * bins - 1, n, dtype=torch.float64), torch.randn(n, dtype=torch.float64) * 3
    empty = torch.zeros(n, bins, dtype=torch.float64)
    theirs = zuko.transforms.MonotonicRQSTransform(empty, empty, empty[:, 1:], bound=bound)
    theirs.horizontal, theirs.vertical, theirs.derivatives = (k.T.contiguous() for k in knots(raw, bound))
    pairs = {"spline": (spline(x, raw, bound), theirs.call_and_ladj(x))}
    coupling = AffineCoupling(3, conditioner(3, 6, 32, 2)).double()
    autoregressive = MaskedAutoregressive(6, [32, 32]).double()
    x = torch.randn(n, 6, dtype=torch.float64)
    for name, ours in (("affine coupling", coupling), ("autoregressive", autoregressive)):
        moved(ours, 0.1)

        def meta(seen: Tensor, ours: Affine = ours) -> zuko.transforms.Transform:
            s, t = ours.scale_and_shift(seen)
            return zuko.transforms.DependentTransform(torch.distributions.AffineTransform(t, s.exp()), 1)

        if name == "autoregressive":
            other = zuko.transforms.AutoregressiveTransform(meta, passes=6)
        else:
            other = zuko.transforms.CouplingTransform(meta, torch.arange(6) < 3)
        pairs[name] = (ours(x), other.call_and_ladj(x))
    return {
        f"{name}, {what}": apart(a, b)
        for name, (ours, theirs) in pairs.items()
        for what, a, b in zip(("value", "log-det"), ours, theirs, strict=True)
    }


def far() -> dict[str, float]:
    """Worst |f⁻¹(f(x)) − x| relative to max |x| per example, and count of non-finite numbers either way."""
    g = torch.Generator().manual_seed(0)
    size = 10 ** (torch.rand(4000, 1, generator=g) * 6 - 2)
    x = (torch.rand(4000, 2, generator=g) * 2 - 1) * size
    found = {}
    for spec in (RealNVP(), NSF(), MAF()):
        model = spec.build((2,))
        moved(model, 0.02)
        leaf = x.clone().requires_grad_()
        log_p = model.log_prob(leaf)
        log_p.sum().backward()
        back = model.decode(model.encode(x)).detach()
        name = type(spec).__name__
        found[f"{name}, round trip"] = ((back - x).abs().amax(1) / x.abs().amax(1).clamp_min(1)).max().item()
        finite = [torch.isfinite(v).all() for v in (log_p, leaf.grad, back, model.decode(x)) if v is not None]
        found[f"{name}, not finite"] = float(sum(not f for f in finite))
    return found


def main() -> None:
    torch.manual_seed(0)
    same = agreement()
    record(
        "flows-agreement",
        "zuko's transforms given equal knots, scales and shifts, float64, 10,000 points",
        "value and log-det within 1e-8 relative",
        f"largest relative difference {max(same.values()):.1e}",
        max(same.values()) <= 1e-8,
        same,
    )
    found = far()
    worst = max(v for k, v in found.items() if "trip" in k)
    broken = sum(v for k, v in found.items() if "finite" in k)
    record(
        "flows-round-trip",
        "inverse(forward(x)) for |x| from 0.01 to 10,000 in float32; values and gradients finite",
        "finite, within 1e-4 relative",
        f"largest relative error {worst:.1e}, {broken:.0f} not finite",
        worst <= 1e-4 and not broken,
        found,
        "randomly perturbed untrained flows; trained ones log their round trip",
    )


if __name__ == "__main__":
    main()
