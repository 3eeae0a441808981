"""safetensors files, by their bytes: the library itself opens no name that is no UTF-8."""

from __future__ import annotations

import json
from typing import Any

from torch import Tensor


def unpack(raw: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file that was read; SafetensorError where it is none."""
    from safetensors.torch import load

    tensors = load(raw)
    header: dict[str, Any] = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    return tensors, header.get("__metadata__") or {}
