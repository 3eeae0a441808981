"""A conditional flow of digits as a classifier by Bayes' rule, and its bits per dimension beside the flow without.

Both flows have the same nets and budget, and their likelihoods are of the same test digits with the same noise. Runs
are ordinary run folders under --runs: those that are there are not trained again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from classes_mnist import PLAIN, trained
from common import record

from triptych.core.units import bits_per_dim
from triptych.data import load as load_data
from triptych.metrics.bayes import calibration_error
from triptych.metrics.comparison import subset
from triptych.models.flows.continuous import ContinuousFlow
from triptych.run.folder import load

SHAPE = (1, 28, 28)


def bits(log_p: torch.Tensor) -> dict[str, float]:
    """Mean and standard error over examples, of log densities in nats on [0, 1]^D, (n,)."""
    b = bits_per_dim(log_p, SHAPE)
    return {"mean": b.mean().item(), "se": (b.std() / len(b) ** 0.5).item()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="cflow-mnist-quick", help="a conditional flow of MNIST")
    parser.add_argument("--examples", type=int, default=100, help="test digits")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="of the solver of continuous flows")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=None, help="keeps the run folders there")
    parser.add_argument("--beside", action="store_true", help="also the flow without classes, at the same budget")
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    quick = "-quick" * args.recipe.endswith("-quick")
    plain = PLAIN[args.recipe.removesuffix("-quick")] + quick
    test = subset(load_data("mnist", "test"), args.examples, args.seed)
    assert test.labels is not None
    with tempfile.TemporaryDirectory() as folder:
        out = args.runs or Path(folder)
        path, row = trained(args.recipe, args.seed, out)
        model: Any = load(path, "cpu")
        without, other_row = None, None
        if args.beside:
            other, other_row = trained(plain, args.seed, out, row["images"])
            without = load(other, "cpu")
        torch.manual_seed(args.seed)
        x = (test.x + torch.rand(test.x.shape).clamp_max(1 - 2**-16)) / 256
        with torch.no_grad(), ExitStack() as solvers:
            for flow in (model, without):
                if isinstance(flow, ContinuousFlow):
                    solvers.enter_context(flow.at_tolerance(args.tolerance))
            joint = torch.cat([model.log_joint(part).double() for part in x.split(100)])
            alone = None if without is None else torch.cat([without.log_prob(part).double() for part in x.split(100)])
    p = joint.softmax(1)
    sure, told = p.max(1)
    right = told == test.labels
    accuracy, whatever = right.double().mean().item(), joint.logsumexp(1)
    own = joint[torch.arange(len(joint)), test.labels] - model.frequencies.double()[test.labels].log()
    found: dict[str, Any] = {
        "accuracy": accuracy,
        "accuracy_se": (accuracy * (1 - accuracy) / len(right)) ** 0.5,
        "calibration_error": calibration_error(sure, right),
        "bits_per_dim": bits(whatever),
        "bits_per_dim_given_class": bits(own),
    }
    told_beside = ""
    if alone is not None:
        # of the same digits with the same noise: the difference is known far better than either
        gap = bits_per_dim(whatever, SHAPE) - bits_per_dim(alone, SHAPE)
        found |= {
            "bits_per_dim_without": bits(alone),
            "difference": {"mean": gap.mean().item(), "se": (gap.std() / len(gap) ** 0.5).item()},
        }
        told_beside = (
            f", {found['bits_per_dim_without']['mean']:.3f} of {plain} after as many images (the first less the last: "
            f"{found['difference']['mean']:.4f} ± {found['difference']['se']:.4f})"
        )
    print(json.dumps(found), flush=True)
    record(
        f"classes-likelihood-{args.recipe}",
        f"{args.recipe} on {len(right):,} test digits: accuracy by Bayes' rule, and bits per dimension",
        "said either way",
        f"{accuracy:.1%} ± {found['accuracy_se']:.1%} right, calibration error {found['calibration_error']:.3f}; "
        f"{found['bits_per_dim']['mean']:.3f} bits/dim whatever the class, "
        f"{found['bits_per_dim_given_class']['mean']:.3f} given it{told_beside} (seed {args.seed})",
        None,
        found | {"run": row, "without": other_row, "tolerance": args.tolerance},
        args.note,
    )


if __name__ == "__main__":
    main()
