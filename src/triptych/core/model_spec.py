"""What models are built by: dataclasses of sizes, with the classes that a network may be conditioned on."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass, field
from typing import Annotated, Any, Literal, get_args, get_origin

from triptych.core.data import LARGEST, Shape
from triptych.core.kinds import fit_fields
from triptych.core.labels import CLASSES, Numbers
from triptych.core.model import Model
from triptych.errors import UserError


def is_size(hint: Any) -> bool:
    """Whether a field's annotation, a type or its text, is `int`, also with notes on what to try for it."""
    if isinstance(hint, str):
        return hint == "int" or hint.startswith("Annotated[int,")
    return hint is int or (get_origin(hint) is Annotated and get_args(hint)[0] is int)


class ModelSpec(ABC):
    """Abstract base of the frozen dataclasses in `models/` that build a model for a data shape.

    A field annotated as `int` is a size: at least 1, or at least 0 where its default is 0, and at most `LARGEST`;
    UserError otherwise. Other fields a class checks itself.
    """

    def __post_init__(self) -> None:
        fit_fields(self, "model.")
        for f in dataclasses.fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            if not is_size(f.type):
                continue
            value, least = getattr(self, f.name), 0 if f.default == 0 else 1
            if value < least:
                raise UserError(f"model.{f.name} is {value}; it must be {'0 or more' if least == 0 else 'above 0'}")
            if value > LARGEST:
                raise UserError(f"model.{f.name} is {value}; it must be at most {LARGEST:,}")

    @abstractmethod
    def build(self, shape: Shape) -> Model:
        """A freshly initialised model; UserError where the networks cannot make this shape."""


@dataclass(frozen=True)
class ConditionalSpec(ModelSpec):
    """Abstract base of the networks that can be conditioned on classes."""

    _: KW_ONLY
    classes: int | Literal["auto"] = field(default=0, metadata={"later": True})
    """classes that the networks are conditioned on: how many, auto for those of the data, 0 for none"""
    numbers: int = field(default=0, metadata={"later": True})
    """numbers that the networks are conditioned on: as many as --given names, filled in before the run starts"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.classes != "auto" and not 0 <= self.classes <= CLASSES:
            raise UserError(f"model.classes is {self.classes}; give auto, or a number up to {CLASSES:,}")
        if self.numbers and self.classes:
            raise UserError("a network is conditioned on classes or on numbers; leave model.classes or --given out")

    @property
    def k(self) -> int:
        """How many classes the networks are built for, or how many `Numbers`.

        UserError while nobody has looked at the data.
        """
        if self.numbers:
            return Numbers(self.numbers)
        if self.classes == "auto":
            raise UserError("model.classes is auto, and what is built needs their number")
        return self.classes
