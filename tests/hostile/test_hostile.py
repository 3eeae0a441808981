"""A few of each family of hostile input; benchmarks/hostile.py tries them all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from trials.client import Trials

from hostile.families import a_few, by_kind
from hostile.place import Hostile, attempt, clear

EACH = 5


@pytest.fixture(scope="module")
def trials() -> Iterator[Trials]:
    with Trials() as server:
        yield server


@pytest.mark.parametrize("hostile", [h for kind in by_kind() for h in a_few(kind, EACH)], ids=str)
def test_hostile_input_is_refused_or_borne(trials: Trials, hostile: Hostile, tmp_path: Path) -> None:
    verdict = attempt(trials, hostile, tmp_path / "place")
    clear(tmp_path / "place")
    assert not verdict.faults, verdict
