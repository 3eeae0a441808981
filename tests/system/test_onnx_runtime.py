"""onnxruntime leaves nothing behind."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("onnxruntime")


def test_its_import_writes_nothing_into_the_home_folder(tmp_path):
    env = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"} | {"HOME": str(tmp_path)}
    code = "from triptych.system.onnx_runtime import onnx_runtime; onnx_runtime()"
    subprocess.run([sys.executable, "-P", "-c", code], check=True, env=env)
    assert list(tmp_path.iterdir()) == []
