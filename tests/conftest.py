"""What every test may rely on: fixed seeds, a cache of its own, and where the real data are, if they are."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent


def real_data() -> Path | None:
    """The folder with mnist/, cifar10/, cub/, celeba/, or None."""
    for place in (os.environ.get("TRIPTYCH_DATA"), ROOT.parent / "shared" / "data"):
        if place and (Path(place) / "mnist").is_dir():
            return Path(place)
    return None


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests share a cache below the temporary folder and leave the user's alone."""
    os.environ.setdefault("TRIPTYCH_CACHE", str(tmp_path_factory.getbasetemp().parent / "triptych-cache"))


@pytest.fixture
def shared_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real data sets; the test is skipped where they are not."""
    place = real_data()
    if place is None:
        pytest.skip("the real data sets are not here: set TRIPTYCH_DATA to their folder")
    monkeypatch.setenv("TRIPTYCH_DATA", str(place))
    return place


@pytest.fixture
def scripted(tmp_path: Path) -> Path:
    """A TorchScript network of the shape that clean-fid uses: layers(x) on normalised 299 px pictures."""

    class Layers(torch.nn.Module):
        def forward(self, x):
            return torch.nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = Layers()

        def forward(self, x):
            return self.layers(x)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Net()).save(str(tmp_path / "inception.pt"))
    return tmp_path / "inception.pt"
