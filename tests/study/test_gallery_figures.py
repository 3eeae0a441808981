"""A kept study's own figures on the pages: samples over training, lines between codes, reconstructions."""

from __future__ import annotations

import statistics
from itertools import groupby
from pathlib import Path

from fake_runs import make_run, picture_recipe, study_of
from PIL import Image

from triptych.cli import gallery_page
from triptych.figures.tiles import board

VALUES = {"frechet": {"value": 0.5, "floor": 0.1, "better": "lower", "title": "Fréchet distance"}}


def kept(folder: Path, moments: int) -> str:
    """The text of a kept study of one recipe whose samples get lighter; its figures are beside `docs/gallery.md`."""
    study = folder / "gallery" / "tiny"
    run = make_run(study / "gan-0", picture_recipe(), 0, pictures=False, values=VALUES)
    for name in ("samples", "interpolation", "sweep", "neighbours"):
        (run.path / name).mkdir(exist_ok=True)
    for i in range(moments):
        Image.new("RGB", (526, 526), (i * 10,) * 3).save(run.path / "samples" / f"{i * 1_000:09d}.png")
    for name in ("interpolation/linear", "interpolation/square", "sweep/sweep", "neighbours/000001000"):
        Image.new("RGB", (80, 80), "gray").save(run.path / f"{name}.png")
    study_of(study, run)
    (folder / "docs").mkdir()
    return gallery_page.write(folder / "docs" / "gallery.md", "said", [study])


def test_samples_over_training_stand_in_a_row_from_first_to_last(tmp_path):
    text = kept(tmp_path, 21)
    (file,) = (tmp_path / "docs" / "figures").glob("tiny-*-training.webp")
    assert f"![samples over training](figures/{file.name})" in text
    picture = Image.open(file).convert("L")
    y = picture.height - 20
    cells = [picture.getpixel((x, y)) for x in range(picture.width)]
    shades = [statistics.median(part) for white, part in groupby(cells, lambda light: light > 230) if not white]
    assert [round(shade / 10) for shade in shades] == [0, 4, 8, 12, 16, 20]


def test_too_few_moments_make_no_figure(tmp_path):
    assert "samples over training" not in kept(tmp_path, 2)


def test_lines_between_codes_are_linked_where_they_lie_and_real_neighbours_are_not(tmp_path):
    text = kept(tmp_path, 3)
    for name in ("interpolation/linear", "sweep/sweep"):
        assert f"(../gallery/tiny/gan-0/{name}.png)" in text
        assert (tmp_path / "docs" / ".." / "gallery" / "tiny" / "gan-0" / f"{name}.png").is_file()
    assert "square" not in text
    assert "neighbours" not in text


def test_a_board_has_headings_over_labelled_rows_and_a_short_rows_last_picture_under_the_last():
    red, green = (Image.new("RGB", (30, 20), colour) for colour in ("red", "green"))
    sheet = board([[red, red, green], [red, green]], ["one\nto epoch 3", "two"], ["start", "50 %", "100 %"])
    right = [sheet.getpixel((sheet.width - 10, y)) for y in range(sheet.height)]
    assert right.count((0, 128, 0)) == 40
    left = [sheet.getpixel((x, sheet.height - 5)) for x in range(sheet.width)]
    assert left.count((255, 0, 0)) == 30
    assert left.count((0, 128, 0)) == 30
