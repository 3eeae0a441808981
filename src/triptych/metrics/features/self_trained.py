"""Extractors that need no network and no ImageNet: trained on the data set itself, or on nothing.

In order of preference: a small residual classifier where the set has labels, an autoencoder where it has none, and
random convolutions as the last resort. Each is made once per data set, deterministically from a fixed seed, and kept;
its id is the hash of its weights. Numbers from them compare models on that set, and nothing else.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core import Data, Extractor
from triptych.core.features import grey_levels
from triptych.metrics.features.kept import Kept, Made
from triptych.system.cache import root
from triptych.system.device import exact_float32
from triptych.system.progress import Count as Progress

VERSION = 1
SIDE = 64
"""Larger pictures are averaged down to this side."""
WIDTH = 128
"""Features of the trained extractors."""
BATCH = 128
EXAMPLES = (20_000, 180_000)
"""Least and most examples shown in training; in between, the set three times."""
FEW = 500
"""Sets with fewer examples get random convolutions: a net trained on them would memorise them."""
CPU = torch.device("cpu")
Kind = Literal["classifier", "autoencoder", "random"]


@dataclass(frozen=True, eq=False)
class Offline(Extractor):
    """A small net of this project's own."""

    net: nn.Module = field(repr=False)
    kind: Kind
    id: str
    accuracy: float | None = None
    """of a classifier, on `accuracy_n` examples it was not trained on"""
    accuracy_n: int = 0
    resize: str = f"area-{SIDE}"
    dtype: str = "float32"
    beside: bool = False
    """whether it stands beside a newer extractor, which has the plain names"""
    device: torch.device = CPU
    """where the net is"""

    @property
    def label(self) -> str:
        return "offline-v1" if self.beside else ""

    def name(self, base: str) -> str:
        return f"{base}_v1" if self.beside else base

    @torch.no_grad()
    def __call__(self, examples: Tensor) -> Mapping[str, Tensor]:
        features, out = through(self.net, examples, self.device)
        return {"features": features.cpu()} | ({"logits": out.cpu()} if self.kind == "classifier" else {})

    def on(self, device: torch.device) -> Offline:
        return replace(self, net=deepcopy(self.net).to(device), device=device)


def prepare(images: Tensor) -> Tensor:
    """Bytes or public floats (n, c, h, w) to float32 in [-1, 1], at most `SIDE` pixels a side."""
    x = grey_levels(images)
    if max(x.shape[-2:]) > SIDE:
        x = F.interpolate(x, (SIDE, SIDE), mode="area")
    return (x / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def through(net: nn.Module, images: Tensor, device: torch.device) -> Any:
    """What a net makes of images where it is, on `device`."""
    with exact_float32():
        return net(prepare(images.to(device)))


# ---------------------------------------------------------------------------------------------- nets


class Residual(nn.Module):
    """conv-bn-relu-conv-bn beside a 1×1 shortcut, then ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x), inplace=True)


class Classifier(nn.Module):
    """Residual blocks of 32, 64 and 128 maps behind a stride-2 stem; features are the means of the last maps."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, 32, 5, 2, 2, bias=False), nn.BatchNorm2d(32), nn.ReLU(inplace=True)
        )
        self.blocks = nn.Sequential(Residual(32, 32, 1), Residual(32, 64, 2), Residual(64, WIDTH, 2))
        self.head = nn.Linear(WIDTH, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.blocks(self.stem(x)).mean((2, 3))
        return features, self.head(features)

    def loss(self, x: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self(x)[1], labels)


class Autoencoder(nn.Module):
    """Three strided convolutions to 128 numbers and back, by squared error; features are the 128 numbers."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.small = -(-side // 8)
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, 32, 4, 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 64, 4, 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(64, 128, 4, 2, 1),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(self.small) if side % 8 else nn.Identity(),
            nn.Flatten(),
            nn.Linear(128 * self.small**2, WIDTH),
        )
        self.back = nn.Linear(WIDTH, 128 * self.small**2)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(128, 64, 4, 2, 1),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(64, 32, 4, 2, 1),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(32, channels, 4, 2, 1),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encoder(x)
        y = self.decoder(F.relu(self.back(z)).view(-1, 128, self.small, self.small))
        return z, y[..., : x.shape[-2], : x.shape[-1]]

    def loss(self, x: Tensor, labels: Tensor) -> Tensor:
        return F.mse_loss(self(x)[1], x)


class RandomFeatures(nn.Module):
    """Three untrained convolutions of a fixed seed; features are the mean and spread of every map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = (channels, 32, 64, 128)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in itertools.pairwise(widths))
        g = torch.Generator().manual_seed(VERSION)
        for conv in self.convs:
            w = conv.weight
            assert isinstance(w, Tensor)
            w.data = torch.randn(w.shape, generator=g) * (2 / w[0].numel()) ** 0.5
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found = []
        for conv in self.convs:
            x = F.relu(conv(x))
            found += [x.mean((2, 3)), x.flatten(2).std(2, correction=0)]
        return torch.cat(found, 1), x


# ------------------------------------------------------------------------------------------- making


def extractor_for(
    train: Data, test: Data | None = None, kind: Kind | None = None, progress: Progress | None = None
) -> Offline:
    """The offline extractor of a data set: read from the cache, or trained (a minute or two) and kept.

    `kind` defaults to a classifier where `train` has labels of at least two classes, else an autoencoder; random
    features where it has fewer than `FEW` examples.
    """
    return kept(train, test, kind, progress).get()


def cached(train: Data) -> bool:
    """Whether `extractor_for` would answer at once."""
    kind = kind_for(train)
    return kind == "random" or place(train, kind).exists()


def kind_for(train: Data) -> Kind:
    if len(train) < FEW:
        return "random"
    return "classifier" if classes_of(train) > 1 else "autoencoder"


def place(train: Data, kind: Kind) -> Path:
    key = hashlib.sha256(f"{train.fingerprint}|{len(train)}|{kind}|{VERSION}".encode()).hexdigest()[:20]
    return root() / "extractors" / f"{kind}-{key}.safetensors"


def classes_of(data: Data) -> int:
    return int(data.labels.max()) + 1 if data.labels is not None and len(data.labels) else 0


def build(train: Data, kind: Kind) -> Classifier | Autoencoder:
    if kind == "classifier":
        return Classifier(train.shape[0], classes_of(train))
    return Autoencoder(train.shape[0], min(SIDE, max(train.shape[1:])))


def kept(
    train: Data, test: Data | None = None, kind: Kind | None = None, progress: Progress | None = None
) -> Kept[Offline]:
    """The extractor of `extractor_for`, as it is kept; random features are drawn each time."""
    what = kind or kind_for(train)
    return Kept(
        place(train, what) if train.fingerprint and what != "random" else None,
        lambda: build(train, what),
        lambda: make(train, test, what, progress),
        lambda net, about: finish(net, what, about),
    )


def finish(net: nn.Module, kind: Kind, about: Mapping[str, str]) -> Offline:
    h = hashlib.sha256()
    for k, v in sorted(net.state_dict().items()):
        h.update(k.encode() + v.contiguous().numpy().tobytes())
    net = net.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    accuracy = float(about["accuracy"]) if "accuracy" in about else None
    return Offline(net, kind, f"{kind}:{h.hexdigest()[:12]}", accuracy, int(about.get("accuracy_n", 0)))


def make(train: Data, test: Data | None, kind: Kind, progress: Progress | None) -> Made:
    """Random features, or a net trained on `EXAMPLES` examples, one-cycle AdamW, fixed seed.

    A classifier is tested on the test split, else on a tenth of the training examples that it never sees.
    """
    if kind == "random":
        return RandomFeatures(train.shape[0]), {}
    with torch.enable_grad():
        torch.manual_seed(VERSION)
        g = torch.Generator().manual_seed(VERSION)
        order = torch.randperm(len(train), generator=g)
        held = 0
        if kind == "classifier" and (test is None or test.labels is None):
            held = max(1, len(train) // 10)
        held_out, used = order[:held], order[held:]
        net = build(train, kind).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        examples = min(max(3 * len(used), EXAMPLES[0]), EXAMPLES[1])
        batch = min(BATCH, len(used))
        steps = max(1, examples // batch)
        optimizer = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=0.01, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps, pct_start=0.25)
        stream = torch.empty(0, dtype=torch.int64)
        labels = train.labels if train.labels is not None else torch.zeros(len(train), dtype=torch.int64)
        for step in range(steps):
            if len(stream) < batch:
                stream = torch.cat([stream, used[torch.randperm(len(used), generator=g)]])
            rows, stream = stream[:batch], stream[batch:]
            loss = net.loss(prepare(train.x[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if progress is not None:
                progress(step + 1, steps)
        net.eval()
        about = {}
        if kind == "classifier":
            x, y = (test.x, test.labels) if test is not None and not held else (train.x[held_out], labels[held_out])
            assert y is not None
            right = sum((net(prepare(a))[1].argmax(1) == b).sum().item() for a, b in batches(x, y))
            about = {"accuracy": str(right / len(x)), "accuracy_n": str(len(x))}
    return net, about


@torch.no_grad()
def batches(x: Tensor, y: Tensor) -> list[tuple[Tensor, Tensor]]:
    return list(zip(x.split(512), y.split(512), strict=True))
