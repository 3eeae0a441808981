"""Ask a server of trials (server.py), which is started at the first trial."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


class Trials:
    """A server of its own; `run` answers one trial after another. To be closed, as a context or by `close`."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.fonts = tempfile.TemporaryDirectory()
        """Where matplotlib keeps its list of fonts, made once for all trials."""

    def run(self, trial: dict[str, Any]) -> dict[str, Any]:
        if self.process is None:
            server = Path(__file__).with_name("server.py")
            self.process = subprocess.Popen(
                [sys.executable, "-P", str(server)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg", "MPLCONFIGDIR": self.fonts.name},
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(trial) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the server of trials ended with status {self.process.wait()}")
        return json.loads(answer)

    def close(self) -> None:
        if self.process is not None:
            with self.process as p:
                assert p.stdin is not None
                p.stdin.close()
            self.process = None
        self.fonts.cleanup()

    def __enter__(self) -> Trials:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
