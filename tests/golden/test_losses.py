"""Twenty float64 steps of every objective, of each of its choices and of every flow, against the recorded losses.

A refactor must not move them. `python tests/golden/test_losses.py` records the cases that are not in the file; after a
change that is meant to move some, take these out of the file first.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pytest
import torch

from triptych.core import Clock, Data, ModelSpec, Objective, discover
from triptych.data import load
from triptych.errors import UserError
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.discrete import FSQTransformer
from triptych.models.families import FlowModel
from triptych.models.flows.autoregressive import MAF
from triptych.models.flows.coupling import NSF, RealNVP
from triptych.models.flows.multiscale import Glow, MultiScaleRealNVP
from triptych.models.flows.transformer import JetFlow, TransformerFlow
from triptych.models.flows.velocity import VelocityMLP, VelocityUNet
from triptych.models.gans.mlp import MLPGAN
from triptych.models.hierarchical import HierarchicalVAE
from triptych.models.two_stages import LatentUNet
from triptych.models.yardsticks import Mean
from triptych.objectives.autoencoder import AE, IWAE, VAE
from triptych.objectives.closed_form import ClosedForm
from triptych.objectives.discrete import FSQ
from triptych.objectives.flow import NLL
from triptych.objectives.flow_matching import FlowMatching, LatentFlowMatching, MeanFlow
from triptych.objectives.gan import GAN, LSGAN, WGAN, WGANGP
from triptych.objectives.relativistic import Hinge, Relativistic
from triptych.objectives.semi import Semi

SMALL = MLPAutoencoder(latent=2, variational=True, width=16)
FILE = Path(__file__).with_name("losses.json")
CASES = {
    "gan": (GAN(), MLPGAN(width=16)),
    "gan-smoothed": (GAN(label_smoothing=(0.7, 0.9)), MLPGAN(width=16)),
    "gan-minimax": (GAN(minimax=True), MLPGAN(width=16)),
    "lsgan": (LSGAN(), MLPGAN(width=16)),
    "wgan": (WGAN(clip=0.1), MLPGAN(width=16)),
    "wgan-gp": (WGANGP(gp=0.1), MLPGAN(width=16)),
    "hinge": (Hinge(), MLPGAN(width=16)),
    "relativistic": (Relativistic(gamma=0.1), MLPGAN(width=16)),
    "ae": (AE(), MLPAutoencoder(latent=1, variational=False, width=16)),
    "vae": (VAE(), MLPAutoencoder(latent=2, variational=True, width=16)),
    "vae-beta": (VAE(beta=4.0), MLPAutoencoder(latent=2, variational=True, width=16)),
    "nll": (NLL(), RealNVP(layers=4, width=16)),
    "iwae": (IWAE(samples=5), SMALL),
    "iwae-logistic": (IWAE(samples=5, likelihood="logistic"), SMALL, "grey"),
    "vae-learned": (VAE(likelihood="gaussian-learned"), SMALL),
    "vae-bernoulli": (VAE(likelihood="bernoulli"), replace(SMALL, output="logit"), "bits"),
    "vae-logistic": (VAE(likelihood="logistic"), SMALL, "grey"),
    "vae-linear": (VAE(beta=2.0, schedule="linear"), SMALL),
    "vae-staircase": (VAE(schedule="staircase", stairs=4), SMALL),
    "vae-cyclical": (VAE(schedule="cyclical", cycles=3), SMALL),
    "vae-capacity": (VAE(schedule="capacity", capacity=2.0, ramp=10), SMALL),
    "vae-free-bits": (VAE(free_bits=0.5), SMALL),
    "hinge-augmented": (Hinge(augment=("color", "translation", "cutout")), MLPGAN(width=16), "grey"),
    "relativistic-augmented": (Relativistic(augment=("cutout",)), MLPGAN(width=16), "grey"),
    "vae-scale-of-pixels": (VAE(likelihood="gaussian-learned"), replace(SMALL, scale="pixel"), "grey"),
    "vae-scale-of-vectors": (VAE(likelihood="gaussian-learned"), replace(SMALL, scale="picture")),
    "iwae-logistic-scale-of-pictures": (
        IWAE(samples=5, likelihood="logistic"),
        replace(SMALL, scale="picture"),
        "grey",
    ),
    "closed-form": (ClosedForm(), Mean()),
    "nll-spline": (NLL(), NSF(layers=2, width=16, bins=4)),
    "nll-autoregressive": (NLL(), MAF(layers=2, width=16)),
    "nll-multiscale": (NLL(), MultiScaleRealNVP(levels=1, couplings=2, width=8), "grey"),
    "nll-multiscale-logit": (NLL(), MultiScaleRealNVP(levels=1, couplings=2, width=8, preprocess="logit"), "grey"),
    "nll-glow": (NLL(), Glow(levels=1, steps=2, width=8, dequantise="variational"), "grey"),
    "flow-matching": (FlowMatching(), VelocityMLP(width=16, octaves=3)),
    "flow-matching-transport": (FlowMatching(time="uniform", coupling="transport"), VelocityMLP(width=16, octaves=3)),
    "flow-matching-images": (FlowMatching(time="logit-normal"), VelocityUNet(width=8), "grey"),
    "mean-flow": (MeanFlow(), VelocityMLP(width=16, octaves=3, one_pass=True)),
    "mean-flow-times": (MeanFlow(time="uniform", instant=0.25), VelocityMLP(width=16, octaves=3, one_pass=True)),
    "mean-flow-log-times": (MeanFlow(time="log-uniform"), VelocityMLP(width=16, octaves=3, one_pass=True)),
    "latent-flow": (LatentFlowMatching(), LatentUNet(codes=2, width=8, flow_width=8, flow_depth=1), "grey"),
    "latent-flow-times": (
        LatentFlowMatching(time="uniform", share=0.2),
        LatentUNet(codes=2, width=8, flow_width=8, flow_depth=1),
        "grey",
    ),
    "latent-flow-log-times": (
        LatentFlowMatching(time="log-uniform", noise=0.0),
        LatentUNet(codes=2, width=8, flow_width=8, flow_depth=1),
        "grey",
    ),
    "vae-hierarchical": (
        VAE(likelihood="logistic"),
        HierarchicalVAE(width=8, patch=1, groups=1, channels=2, top=3, scale="pixel"),
        "grey",
    ),
    "fsq": (
        FSQ(likelihood="logistic"),
        FSQTransformer(width=8, side=2, codes=2, levels=3, prior_width=8, prior_depth=1, scale="pixel"),
        "grey",
    ),
    "nll-jet": (NLL(), JetFlow(layers=2, width=8, depth=1, heads=2), "grey"),
    "nll-transformer": (NLL(), TransformerFlow(layers=2, width=8, depth=1, heads=2, preprocess="quantiles"), "grey"),
    "nll-glow-quantiles": (NLL(), Glow(levels=1, steps=2, width=8, preprocess="quantiles"), "grey"),
}
LABELLED = 8
TELLING = replace(SMALL, classifier=True, classes=LABELLED)
CASES |= {
    "semi": (Semi(labelled=0.2), TELLING),
    "semi-drawn": (Semi(labelled=0.2, summed=3), TELLING),
    "semi-logistic": (Semi(labelled=0.5, likelihood="logistic"), TELLING, "grey"),
}
CASES |= {
    f"{name}-classes": (CASES[name][0], replace(CASES[name][1], classes=LABELLED), *CASES[name][2:])  # type: ignore[call-arg]
    for name in (
        *("gan", "lsgan", "wgan", "wgan-gp", "hinge", "relativistic", "ae", "vae", "iwae", "nll", "nll-spline"),
        *("nll-autoregressive", "nll-multiscale", "nll-glow", "nll-jet", "nll-transformer", "flow-matching"),
        *("flow-matching-images", "mean-flow", "latent-flow"),
    )
}
DECIDED = {("ConditionalSpec.classes", "auto")}
"""Words that the data replace before anything is built."""
NOT_OURS = {"Zuko"}
"""Flows of another library: their losses are its business."""


def data_of(name: str) -> Data:
    """The 2-D set, or small pictures: `grey` ones of a smooth pattern with noise, or `bits`, black and white."""
    if name == "8gaussians":
        return load(name)
    rows = torch.Generator().manual_seed(1)
    wave = torch.linspace(0, 3, 8, dtype=torch.float64).sin()
    x = 0.5 * wave[:, None] * wave + 0.4 * torch.rand(640, 1, 8, 8, generator=rows, dtype=torch.float64)
    whole = (255 * (x if name == "grey" else (x > 0.5).double())).round().to(torch.uint8)
    return Data(name, whole, labels=torch.arange(640) % LABELLED)


class Points:
    """Batches of 32 in order, with their labels."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.pairs = zip(x.split(32), y.split(32), strict=True)

    def __iter__(self) -> Iterator[torch.Tensor]:
        return self

    def __next__(self) -> torch.Tensor:
        return next(self.pairs)[0]

    @property
    def labelled(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return self.pairs


def losses(objective: Objective, spec: ModelSpec, where: str = "8gaussians", steps: int = 20) -> list[float]:
    torch.manual_seed(0)
    data = objective.visible(data_of(where), 0)
    model = spec.build(data.shape)
    objective.check(model, data, steps)
    objective.prepare(model, data)
    model.double()
    x = data.x.double()
    assert data.labels is not None
    points = Points(x / 127.5 - 1 if data.is_images else x, data.labels)
    optimizers = {k: torch.optim.Adam(p.parameters(), 1e-3) for k, p in model.players.items()}
    found = []
    for step in range(steps):
        for move in objective.step(model, points, Clock(step, 32 * step, step / steps, steps)):
            mine = [w for name in move.names for w in model.players[name].parameters()]
            for w in mine:
                w.grad = None
            move.loss.backward(inputs=mine)
            for name in move.names:
                optimizers[name].step()
            found.append(move.loss.item())
    return found


@pytest.mark.parametrize("case", CASES)
def test_losses_are_the_recorded_ones(case: str) -> None:
    was = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        assert losses(*CASES[case]) == pytest.approx(json.loads(FILE.read_text())[case], rel=1e-7)
    finally:
        torch.set_default_dtype(was)


def choices(part: Objective | ModelSpec) -> set[tuple[str, str]]:
    """What a part was given of each field that chooses among words: the field with its class, and the word."""
    found = set()
    for f in dataclasses.fields(part):  # type: ignore[arg-type]
        value = getattr(part, f.name)
        for word in value if isinstance(value, tuple) else (value,):
            if isinstance(word, str):
                found.add((f"{declared_by(type(part), f.name).__name__}.{f.name}", word))
    return found


def declared_by(cls: type, field: str) -> type:
    """The first class in the ancestry that has the field: a choice is covered by any class that inherits it."""
    return next(base for base in reversed(cls.__mro__) if field in vars(base).get("__annotations__", {}))


def all_choices(cls: type) -> set[tuple[str, str]]:
    found = set()
    for name, hint in get_type_hints(cls).items():
        inner = [hint, *get_args(hint)]
        words = [w for kind in inner if get_origin(kind) is Literal for w in get_args(kind)]
        found |= {(f"{declared_by(cls, name).__name__}.{name}", w) for w in words}
    return found


def test_every_objective_and_every_flow_has_a_case_and_so_has_each_of_their_choices() -> None:
    tried = [part for case in CASES.values() for part in case[:2]]
    flows = {}
    for name, spec in discover("models", ModelSpec).items():
        for shape in ((2,), (1, 8, 8)):
            with contextlib.suppress(UserError):
                if isinstance(spec().build(shape), FlowModel):
                    flows[name] = spec
    missing = {*discover("objectives", Objective), *flows} - NOT_OURS - {type(part).__name__ for part in tried}
    assert not missing, f"add cases of {', '.join(sorted(missing))}"
    parts = (*discover("objectives", Objective).values(), *flows.values())
    asked = {c for cls in parts for c in all_choices(cls)} - DECIDED
    left = {c for c in asked - {c for part in tried for c in choices(part)} if c[0].split(".")[0] not in NOT_OURS}
    assert not left, f"add cases of {sorted(left)}"
    assert CASES.keys() == json.loads(FILE.read_text()).keys()


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    kept = {k: v for k, v in json.loads(FILE.read_text()).items() if k in CASES}
    FILE.write_text(json.dumps({k: kept.get(k) or losses(*v) for k, v in CASES.items()}, indent=1) + "\n")
