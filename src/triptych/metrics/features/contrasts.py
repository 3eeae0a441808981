"""Features that fog does not fool: of a small net that learned, on the set itself, what can be wrong with its pictures.

Training pictures are spoilt by a random degree of one of the `FAULTS`. One head of the net tells how much there is of
each, by squared error and linearly, so that distances between features grow with the degree; another gives back the
coarse layout, so that the features keep what the picture is of; a third tells quarter turns. No labels are used.
Features of the self-supervised kind: Gidaris et al. 2018 (turns), Noroozi and Favaro 2016 (patches).

Two nets of different seeds are made of a set: what only one of them sees is a matter of chance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core import Data, Extractor
from triptych.metrics.distortions import bent, blended, blurred, coarse, noisy, pale, scrambled, shuffled
from triptych.metrics.features.kept import Kept
from triptych.metrics.features.self_trained import CPU, FEW, SIDE, Residual, prepare, through
from triptych.system.cache import root
from triptych.system.progress import Count as Progress

VERSION = 1
SEEDS = (0, 1)
"""Of the two nets of a set."""
WIDTHS = (24, 48, 96)
FEATURES = 64
BATCH = 128
STEPS = 500
"""Of training."""
SOUND = 2_000
"""Training pictures whose features are evened out."""
LEAST = 1e-4
"""Of the largest variance: smaller ones count as this."""
THUMB = 4
"""Side of the coarse layout."""

Fault = Callable[[Tensor, Tensor, torch.Generator], Tensor]
FAULTS: Mapping[str, Fault] = {
    "blur": lambda x, s, g: blurred(x, 0.3 + 2.2 / 32 * x.shape[-1] * s**1.5),
    "noise": lambda x, s, g: noisy(x, 0.4 * s**1.5, g),
    "shuffled patches": shuffled,
    "scrambled phases": scrambled,
    "two at once": lambda x, s, g: blended(x, s / 2, g),
    "coarse pixels": lambda x, s, g: coarse(x, 1 + 3 * s, g),
    "bent": lambda x, s, g: bent(x, 0.2 * s, g),
    "pale": lambda x, s, g: pale(x, 0.9 * s),
}
"""By name: a degree in [0, 1] for each picture, and the random numbers."""


class Net(nn.Module):
    """Residual blocks behind a stride-2 stem; 64 features from the last maps' 2 × 2 means and the first maps' means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        a, b, c = WIDTHS
        self.stem = nn.Sequential(nn.Conv2d(channels, a, 4, 2, 1, bias=False), nn.BatchNorm2d(a), nn.ReLU(inplace=True))
        self.blocks = nn.Sequential(Residual(a, a, 1), Residual(a, b, 2), Residual(b, c, 2))
        self.features = nn.Linear(4 * c + a, FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        early = self.stem(x)
        late = self.blocks(early)
        return self.features(torch.cat([F.adaptive_avg_pool2d(late, 2).flatten(1), early.mean((2, 3))], 1))

    @torch.no_grad()
    def even_out(self, x: Tensor) -> None:
        """Turn the features to the principal components of those of sound images x, each over the fourth root of its
        variance there: half way to equal weights, so that what tells one sound image from another is heard as well."""
        z = torch.cat([self(part) for part in x.split(BATCH)])
        mean, (variances, axes) = z.mean(0), torch.linalg.eigh(torch.cov(z.T).double())
        turn = (axes * variances.clamp_min(LEAST * variances.max()) ** -0.25).float()
        self.features.bias.copy_((self.features.bias - mean) @ turn)
        self.features.weight.copy_(turn.T @ self.features.weight)


class Heads(nn.Module):
    """What the features are asked while they are learned."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fault = nn.Linear(FEATURES, len(FAULTS))
        self.turn = nn.Linear(FEATURES, 4)
        self.layout = nn.Linear(FEATURES, channels * THUMB**2)

    def loss(self, net: Net, x: Tensor, degrees: Tensor, turns: Tensor) -> Tensor:
        """Of inner images (n, c, h, w), the degree (n, faults) of what is wrong, and how often each was turned."""
        z = net(x)
        layout = F.mse_loss(self.layout(z), F.adaptive_avg_pool2d(x, THUMB).flatten(1))
        turned = F.cross_entropy(self.turn(z), turns)
        return 4 * (self.fault(z) - degrees).square().sum(1).mean() + layout + 0.2 * turned


@dataclass(frozen=True, eq=False)
class Contrasts(Extractor):
    """One of the two nets of a set."""

    net: nn.Module = field(repr=False)
    id: str
    seed: int = 0
    resize: str = f"area-{SIDE}"
    dtype: str = "float32"
    device: torch.device = CPU
    """where the net is"""

    @property
    def label(self) -> str:
        return "second seed" if self.seed else ""

    @torch.no_grad()
    def __call__(self, examples: Tensor) -> Mapping[str, Tensor]:
        return {"features": through(self.net, examples, self.device).cpu()}

    def on(self, device: torch.device) -> Contrasts:
        return replace(self, net=deepcopy(self.net).to(device), device=device)

    def name(self, base: str) -> str:
        return f"{base}_second" if self.seed else base


# ------------------------------------------------------------------------------------------- making


def extractor_for(train: Data, seed: int = 0, progress: Progress | None = None) -> Contrasts | None:
    """The net of a set of images and a seed of `SEEDS`: from the cache, or trained and kept.

    None where the set has fewer than `FEW` examples: a net trained on them would memorise them.
    """
    return None if len(train) < FEW else kept(train, seed, progress).get()


def cached(train: Data, seed: int = 0) -> bool:
    """Whether `extractor_for` would answer at once."""
    return len(train) < FEW or place(train, seed).exists()


def kept(train: Data, seed: int, progress: Progress | None = None) -> Kept[Contrasts]:
    """The net of a set that has enough examples, as it is kept."""
    return Kept(
        place(train, seed) if train.fingerprint else None,
        lambda: Net(train.shape[0]),
        lambda: (make(train, seed, progress), {}),
        lambda net, about: finish(net, seed),
    )


def place(train: Data, seed: int) -> Path:
    key = hashlib.sha256(f"{train.fingerprint}|{len(train)}|{seed}|{VERSION}".encode()).hexdigest()[:20]
    return root() / "extractors" / f"contrasts-{key}.safetensors"


def finish(net: nn.Module, seed: int) -> Contrasts:
    h = hashlib.sha256()
    for k, v in sorted(net.state_dict().items()):
        h.update(k.encode() + v.contiguous().numpy().tobytes())
    net = net.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Contrasts(net, f"contrasts-{seed}:{h.hexdigest()[:12]}", seed)


def make(train: Data, seed: int, progress: Progress | None = None) -> Net:
    """Train by AdamW at a one-cycle rate, deterministically from the seed."""
    with torch.enable_grad():
        torch.manual_seed(seed)
        g = torch.Generator().manual_seed(seed)
        net = Net(train.shape[0]).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        heads = Heads(train.shape[0])
        optimizer = torch.optim.AdamW([*net.parameters(), *heads.parameters()], 1e-3, weight_decay=0.01, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, STEPS, pct_start=0.25)
        for step in range(STEPS):
            rows = torch.randint(len(train), (BATCH,), generator=g)
            loss = heads.loss(net, *lesson(prepare(train.x[rows]), g))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if progress is not None:
                progress(step + 1, STEPS)
    net.eval().even_out(prepare(train.x[torch.randperm(len(train), generator=g)[:SOUND]]))
    return net


def lesson(x: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Inner images (n, c, h, w), most of them spoilt and some turned; of which fault how much, (n, faults)."""
    x = ((x + 1) / 2).contiguous()
    n, kinds = len(x), len(FAULTS)
    degrees, degree = torch.zeros(n, kinds), torch.rand(n, generator=g)
    kind = torch.randint(kinds + 1, (n,), generator=g)
    for k, spoil in enumerate(FAULTS.values()):
        rows = (kind == k).nonzero().flatten()
        if len(rows):
            x[rows] = spoil(x[rows], degree[rows], g)
            degrees[rows, k] = degree[rows]
    turns = torch.randint(4, (n,), generator=g)
    turns[n // 4 :] = 0
    square = x.shape[2] == x.shape[3]
    if not square:
        turns = turns // 2 * 2
    for k in (1, 2, 3) if square else (2,):
        rows = (turns == k).nonzero().flatten()
        x[rows] = torch.rot90(x[rows], k, (2, 3))
    return (2 * x - 1).contiguous(memory_format=torch.channels_last), degrees, turns
