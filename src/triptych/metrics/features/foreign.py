"""Features of one's own: an ONNX file, a Python object, or DINOv2's weights, by `--extractor`.

What goes in is declared, or the network is refused: a wrong range or size makes numbers that look like any other.

- `size`: side in pixels that pictures are brought to (`clean` resize), or 0 for their own;
- `range`: lowest and highest grey level, such as [0, 255], [0, 1] or [-1, 1];
- `mean`, `std`: optional, subtracted and divided by afterwards, one for each of three channels, or one.

An ONNX file declares them in its metadata, or in a JSON file beside it (`NAME.onnx.json`); a Python object by
attributes of these names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from triptych.core import Extractor, plugins
from triptych.core.features import grey_levels
from triptych.errors import UserError
from triptych.metrics.features import dinov2
from triptych.metrics.features.extractor import sha256
from triptych.metrics.features.resize import RESIZES
from triptych.system import files
from triptych.system.onnx_runtime import onnx_runtime

DECLARED = ("size", "range", "mean", "std")
DINO = "dinov2:"
LARGEST = 4096
"""Side in pixels."""


@dataclass(frozen=True)
class Input:
    """What a network wants to be given; UserError for what cannot be."""

    size: int
    range: tuple[float, float]
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @classmethod
    def read(cls, who: str, told: Mapping[str, Any]) -> Input:
        """From what was declared, as JSON or plain values; UserError naming what lacks or is wrong."""
        missing = [k for k in ("size", "range") if told.get(k) is None]
        if missing:
            raise UserError(
                f"{who} does not declare its {' and its '.join(missing)}; give it a size (pixels), a range such as "
                "[0, 1], and mean and std where it wants them"
            )
        try:
            size = int(told["size"])
            low, high = (float(v) for v in told["range"])
            mean, std = (tuple(float(v) for v in np.ravel(told.get(k) or d)) for k, d in (("mean", 0.0), ("std", 1.0)))
        except (TypeError, ValueError) as e:
            raise UserError(f"{who} declares its input wrongly ({e}); give a size, and a range of two numbers") from e
        if not 0 <= size <= LARGEST or not low < high or min(std) <= 0 or {len(mean), len(std)} - {1, 3}:
            raise UserError(
                f"{who} declares size {size}, range {[low, high]}, mean {list(mean)}, std {list(std)}; give a size up "
                f"to {LARGEST}, a range that rises, one or three means, and stds above 0"
            )
        return cls(size, (low, high), mean, std)

    @property
    def resize(self) -> str:
        return f"clean-{self.size}" if self.size else "none"

    def __call__(self, images: Tensor) -> Tensor:
        """Pictures as the network wants them, float32 (n, 3, size, size)."""
        x = grey_levels(images)
        if self.size:
            x = RESIZES["clean"](x, self.size)
        low, high = self.range
        x = low + x * ((high - low) / 255)
        shape = (1, -1, 1, 1)
        return (x.expand(-1, 3, -1, -1) - x.new_tensor(self.mean).view(shape)) / x.new_tensor(self.std).view(shape)


@dataclass(frozen=True, eq=False)
class Foreign(Extractor):
    """A network of somebody else's between declared input and features (n, d)."""

    net: Callable[[Tensor], Any] = field(repr=False)
    input: Input
    called: str
    """short name, behind those of the metrics"""
    id: str
    dtype: str = "float32"
    costly: ClassVar[bool] = True

    @property
    def resize(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.input.resize

    @property
    def label(self) -> str:
        return self.called

    def name(self, base: str) -> str:
        return f"{base}_{self.called}"

    @torch.no_grad()
    def __call__(self, examples: Tensor) -> Mapping[str, Tensor]:
        found = self.net(self.input(examples))
        if isinstance(found, Mapping):
            found = found.get("features")
        if not isinstance(found, Tensor) or len(found) != len(examples) or not found.is_floating_point():
            what = f"{tuple(found.shape)} of {found.dtype}" if isinstance(found, Tensor) else type(found).__name__
            raise UserError(f"{self.id} gave {what} for {len(examples)} pictures; features are floats (n, d)")
        features = found.float().flatten(1).cpu()
        if not bool(features.isfinite().all()):
            raise UserError(f"{self.id} gave features that are not finite; check the range that it declares")
        return {"features": features}


def load(where: str, device: torch.device | str = "cpu") -> Foreign:
    """The extractor that `--extractor` names: FILE.onnx, module:attr, FILE.py:attr, or dinov2:WEIGHTS."""
    if where.startswith(DINO):
        return from_dinov2(Path(where.removeprefix(DINO)).expanduser(), device)
    if where.lower().endswith(".onnx"):
        return from_onnx(Path(where).expanduser())
    return from_python(where, device)


def short(name: str) -> str:
    """A name that can stand behind a metric's."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name).strip("_").lower()[:30] or "own"


def from_dinov2(path: Path, device: torch.device | str) -> Foreign:
    if not path.is_file():
        raise UserError(f"{path} is no file; give the path of DINOv2's weights, dinov2_vits14_pretrain.pth")
    net = dinov2.load(path).to(device)
    wanted = Input(dinov2.SIDE, (0.0, 1.0), dinov2.MEAN, dinov2.STD)
    return Foreign(lambda x: net(x.to(device)), wanted, "dinov2", f"dinov2:{sha256(path)[:12]}")


def from_onnx(path: Path) -> Foreign:
    """A graph with one input (n, 3, size, size); its first output is the features."""
    if not path.is_file():
        raise UserError(f"{path} is no file; give the path of an .onnx file")
    onnxruntime = onnx_runtime()
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as e:  # its own exceptions derive from nothing in common
        raise UserError(f"{path} is no ONNX graph that can be run ({' '.join(str(e).split())[:200]}); check it") from e
    beside = path.with_name(f"{path.name}.json")
    told: Mapping[str, Any]
    told = files.read_object(beside, 1 << 20) if beside.exists() else metadata(path, session)
    wanted = Input.read(str(path), told)
    inputs = session.get_inputs()
    shape = inputs[0].shape if len(inputs) == 1 else None
    fixed = [s for s in (shape or ())[1:] if isinstance(s, int)]
    fits = (
        shape is not None
        and len(shape) == 4
        and all(
            not isinstance(s, int) or s == want
            for s, want in zip(shape[1:], (3, wanted.size, wanted.size), strict=True)
        )
    )
    if not fits or inputs[0].type != "tensor(float)" or (fixed[1:] and not wanted.size):
        has = ", ".join(f"{i.name} {i.shape} {i.type}" for i in inputs)
        raise UserError(
            f"{path} takes {has}, and declares size {wanted.size}; an extractor takes one float input "
            f"(n, 3, {wanted.size or 'h'}, {wanted.size or 'w'})"
        )
    name, one = inputs[0].name, isinstance(shape[0] if shape else None, int)

    def run(x: Tensor) -> Tensor:
        parts = x.split(int(shape[0])) if one and shape else [x]
        return torch.cat([torch.from_numpy(session.run(None, {name: p.numpy()})[0]) for p in parts])

    mark = sha256(path)
    if beside.exists():
        mark = hashlib.sha256(f"{mark}{sha256(beside)}".encode()).hexdigest()
    return Foreign(run, wanted, short(path.stem), f"onnx:{path.stem}:{mark[:12]}")


def metadata(path: Path, session: Any) -> dict[str, Any]:
    """What the file itself declares, each as JSON."""
    own = session.get_modelmeta().custom_metadata_map
    try:
        return {k: json.loads(own[k]) for k in DECLARED if k in own}
    except ValueError as e:
        raise UserError(f"{path} has metadata that is not JSON ({e}); write numbers and lists of them") from e


def from_python(where: str, device: torch.device | str) -> Foreign:
    """An object of a module or a .py file, called with float32 pictures (n, 3, size, size)."""
    place, colon, attribute = where.rpartition(":")
    if not colon or not attribute.isidentifier():
        raise UserError(f"{where!r} is no extractor; give FILE.onnx, module:attr, FILE.py:attr or dinov2:WEIGHTS")
    plugin = plugins.load(place)
    found = vars(plugin.module).get(attribute)
    if not callable(found):
        raise UserError(f"{place} has no {attribute} that can be called; name an object, with a size and a range")
    wanted = Input.read(where, {k: getattr(found, k, None) for k in DECLARED})
    mark = hashlib.sha256(f"{plugin.sha256}{plugin.package}{plugin.version}{wanted}".encode())
    if isinstance(found, nn.Module):
        found = found.eval().to(device)
        for key, value in sorted(found.state_dict().items()):
            mark.update(key.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return Foreign(lambda x: found(x.to(device)), wanted, short(attribute), f"{attribute}:{mark.hexdigest()[:12]}")
