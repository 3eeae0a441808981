"""One comparison: real examples, generated ones, and their features, each made once for all metrics."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from triptych.core import Data, Encoder, Space, Value, metric
from triptych.core.data import InParts
from triptych.core.features import Classifier, Extractor
from triptych.core.metric import Number, first
from triptych.core.model import conditions_of
from triptych.core.remembered import of_real
from triptych.errors import TooFew
from triptych.metrics.features.extractor import Identity, extract, kept
from triptych.metrics.features.self_trained import Offline
from triptych.metrics.negatives import SPOILT, controls
from triptych.models import latent_space
from triptych.system.progress import Count as Progress


@dataclass(frozen=True, eq=False)
class Comparison(metric.Comparison):
    """The comparison that evaluation builds: made whole, then only read; features are made when first asked for."""

    _: KW_ONLY
    extra_real: Data | None = None
    """further real examples, none of them in `real`: for floors"""
    controls: int = 0
    """real pictures on each side of the negative controls, at most; 0: none are made"""
    strangers: Data | None = None
    """pictures of another set, as one of the controls"""
    progress: Callable[[str], Progress] | None = None
    _sides: dict[Extractor, tuple[Tensor, Tensor]] = field(default_factory=dict, init=False, repr=False)
    _codes: dict[int | None, Tensor] = field(default_factory=dict, init=False, repr=False)

    @property
    def floor_sides(self) -> tuple[Data, Data]:
        """Two sets of real examples with none in common, as large as `real` and `fake` where that can be."""
        return self._floor_sides

    @cached_property
    def _floor_sides(self) -> tuple[Data, Data]:
        n = len(self.fake)
        if self.real.distribution is not None:
            return self.real, fresh(self.real, n, self.seed + 2, labelled=self.real.labels is not None)
        if self.extra_real is not None and len(self.extra_real) >= min(n, len(self.real) // 2):
            return self.real, subset(self.extra_real, n, self.seed)
        half = len(self.real) // 2
        order = torch.randperm(len(self.real), generator=torch.Generator().manual_seed(self.seed))
        return pick(self.real, order[:half], "left"), pick(self.real, order[half : half + min(n, half)], "right")

    @property
    def spaces(self) -> tuple[Space, ...]:
        """Features of all four sets, one space an extractor, made once. Vectors are their own."""
        return self._spaces

    @cached_property
    def _spaces(self) -> tuple[Space, ...]:
        return tuple(self.space(e) for e in (self.extractors.of_features if self.is_images else (Identity(),)))

    def space(self, extractor: Extractor) -> Space:
        """Features of all four sets in one extractor."""
        floor_a, floor_b = self.floor_sides
        sides = {"real": self.real, "samples": self.fake, "floor": floor_a, "floor 2": floor_b}
        made: dict[int, dict[str, Tensor]] = {}
        for name, data in sides.items():
            if id(data) not in made:
                bar = self.progress(f"{extractor.id}: {name}") if self.progress is not None else None
                made[id(data)] = extract(extractor, data, progress=bar)
        return Space(extractor, *(made[id(d)] for d in sides.values()))

    @cached_property
    def _control_rows(self) -> tuple[Tensor, Tensor, Tensor]:
        """Rows of the reference that controls are compared with, those they are made of, and as many of the samples."""
        g = torch.Generator().manual_seed(self.seed)
        n = min(self.controls, len(self.real) // 2, len(self.fake))
        order = torch.randperm(len(self.real), generator=g)
        return order[:n], order[n : 2 * n], torch.randperm(len(self.fake), generator=g)[:n]

    @cached_property
    def _controls(self) -> dict[str, dict[Extractor, Tensor]]:
        """Features of the negative controls by name and extractor; none of them is kept as pictures."""
        made: dict[str, dict[Extractor, Tensor]] = {}
        extractors = [e for e in self.extractors.of_features if not e.costly]
        bar = self.progress("negative controls") if self.progress is not None else None
        of = pick(self.real, self._control_rows[1], "controls")
        for i, control in enumerate(controls(of, self.strangers, self.seed)):
            found = {e: kept(e, control.fingerprint, len(of)) for e in extractors}
            if None in found.values():
                x = control.pictures()
                data = dataclasses.replace(of, x=x, labels=None, factors={}, fingerprint=control.fingerprint)
                found = {e: extract(e, data) for e in extractors}
            made[control.name] = {e: features["features"] for e, features in found.items() if features is not None}
            if bar is not None:
                bar(i + 1, len(SPOILT) + 2)
        return made

    def controls_of(
        self, f: Callable[[Tensor, Tensor], Mapping[str, Number]], space: Space
    ) -> Mapping[str, Mapping[str, Any]]:
        """Of images only, and where features do not cost minutes."""
        if not self.controls or not self.is_images or space.extractor.costly or len(self.real) < 4:
            return {}
        if space.extractor not in self.extractors.of_features:
            return {}
        against, of, drawn = self._control_rows
        real = space.real["features"]
        sides = {"floor": real[of]}
        sides |= {name: features[space.extractor] for name, features in self._controls.items()}
        try:
            found = {name: of_real(f, real[against], side) for name, side in sides.items()}
            found["samples"] = f(real[against], space.fake["features"][drawn])
        except TooFew:
            return {}
        told: dict[str, dict[str, Any]] = {}
        for name in found["floor"]:
            values = {k: v if math.isfinite(v := first(numbers[name])) else None for k, numbers in found.items()}
            floor, samples = values.pop("floor"), values.pop("samples")
            told[name] = {"n": len(against), "floor": floor, "samples": samples, "values": values}
        return told

    def sides(self, extractor: Extractor) -> tuple[Tensor, Tensor]:
        """Features of the two sides alone, for what is cheap."""
        if extractor not in self._sides:
            self._sides[extractor] = (
                extract(extractor, self.real)["features"],
                extract(extractor, self.fake)["features"],
            )
        return self._sides[extractor]

    def codes(self, points: int, seed: int) -> tuple[Data, Tensor]:
        """At most so many of the real examples, and their codes (n, latent), on the CPU, made once for all metrics."""
        data = subset(self.real, points, seed)
        order = None if data is self.real else seed  # else shuffled: fewer are then the first of more
        known = self._codes.get(order)
        if known is None or len(known) < len(data):
            assert isinstance(self.model, Encoder)
            x = data.x.float() / 255 if self.is_images else data.x.float()
            known = latent_space.encode(self.model, x, y=conditions_of(self.model, data))
            self._codes[order] = known
        return data, known[: len(data)]

    @property
    def classifier(self) -> Classifier | None:
        """The extractor of the set that is a classifier."""
        own = (e for e in self.extractors.of_features if isinstance(e, Offline) and e.kind == "classifier")
        return next(own, None)


def counted(found: dict[str, Value], n: int) -> dict[str, Value]:
    """Values of n examples a side."""
    floor_n = {k: None if v.floor is None else min(n, v.floor_n or n) for k, v in found.items()}
    return {k: dataclasses.replace(v, n=n, n_real=n, floor_n=floor_n[k]) for k, v in found.items()}


def pick(data: Data, rows: Tensor, mark: str) -> Data:
    """Some rows of a set, with a fingerprint of their own."""
    mark = hashlib.sha256(f"{mark}|{rows.tolist()}".encode()).hexdigest()[:12]
    return dataclasses.replace(
        data,
        x=data.x[rows],
        labels=None if data.labels is None else data.labels[rows],
        conditions=None if data.conditions is None else data.conditions[rows],
        factors={k: v[rows] for k, v in data.factors.items()},
        fingerprint=f"{data.fingerprint}/{mark}" if data.fingerprint else "",
    )


def subset(data: Data, n: int, seed: int) -> Data:
    """At most n examples, drawn without replacement; all of them where there are no more."""
    if len(data) <= n:
        return data
    return pick(data, torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:n], "subset")


def mixed(data: Data, n: int) -> Data:
    """The data, where their first n examples are a sample of them, else n drawn at random: for numbers of the log.

    Folders are read a class after the other, and tables as they were sorted.
    """
    if data.distribution is not None or not in_blocks(data):
        return data
    return pick(data, torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:n], "mixed")


def in_blocks(data: Data) -> bool:
    """Whether examples of a class lie together; of a set without labels nothing is known, and that is taken for yes."""
    if data.labels is None or len(data.labels) < 2:
        return True
    chance = (data.labels.bincount() / len(data.labels)).square().sum().item()
    alike = (data.labels[1:] == data.labels[:-1]).double().mean().item()
    return alike > (1 + chance) / 2


def fresh(data: Data, n: int, seed: int, *, labelled: bool = False) -> Data:
    """n new draws of a toy set's distribution; `labelled`: the same points, with the part that each is of, if any."""
    labels = None
    if labelled and isinstance(data.distribution, InParts):
        x, labels = data.distribution.draw_labelled(n, torch.Generator().manual_seed(seed))
    else:
        x = data.sample(n, seed)
    return dataclasses.replace(data, x=x, labels=labels, fingerprint=f"{n}:{seed}:{data.name}")


def numbered_alike(fake: Data, real: Data) -> tuple[Data, str]:
    """Samples whose labels are the numbers of the real side's classes, by name; and what was left out, in words.

    A sample of a class that is not there has the label -1; where no class is there, the samples have none.
    """
    if fake.labels is None or real.labels is None or not (fake.classes and real.classes):
        return fake, ""
    if fake.classes == real.classes:
        return fake, ""
    known = {name: k for k, name in enumerate(real.classes)}
    numbers = torch.tensor([known.get(name, -1) for name in fake.classes])
    labels = numbers[fake.labels]
    lost = int((labels < 0).sum())
    if lost == len(labels):
        first, other = fake.classes[0], real.classes[0]
        said = f"no class of {fake.name} is one of {real.name} ({first!r}, {other!r}); numbers within classes left out"
        return dataclasses.replace(fake, labels=None), said
    others = [name for name in fake.classes if name not in known]
    said = (
        f"{lost:,} of {len(labels):,} samples are of classes that {real.name} does not have ({', '.join(others[:3])})"
    )
    return dataclasses.replace(fake, labels=labels, classes=real.classes), said if lost else ""
