"""A few of the file operations of each kind of work are cut; benchmarks/kill_points.py cuts them all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from trials.client import Trials
from trials.points import SUBJECTS, Bench

EACH = {"GAN": 12, "VAE": 5, "flow": 5, "preparation": 12, "shard": 4, "evaluate": 5, "sample": 3, "score": 4}


@pytest.fixture(scope="module")
def trials() -> Iterator[Trials]:
    with Trials() as server:
        yield server


@pytest.mark.parametrize("name", EACH)
def test_a_kill_before_a_file_operation_changes_nothing_in_the_end(trials: Trials, name: str, tmp_path: Path) -> None:
    bench = Bench(trials, SUBJECTS[name], tmp_path / "bench")
    n = len(bench.operations)
    points = sorted({round(1 + i * (n - 1) / (EACH[name] - 1)) for i in range(EACH[name])})
    unlike = {f"{k} {operation}": found for k, operation, found in bench.every_point(points) if found}
    assert not unlike


@pytest.mark.long
def test_a_kill_of_a_study_changes_nothing_in_the_end(trials: Trials, tmp_path: Path) -> None:
    bench = Bench(trials, SUBJECTS["study"], tmp_path / "bench")
    points = list(range(1, len(bench.operations) + 1, 3))
    unlike = {f"{k} {operation}": found for k, operation, found in bench.every_point(points) if found}
    assert not unlike
