"""Whatever a command does with a model, it does it on the device that is asked for."""

import numpy as np
import pytest
from fake_runs import make_run

from triptych.cli import main
from triptych.core import DataSpec, Recipe, Train
from triptych.models.flows.coupling import RealNVP
from triptych.objectives.flow import NLL

FLOW = Recipe(DataSpec("25gaussians"), RealNVP(layers=2, width=8), NLL(), Train(images=10_000), name="flow")
CODES = ["codes.npy", "--out", "x.npy"]
COMMANDS = {
    "sample": [],
    "encode": ["--out", "z.npy"],
    "decode": CODES,
    "reconstruct": [],
    "copies": [],
    "score": [],
    "flow": [],
    "interpolate": [],
    "sweep": [],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_device_that_is_not_there_is_refused_by_every_command(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = make_run(tmp_path / "run", FLOW, pictures=False)
    np.save("codes.npy", np.zeros((2, 2), np.float32))
    before = sorted(tmp_path.rglob("*"))
    assert main([command, str(run.path), *COMMANDS[command], "--device", "nowhere"]) == 2
    assert "device 'nowhere' cannot be used here" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
