"""Every test of data gets an empty cache of its own, and sees no collection but the one it names."""

import os
from pathlib import Path

import pytest

REAL = Path(os.environ.get("TRIPTYCH_DATA") or Path(__file__).parents[3] / "shared" / "data")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TRIPTYCH_DATA", raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the real data sets; the test is skipped where there is none."""
    if not REAL.is_dir():
        pytest.skip("no real data sets: set TRIPTYCH_DATA")
    monkeypatch.setenv("TRIPTYCH_DATA", str(REAL))
    return REAL
