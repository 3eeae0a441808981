"""What the option parser complains of, as one line: whatever its version draws around it, and in narrow terminals."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest

from triptych.cli import main
from triptych.cli.arguments import one_line, parse

UNICODE = """\
╭─ Unrecognized options ───────────────────╮
│ Unrecognized options: --imges            │
│ ──────────────────────────────────────── │
│ Perhaps you meant:                       │
│     --images INT                         │
│         how many (default: 1)            │
│ ──────────────────────────────────────── │
│ For full helptext, run triptych x --help │
╰──────────────────────────────────────────╯
"""
VALUE = """\
╭─ Value error ──────────────────────────────────────╮
│ Error parsing --images: 'x' is not a whole number  │
│ ────────────────────────────────────────────────── │
│ Argument helptext:                                 │
│     --images INT                                   │
╰────────────────────────────────────────────────────╯
"""
SPACES = """\
 Unrecognized options
 ------------------------------------------
  Unrecognized options: --imges
  ------------------------------------------
  Perhaps you meant:
      --images INT
  ------------------------------------------
  For full helptext, run triptych x --help

"""
ASCII = UNICODE.translate(str.maketrans("╭╮╰╯─│", "++++-|"))
HEAVY = UNICODE.translate(str.maketrans("╭╮╰╯─│", "┏┓┗┛━┃"))
COLOURED = UNICODE.replace("Unrecognized options:", "\x1b[1;31mUnrecognized options:\x1b[0m")
PLAIN = "usage: triptych x [-h] [--images INT]\ntriptych x: error: unrecognized arguments: --imges 3\n"
NEAR = "Unrecognized options: --imges; did you mean --images?"


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (UNICODE, NEAR),
        (SPACES, NEAR),
        (ASCII, NEAR),
        (HEAVY, NEAR),
        (COLOURED, NEAR),
        (VALUE, "--images: 'x' is not a whole number; `triptych x --help` lists the options"),
        (PLAIN, "unrecognized arguments: --imges 3; `triptych x --help` lists the options"),
        ("", "the options are not understood; `triptych x --help` lists the options"),
        ("╭──╮\n╰──╯\n", "the options are not understood; `triptych x --help` lists the options"),
    ],
)
def test_a_complaint_is_read_without_its_frame(said: str, line: str) -> None:
    assert one_line(said, "x") == line


@pytest.mark.parametrize("width", [20, 40, 200])
def test_a_narrow_terminal_cuts_no_word(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    word = "--train.an-option-that-does-not-fit-into-a-narrow-terminal"
    assert main(["train", "gan-8gaussians", word, "5"]) == 2
    assert f"Unrecognized options: {word}, 5; " in capsys.readouterr().err
    assert main(["train", "gan-8gaussians", "--objective.n-critic", "0"]) == 2
    assert capsys.readouterr().err == "error: objective.n_critic is 0; it must be at least 1\n"
    assert main(["sample"]) == 2
    assert "RUN" in capsys.readouterr().err
    assert os.environ["COLUMNS"] == str(width)


def test_the_help_of_a_study_names_the_studies(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "--help"]) == 0
    out = capsys.readouterr().out
    assert "three-families: GANs, autoencoders and flows" in out
    assert "parallel-lines: " in out
    assert "skips the runs that are done" in out


@pytest.mark.parametrize(
    "asked",
    [
        "train gan-8gaussians --track tensorboard --track=wandb",
        "train spline-8gaussians --data t.csv --columns a=drop --columns b=date",
        "train best-birds --objective.augment color --objective.augment cutout",
        "sample runs/mine --given age=40 --given dose=2",
        "sample runs/mine --class 3 --class 5",
    ],
)
def test_an_option_of_several_values_is_not_written_twice(asked: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The first values were dropped without a word."""
    assert main(asked.split()) == 2
    option = asked.split()[-2] if "=wandb" not in asked else "--track"
    said = f"error: {option} is given 2 times; write it once, with all of its values behind it\n"
    assert capsys.readouterr().err == said


def test_the_last_of_two_single_values_holds() -> None:
    assert parse(Preparation, "x", ["--side", "3", "--side", "4"]) == Preparation(side=4)


@dataclass(frozen=True)
class Preparation:
    """What is parsed in a test."""

    side: int = 1
    """pixels"""
