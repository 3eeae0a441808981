"""Models for other programs: graphs in ONNX or PyTorch's own form, and plain weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triptych.core.discovery import handed_on

if TYPE_CHECKING:
    from triptych.export.of_run import write_export as write_export

__all__ = ["write_export"]

__getattr__, __dir__ = handed_on(__name__, {"write_export": "of_run"})
