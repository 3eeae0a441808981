"""What every test may rely on: fixed seeds, a cache of its own, and where the real data are, if they are."""

from __future__ import annotations

import os
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
