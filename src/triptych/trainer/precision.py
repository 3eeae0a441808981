"""In which precision the players compute: what is asked for, else what is known of the device, else what is timed.

Decided once, before the first step, and written to env.json: a run that goes on keeps what it began with, wherever it
goes on.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from triptych import __version__
from triptych.core import Data, Model, Recipe, encode
from triptych.errors import UserError
from triptych.system import cache, files
from triptych.system import device as runtime
from triptych.system.processor import Arithmetic, arithmetic
from triptych.trainer.rehearsal import one_step, rehearsing

ENOUGH = 0.3
"""Seconds of steps after which a timing is believed; it is tried on small batches first, so that none takes long."""


@dataclass(frozen=True)
class Choice:
    """A precision, and on what grounds."""

    precision: str
    kind: Arithmetic
    grounds: str
    """asked for, narrow, known or timed"""
    seconds: dict[str, float] = field(default_factory=dict)
    """of a timed step, by precision"""
    note: str = ""
    """a line for a person, where there is something to say"""

    def told(self) -> dict[str, Any]:
        """What env.json says."""
        return {"kind": self.kind.name, "grounds": self.grounds, "seconds": self.seconds}


def choose(recipe: Recipe, model: Model, data: Data, device: torch.device) -> Choice:
    """The precision of a training that begins on `device`.

    `fast` is bfloat16 where it is faster; `auto` the same for wide convolutions alone: two adversarial recipes of these
    were measured to end where float32 ends, within the spread of the seeds. Small networks and flows of vectors stay in
    float32, where little would be gained and a hundredth of a nat lost.
    """
    asked, kind = recipe.train.precision, arithmetic(device)
    if asked == "bf16" and kind.bfloat16 is False:
        seconds = timed(recipe, data, device, kind)
        return Choice("bf16", kind, "asked", seconds, slowdown(kind, seconds))
    if asked in ("fp32", "bf16"):
        return Choice(asked, kind, "asked")
    if asked == "auto" and not wide(model):
        return Choice("fp32", kind, "narrow")
    if kind.bfloat16 is not None:
        return Choice("bf16" if kind.bfloat16 else "fp32", kind, "known")
    seconds = timed(recipe, data, device, kind)
    return Choice("bf16" if seconds["bf16"] < seconds["fp32"] else "fp32", kind, "timed", seconds)


def wide(model: nn.Module) -> bool:
    """Whether a network convolves into 32 channels or more."""
    return any(isinstance(m, nn.Conv2d | nn.ConvTranspose2d) and m.out_channels >= 32 for m in model.modules())


def slowdown(kind: Arithmetic, seconds: dict[str, float]) -> str:
    """What bfloat16 costs where it is emulated."""
    times = seconds["bf16"] / seconds["fp32"]
    how = f"{times:.1f} times as slow as float32" if times > 1.05 else "no faster than float32"
    return f"bfloat16 is only emulated here ({kind.words}): a step is {how}; --train.precision fp32 is the usual choice"


def timed(recipe: Recipe, data: Data, device: torch.device, kind: Arithmetic) -> dict[str, float]:
    """Seconds of a step of the recipe in each precision, from the cache where this machine has timed it before."""
    asked = encode(recipe)
    what = [
        __version__,
        torch.__version__,
        runtime.processor(),
        kind.name,
        str(device),
        torch.get_num_threads(),
        list(data.shape),
        asked["model"],
        asked["objective"],
        recipe.train.batch,
    ]
    key = hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:16]
    file = cache.root() / "precision" / f"{key}.json"
    try:
        known = files.read_object(file)
        if all(isinstance(known.get(k), float) and 0 < known[k] < math.inf for k in ("fp32", "bf16")):
            return {k: known[k] for k in ("fp32", "bf16")}
    except (UserError, OSError):
        pass
    seconds = measure(recipe, data, device)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(file, {**seconds, "of": what})
    except (UserError, OSError):
        pass  # a cache that cannot be written: it is timed again the next time
    return seconds


def measure(recipe: Recipe, data: Data, device: torch.device) -> dict[str, float]:
    """Seconds of a real step in each precision, in turns; the least of each. Random numbers are left as they were.

    Batches grow from a sixteenth to the recipe's own for as long as steps are short: under two seconds on anything
    that could train the recipe at all.
    """
    least = dict.fromkeys(("fp32", "bf16"), math.inf)
    began = time.perf_counter()
    for share in (16, 4, 1):
        batch = max(2, recipe.train.batch // share)
        with rehearsing(device):
            steps = {p: one_step(recipe, data, device, p, batch) for p in least}
            for step in steps.values():
                step()
            least = {p: min(step() for _ in range(2)) for p, step in steps.items()}
        if time.perf_counter() - began > ENOUGH:
            break
    return least
