"""Where a study may be written: a new folder, its own, or one of runs alone."""

from pathlib import Path

import pytest
from fake_runs import make_run, toy_recipe

from triptych.errors import UserError
from triptych.study import Study
from triptych.study.runner import recorded, run_study

STUDY = Study("mine", (toy_recipe(),), 1, yardsticks=False)


@pytest.mark.parametrize("inside", ["a.png", "robins/a.png"])
def test_a_folder_of_other_things_stays_as_it_is(tmp_path: Path, inside: str) -> None:
    (tmp_path / inside).parent.mkdir(exist_ok=True)
    (tmp_path / inside).touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=r"is no study, and .* is in it; give --out another place"):
        run_study(STUDY, tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_is_no_place_for_a_study(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", toy_recipe(), points=2)
    with pytest.raises(UserError, match="is no study"):
        run_study(STUDY, run.path)
    assert not (run.path / "study.json").exists()


def test_runs_may_be_there_before_the_study(tmp_path: Path) -> None:
    make_run(tmp_path / "a-run", toy_recipe(), points=2)
    (tmp_path / ".cache").touch()
    (tmp_path / "logs").mkdir()
    assert recorded(tmp_path, "mine") == {}
