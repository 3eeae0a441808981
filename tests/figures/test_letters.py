"""Names in any script: the font that has their letters is taken, and that there is none is said once."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib import font_manager

from triptych.core import Data
from triptych.core.columns import Column, Columns
from triptych.figures import columns, letters, tiles
from triptych.system import notices

ELSEWHERE = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "STIXGeneral.ttf"
"""Stands for a font of this machine: it has letters that matplotlib's first does not have."""


def rare(n: int = 3) -> str:
    found = sorted(letters.letters_in(ELSEWHERE) - letters.letters_in(letters.own()))
    return "".join([chr(letter) for letter in found if chr(letter).isalpha()][-n:])


@pytest.fixture(autouse=True)
def afresh():
    for remembered in (letters.font_with, letters.installed, notices.say):
        remembered.cache_clear()
    yield
    for remembered in (letters.font_with, letters.installed, notices.say):
        remembered.cache_clear()


@pytest.fixture
def another(monkeypatch):
    name = font_manager.FontProperties(fname=ELSEWHERE).get_name()
    monkeypatch.setattr(letters, "installed", lambda: {ELSEWHERE: name})


def test_a_font_of_the_machine_is_taken_for_letters_that_ours_has_not(another):
    assert letters.font_of(["größe", "−1 → 1", "ﻋﺮﺑﻲ", "עברית", "кот"]) == letters.own()
    assert letters.font_of(["a", rare()]) == ELSEWHERE
    sheet = tiles.labelled(tiles.tile(torch.zeros(2, 1, 64, 64), 1), ["a", rare()])
    boxes = tiles.labelled(tiles.tile(torch.zeros(2, 1, 64, 64), 1), ["a", "\U0010fffd" * 3])
    assert sheet.tobytes() != boxes.tobytes()


def test_the_sheet_of_a_table_has_them_too(another, capsys, monkeypatch):
    typed = Columns((Column(rare(), "category", values=(rare(2), "b", "c")), Column("x", "number", scale=1.0)))
    x = typed.encode([np.arange(30) % 3.0, np.linspace(0, 1, 30)])
    data = Data("t", x, typed=typed, columns=typed.places)
    shown = columns.sheet_image(x, data)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(letters, "installed", dict)
    letters.font_with.cache_clear()
    assert columns.sheet_image(x, data).tobytes() != shown.tobytes()
    assert f"no font here has {rare()[0]}" in capsys.readouterr().err
    columns.sheet_image(x, data)
    assert capsys.readouterr().err == ""  # once


def test_fonts_that_have_boxes_for_everything_are_none(monkeypatch):
    assert not [font for font in letters.installed() if font.is_relative_to(matplotlib.get_data_path())]
    monkeypatch.setattr(letters, "installed", dict)
    assert letters.font_of(["\U0010fffd"]) == letters.own()


def test_a_font_that_cannot_be_read_has_no_letters(tmp_path):
    (tmp_path / "x.ttf").write_bytes(b"no font")
    assert letters.letters_in(tmp_path / "x.ttf") == frozenset()
    assert letters.letters_in(tmp_path / "gone.ttf") == frozenset()
