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

from triptych.core import Data, Model, Objective, Space, Value
from triptych.core.features import Classifier, Extractor, Extractors
from triptych.core.metric import Number
from triptych.errors import TooFew, UserError
from triptych.metrics.features.extractor import Identity, extract
from triptych.metrics.features.self_trained import Offline
from triptych.metrics.negatives import SPOILT, controls
from triptych.system.progress import Count as Progress


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a `Metric` is called with: made whole, then only read; features are made when they are first asked for.

    `fake` may hold non-finite vectors: they are counted, and metrics that need features are then not defined.
    """

    real: Data
    """the reference"""
    fake: Data
    """the samples: uint8 images like `real`, or vectors"""
    _: KW_ONLY
    extra_real: Data | None = None
    """further real examples, none of them in `real`: for floors"""
    model: Model | None = None
    objective: Objective | None = None
    """what the model was trained with: the likelihood of a VAE"""
    train: Data | None = None
    """what the model was trained on"""
    seed: int = 0
    extractors: Extractors = field(default_factory=Extractors)
    """of images"""
    controls: int = 0
    """real pictures on each side of the negative controls, at most; 0: none are made"""
    strangers: Data | None = None
    """pictures of another set, as one of the controls"""
    progress: Callable[[str], Progress] | None = None
    warnings: list[str] = field(default_factory=list, init=False)
    """what a reader should be told beside the numbers"""
    _sides: dict[Extractor, tuple[Tensor, Tensor]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for name, data in (("real", self.real), ("generated", self.fake)):
            if not len(data):
                raise UserError(f"the {name} side {data.name!r} has no examples; give some")
        if self.real.shape != self.fake.shape or self.real.is_images != self.fake.is_images:
            raise UserError(
                f"real examples have shape {self.real.shape}, generated ones {self.fake.shape}; prepare both alike "
                "(--resolution, --channels)"
            )
        if self.fake is not self.real and self.sides_identical:
            self.warn("the two sides are the same examples: distances are 0 by construction")
        for name, data in (("real", self.real), ("generated", self.fake)):
            if len(data) > 1 and bool((data.x[1:] == data.x[:1]).all()):
                self.warn(f"all {len(data)} {name} examples are the same")

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    @property
    def is_images(self) -> bool:
        return self.real.is_images

    @cached_property
    def sides_identical(self) -> bool:
        return len(self.real) == len(self.fake) and bool(torch.equal(self.real.x, self.fake.x))

    @cached_property
    def non_finite_samples(self) -> int:
        """Samples with NaN or infinite numbers."""
        return 0 if self.is_images else int((~torch.isfinite(self.fake.x.flatten(1))).any(1).sum())

    @property
    def reference(self) -> str:
        """Name, split and fingerprint; behind a slash which part of it, where it is one."""
        fingerprint = "/".join(part[:12] for part in self.real.fingerprint.split("/"))
        return " ".join(filter(None, [self.real.name, self.real.split, fingerprint]))

    @property
    def floor_sides(self) -> tuple[Data, Data]:
        """Two sets of real examples with none in common, as large as `real` and `fake` where that can be."""
        return self._floor_sides

    @cached_property
    def _floor_sides(self) -> tuple[Data, Data]:
        n = len(self.fake)
        if self.real.distribution is not None:
            return self.real, fresh(self.real, len(self.real), self.seed + 2)
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
            made[control.name] = {e: extract(e, control)["features"] for e in extractors}
            if bar is not None:
                bar(i + 1, len(SPOILT) + 2)
        return made

    def controlled(
        self, f: Callable[[Tensor, Tensor], Mapping[str, Number]], space: Space
    ) -> dict[str, dict[str, Any]]:
        """`f` of every negative control, by the names of its values; see `triptych.core.controls`."""
        if not self.controls or not self.is_images or space.extractor.costly or len(self.real) < 4:
            return {}
        if space.extractor not in self.extractors.of_features:
            return {}
        against, of, drawn = self._control_rows
        real = space.real["features"]
        sides = {"floor": real[of], "samples": space.fake["features"][drawn]}
        sides |= {name: features[space.extractor] for name, features in self._controls.items()}
        try:
            found = {name: f(real[against], side) for name, side in sides.items()}
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

    def number(self, name: str, f: Callable[..., float], *args: Tensor) -> dict[str, float]:
        """`f(*args)` under that name; nothing, and a warning by it, where there are too few examples."""
        try:
            return {name: f(*args)}
        except TooFew as why:
            self.warn(f"{name} is left out: {why}")
            return {}

    @property
    def classifier(self) -> Classifier | None:
        """The extractor of the set that is a classifier."""
        own = (e for e in self.extractors.of_features if isinstance(e, Offline) and e.kind == "classifier")
        return next(own, None)

    # ---------------------------------------------------------------------------------- values

    def measure(
        self,
        f: Callable[[Tensor, Tensor], Mapping[str, Number]],
        space: Space,
        *,
        of: str = "features",
        seed: int | None = None,
        dtype: str | None = None,
        note: str = "",
        controlled: bool = False,
    ) -> dict[str, Value]:
        """`f(real, fake)` on one kind of features, beside `f` on two real sets: the floor; see the protocol.

        Where `f` has too few examples the value is None and the note says so; `TooFew` where not even the floor's
        sets tell what the values would be called.
        """
        e = space.extractor
        note = "; ".join(filter(None, [note, e.note]))
        floors: Mapping[str, Number]
        try:
            floors = f(space.floor_a[of], space.floor_b[of])
        except TooFew:
            floors = {}
        if bad := self.non_finite_samples:
            values, note = dict.fromkeys(floors, math.nan), f"{bad} of {len(self.fake)} samples are not finite"
        else:
            try:
                values = f(space.real[of], space.fake[of])
            except TooFew as error:
                if not floors:
                    raise
                values, note = dict.fromkeys(floors, math.nan), str(error)
        floor_n = min(len(d) for d in self.floor_sides)
        beside = self.controlled(f, space) if controlled and not bad else {}
        return {
            e.name(name): self.value(
                number,
                extractor=e.id,
                resize=e.resize,
                dtype=dtype or e.dtype,
                seed=seed,
                floor=first(floors[name]) if name in floors else None,
                floor_n=floor_n if name in floors else None,
                note=note,
                quantity=name,
                variant=e.label,
                controls=beside.get(name),
            )
            for name, number in values.items()
        }

    def value(
        self,
        number: Number,
        *,
        extractor: str | None = None,
        resize: str | None = None,
        dtype: str = "float64",
        seed: int | None = None,
        floor: float | None = None,
        floor_n: int | None = None,
        note: str = "",
        quantity: str = "",
        variant: str = "",
        controls: Mapping[str, Any] | None = None,
    ) -> Value:
        """A `Value` that carries the counts and the reference; what is not finite is None: not defined."""
        value, se = number if isinstance(number, tuple) else (number, None)
        if floor is not None and not math.isfinite(floor):
            floor = None
        return Value(
            value=value if math.isfinite(value) else None,
            n=len(self.fake),
            n_real=len(self.real),
            reference=self.reference,
            extractor=extractor,
            resize=resize,
            seed=seed,
            dtype=dtype,
            floor=floor,
            floor_n=None if floor is None else floor_n,
            se=se if se is not None and math.isfinite(se) else None,
            note=note,
            quantity=quantity,
            variant=variant,
            controls=controls,
        )


def first(number: Number) -> float:
    return number[0] if isinstance(number, tuple) else number


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
        factors={k: v[rows] for k, v in data.factors.items()},
        fingerprint=f"{data.fingerprint}/{mark}" if data.fingerprint else "",
    )


def subset(data: Data, n: int, seed: int) -> Data:
    """At most n examples, drawn without replacement; all of them where there are no more."""
    if len(data) <= n:
        return data
    return pick(data, torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:n], "subset")


def fresh(data: Data, n: int, seed: int) -> Data:
    """n new draws of a toy set's distribution."""
    return dataclasses.replace(data, x=data.sample(n, seed), labels=None, fingerprint=f"{n}:{seed}:{data.name}")
