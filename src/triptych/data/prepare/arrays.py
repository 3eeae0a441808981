"""Pictures that are arrays already: brought to another size or number of channels, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from triptych.core.preparation import Preparation
from triptych.data.prepare import decode, prepared
from triptych.data.source import digest
from triptych.errors import UserError


def needed(x: Tensor, how: Preparation) -> bool:
    """Whether the options change these images, uint8 (n, c, h, w)."""
    _, c, h, w = x.shape
    return how.size not in (None, (w, h)) or how.channels not in (None, c) or how.jpeg_quality is not None


def recast(x: Tensor, how: Preparation, name: str, original: str) -> Tensor:
    """Images, uint8 (n, c, h, w), as the options ask, from the cache after the first time.

    `original` is the digest of x. Every picture goes through Pillow, so that a set read from arrays equals the same
    set read from files, bit for bit.
    """
    if how.range is not None:
        raise UserError(f"--range is for picture files of more than 8 bits, and {name} holds bytes; drop it")
    if not needed(x, how):
        return x

    def make(folder: Path) -> None:
        out = shaped(x, how)
        prepared.write_images(folder, out)
        about = {"name": name, "count": len(out), "fingerprint": digest(out), "preparation": how.plain()}
        prepared.write_json(folder / "about.json", about)

    folder = prepared.build(Path(name).stem or "array", digest(original, how.identity()), make)
    return prepared.Prepared(folder).load(name, "all").x


def shaped(x: Tensor, how: Preparation) -> Tensor:
    """The same in memory: uint8 (n, c, h, w) to (n, c', h', w')."""
    options = how.plain()
    first = _planes(x[0], options)
    out = np.empty((len(x), *first.shape), np.uint8)
    for i, picture in enumerate(x):
        out[i] = _planes(picture, options)
    return torch.from_numpy(out)


def _planes(picture: Tensor, options: dict[str, object]) -> np.ndarray:
    a = picture.numpy()
    im = decode.shape(Image.fromarray(a[0] if len(a) == 1 else np.ascontiguousarray(a.transpose(1, 2, 0))), options)
    return np.frombuffer(decode.planes(im), np.uint8).reshape(len(im.getbands()), im.height, im.width)
