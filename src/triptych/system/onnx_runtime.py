"""onnxruntime, asked not to tell on the person who uses it."""

from __future__ import annotations

import os
from types import ModuleType

from triptych.errors import UserError


def onnx_runtime() -> ModuleType:
    """The package; UserError where it is not installed.

    Some of its versions write an id of the machine into the home folder as they are imported, and events that are sent
    to their makers. Whoever wants that sets ORT_DISABLE_TELEMETRY=0 beforehand.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as e:
        raise UserError(f"this needs onnxruntime ({e}); pip install 'triptych[onnx]'") from e
    return onnxruntime
