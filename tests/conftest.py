"""What every test may rely on: fixed seeds, an empty place to stand in, a cache of its own and no network.

The real data sets are hidden from every test without the marker `data`, wherever they lie.
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
from offline import sitecustomize as offline

ROOT = Path(__file__).resolve().parent.parent

# the same examples on every machine and in every run: a failure is there for whoever looks next
hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None, database=None, print_blob=True)
hypothesis.settings.load_profile("fixed")


def find_real_data() -> Path | None:
    """The folder with mnist/, cifar10/, cub/, celeba/, or None."""
    for place in (os.environ.get("TRIPTYCH_DATA"), ROOT.parent / "shared" / "data"):
        if place and (Path(place) / "mnist").is_dir():
            return Path(place).resolve()
    return None


REAL_DATA = find_real_data()
ONLINE = dict(os.environ)


def pytest_configure() -> None:
    offline.block()


def needs_unix(item: pytest.Function) -> bool:
    """Whether a test makes pipes or links itself, or starts the forking server of trials."""
    return "trials" in item.fixturenames or any(
        word in inspect.getsource(item.function) for word in ("os.mkfifo", ".symlink_to(")
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if os.name == "nt" and isinstance(item, pytest.Function) and needs_unix(item):
            item.add_marker(pytest.mark.skip(reason="pipes, links and forks are not for everyone on Windows"))
        if "real_data" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("data"):
            raise pytest.UsageError(f"{item.nodeid} reads the real data sets: mark it with pytest.mark.data")
        if item.get_closest_marker("data") and REAL_DATA is None:
            item.add_marker(
                pytest.mark.skip(reason="the real data sets are not here: set TRIPTYCH_DATA to their folder")
            )


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def _hurried() -> Iterator[None]:
    """Extractors are trained in a second: how good features are is asked by tests that say so."""
    from triptych.metrics.features import contrasts, self_trained

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contrasts, "STEPS", 10)
        patch.setattr(self_trained, "EXAMPLES", (1024, 1024))
        yield


@pytest.fixture(autouse=True, scope="session")
def _alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Neither the user's cache, nor data sets that lie beside the project, nor the network, for children as well.

    The session stands in an empty folder, since `../shared/data` is a place where data sets are found.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    os.environ["TRIPTYCH_CACHE"] = str(shared / "triptych-cache")
    os.environ.pop("TRIPTYCH_DATA", None)
    os.environ.update(offline.environment())
    place = tmp_path_factory.mktemp("nowhere") / "work"
    place.mkdir()
    os.chdir(place)


@pytest.fixture
def real_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real data sets, for tests with the marker `data`."""
    assert REAL_DATA is not None
    monkeypatch.setenv("TRIPTYCH_DATA", str(REAL_DATA))
    return REAL_DATA


@pytest.fixture(scope="session")
def online() -> dict[str, str]:
    """The environment of a child that may use the network, for marked tests only."""
    return dict(ONLINE)


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
