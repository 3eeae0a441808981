"""What a person may ask for that cannot be, and what is in the way: one line, and nothing written or lost."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import torch
from fake_runs import make_run, toy_recipe
from PIL import Image

from triptych.cli import main
from triptych.study import display
from triptych.system import files


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    status = main([str(word) for word in argv])
    err = capsys.readouterr().err.splitlines()[-1]
    assert (status, err[:7]) == (2, "error: "), err
    assert "; " in err, "says what to do"
    return err


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", toy_recipe("vae-x"), pictures=False, values={"modes": 1}).path


@pytest.mark.parametrize("images", ["1e30", str(2**63), "1e16"])
def test_a_budget_without_end_leaves_the_run_as_it_was(run, images, capsys):
    """It was written, and then no command could read the run."""
    before = (run / "recipe.json").read_bytes(), (run / "status.json").read_bytes()
    assert "at most 1,000,000,000,000,000" in refused(capsys, "resume", run, "--train.images", images)
    assert before == ((run / "recipe.json").read_bytes(), (run / "status.json").read_bytes())
    out = run.parent / "new"
    refused(capsys, "train", "vae-8gaussians", "--train.images", images, "--out", out)
    refused(capsys, "train", "vae-8gaussians", "--minutes", "1e30", "--out", out)
    assert not out.exists()


def test_a_quote_that_is_closed_nowhere_swallows_no_rows(tmp_path, capsys):
    good = "".join(f"{i / 7:.3f},red\n" for i in range(50))
    table = tmp_path / "t.csv"
    table.write_text(f'x,c\n{good}0.5,"red\n{good}')
    assert "line 52" in refused(capsys, "data", "info", table)
    table.write_text(f'x,c\n{good}0.5,"re, d"\n{good}')
    assert main(["data", "info", str(table)]) == 0
    assert "101" in capsys.readouterr().out


def test_rows_of_empty_cells_are_said_to_be_left_out(tmp_path, capsys):
    table = tmp_path / "t.csv"
    table.write_text("x,c\n" + "".join(f"{i / 7:.3f},{'rb'[i % 2]}\n" for i in range(30)) + ",\n,\n")
    assert main(["data", "info", str(table)]) == 0
    out = capsys.readouterr()
    assert "rows of empty cells left out: 2, the first in line 32" in out.out + out.err


@pytest.mark.parametrize("cell", ["{:,}", "${}", "{}.5 %", "{} €"])
@pytest.mark.parametrize("rows", [12, 300])
def test_numbers_as_spreadsheets_show_them_are_no_names(tmp_path, cell, rows, capsys):
    table = tmp_path / "t.csv"
    table.write_text("a,b\n" + "".join(f'"{cell.format(1000 + 7 * i)}",{i / 3:.4f}\n' for i in range(rows)))
    assert "plain numbers" in refused(capsys, "data", "info", table, "--columns", "auto")


def test_an_evaluation_is_not_written_over_the_run_itself(run, capsys):
    before = (run / "recipe.json").read_bytes()
    said = refused(capsys, "evaluate", run, "--out", run / "recipe.json", "-n", "50")
    assert "part of the run" in said
    assert (run / "recipe.json").read_bytes() == before


def test_a_contact_sheet_is_not_written_into_the_collection(tmp_path, capsys):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(3):
        Image.new("RGB", (8, 8), (80 * i, 9, 9)).save(folder / f"{i}.png")
    before = (folder / "0.png").read_bytes()
    refused(capsys, "data", "info", folder, "--sheet", folder / "0.png")
    assert (folder / "0.png").read_bytes() == before


@pytest.mark.parametrize("jobs", ["0", "-3", "99999"])
def test_a_search_of_no_jobs_ends_before_it_begins(tmp_path, jobs, capsys):
    out = tmp_path / "t"
    said = refused(capsys, "tune", "vae-8gaussians", "--by", "elbo", "--jobs", jobs, "--trials", "2", "--out", out)
    assert "--jobs" in said
    assert not out.exists()


def test_another_studys_folder_is_left_to_it(tmp_path, capsys):
    out = tmp_path / "s"
    out.mkdir()
    files.write_json(out / "study.json", {"name": "theirs", "about": "", "seeds": 1, "samples": None, "runs": []})
    before = (out / "study.json").read_bytes()
    mine = tmp_path / "mine.yaml"
    mine.write_text("name: mine\nrecipes: [{recipe: vae-8gaussians, train.images: 512}]\nseeds: 1\n")
    assert "'theirs'" in refused(capsys, "study", mine, "--out", out, "--jobs", "1", "--device", "cpu")
    assert (out / "study.json").read_bytes() == before
    assert "--scale" in refused(capsys, "study", mine, "--scale", "full")


def test_a_recipe_file_is_not_asked_to_hold_minutes(tmp_path, capsys):
    file = tmp_path / "r.yaml"
    assert "--minutes" in refused(capsys, "train", "vae-8gaussians", "--save-recipe", file, "--minutes", "3")
    assert not file.exists()


@pytest.mark.parametrize(
    "argv",
    [
        ["copies", "RUN", "-n", "0"],
        ["copies", "RUN", "-n", "-5"],
        ["score", "RUN", "-n", "0"],
        ["score", "RUN", "-n", "-1990"],
        ["sample", "RUN", "-n", "1000000000000000"],
        ["sample", "RUN", "-n", "9" * 40],
        ["evaluate", "RUN", "-n", "1000000000000000"],
        ["interpolate", "RUN", "--steps", "1000000000"],
        ["interpolate", "RUN", "--through", "1" + "0" * 30, "2"],
        ["sweep", "RUN", "--columns", "1000000000"],
    ],
)
def test_counts_that_cannot_be(run, argv, capsys):
    refused(capsys, *(run if word == "RUN" else word for word in argv))


@pytest.mark.parametrize("code", ["'data folder is missing'", "0", ""])
def test_a_study_that_ends_the_program_is_named(tmp_path, code, capsys):
    file = tmp_path / "s.py"
    file.write_text(f"import sys\nsys.exit({code})\n")
    assert "line 2" in refused(capsys, "study", file, "--trust")


def test_advice_is_a_command_also_for_names_with_spaces(tmp_path, capsys):
    place = tmp_path / "my runs" / "a b"
    make_run(place, toy_recipe("vae-x"), pictures=False)
    said = refused(capsys, "train", "vae-8gaussians", "--train.images", "512", "--out", place)
    command = said.split("`")[1]
    assert shlex.split(command) == ["triptych", "resume", str(place)]


def test_runs_that_are_not_there_stop_an_evaluation_before_the_others_are_made(run, tmp_path, capsys):
    (run / "eval.json").unlink()
    refused(capsys, "evaluate", run, tmp_path / "none", "-n", "50")
    assert "--curve" in refused(capsys, "evaluate", run, "--curve", "-n", "50")
    assert not (run / "eval.json").exists()


def test_options_of_runs_are_refused_for_sets(capsys):
    for option in (["--which", "best"], ["--solver", "euler"], ["--steps", "4"]):
        assert option[0] in refused(capsys, "evaluate", "--real", "moons", "--fake", "rings", "-n", "50", *option)


def test_a_long_line_of_the_log_is_read_for_the_progress(tmp_path):
    """An evaluation of 1,024 latent dimensions has a line of 20 kB, and the bar fell back to nothing."""
    line = {"images": 500, "kl_per_dim": torch.rand(1024).tolist()}
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line | {"images": n}) + "\n" for n in (100, 500)))
    assert display.images_so_far(tmp_path) == 500
