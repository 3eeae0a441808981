"""What `import triptych` offers, in a process that has imported nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

ROOMS = "cli core data errors evaluate explore export figures metrics models objectives recipes report run study system"


def fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", [*ROOMS.split(), "trainer", "metrics.features.InceptionV3", "run.folder.Run"])
def test_every_room_is_an_attribute(name: str) -> None:
    assert fresh(f"import triptych; print(triptych.{name})")


def test_names_are_listed_and_nothing_heavy_is_imported_for_it() -> None:
    said = fresh("import sys, triptych; print('torch' in sys.modules, *dir(triptych)); print('torch' in sys.modules)")
    first, last = said.splitlines()
    assert (first.split()[0], last) == ("False", "False")
    assert {*ROOMS.split(), "trainer", "load", "train", "Run", "Study", "evaluate_run"} <= {*first.split()}


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    assert fresh("import triptych\ntry: triptych.nothing\nexcept AttributeError as e: print(e)") == (
        "module 'triptych' has no attribute 'nothing'\n"
    )
