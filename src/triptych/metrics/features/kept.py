"""Extractors that are made once for a data set and kept in a file of the cache."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from triptych.core import Extractor
from triptych.system.cache import ADVICE
from triptych.system.files import sweep_legacy, writing
from triptych.system.locks import exclusive, hold
from triptych.system.refusals import system_errors
from triptych.system.tensor_files import unpack

AnyExtractor = TypeVar("AnyExtractor", bound=Extractor)
Made = tuple[nn.Module, Mapping[str, str]]
"""A trained net, and what is written beside its weights."""


@dataclass(frozen=True)
class Kept(Generic[AnyExtractor]):
    """An extractor, its place in the cache, and how it is made where it is not there."""

    file: Path | None
    """None: nothing is kept, and each `get` makes it"""
    empty: Callable[[], nn.Module]
    """the net that kept weights go into"""
    make: Callable[[], Made]
    finish: Callable[[nn.Module, Mapping[str, str]], AnyExtractor]

    def get(self) -> AnyExtractor:
        """The extractor, read or made; where another process is making it, once that is done."""
        with torch.random.fork_rng(devices=[]):  # initial weights are drawn even where kept ones replace them
            if self.file is None:
                return self.finish(*self.make())
            if (found := self._read(self.file)) is not None:  # also from a cache that may only be read
                return found
            with system_errors(self.file, ADVICE), exclusive(self.file.with_suffix(".lock")):
                return self._read(self.file) or self._made(self.file)

    def make_if_free(self) -> None:
        """Make and keep it, unless it is there or another process is making it."""
        if self.file is None or self.file.exists():
            return
        with system_errors(self.file, ADVICE):
            if (lock := hold(self.file.with_suffix(".lock"))) is None:
                return
            with lock, torch.random.fork_rng(devices=[]):
                if not self.file.exists():
                    self._made(self.file)

    def _read(self, file: Path) -> AnyExtractor | None:
        """The kept one; None, with a warning where it is damaged, when it must be made."""
        from safetensors import SafetensorError

        if not file.exists():
            return None
        try:
            weights, about = unpack(file.read_bytes())
            net = self.empty()
            net.load_state_dict(weights)
        except (SafetensorError, RuntimeError, OSError) as e:
            warnings.warn(f"the kept extractor {file} cannot be used ({e}); made anew", stacklevel=3)
            return None
        return self.finish(net, about)

    def _made(self, file: Path) -> AnyExtractor:
        from safetensors.torch import save

        net, about = self.make()
        sweep_legacy(file.parent)
        with writing(file, ADVICE) as f:
            f.write(save({k: v.contiguous() for k, v in net.state_dict().items()}, dict(about)))
        return self.finish(net, about)


def make_missing(wanted: Iterable[Kept[Any]]) -> None:
    """Make what is not kept, but for what other processes are making.

    Two that begin at once and want the same ones so make different ones, instead of one waiting for the other.
    """
    for one in wanted:
        one.make_if_free()
