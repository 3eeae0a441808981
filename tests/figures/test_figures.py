"""Figures: fixed scale, the right places, no random numbers drawn, no matplotlib before it is needed."""

import io
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import torch
from greys import NAMES, Greys
from PIL import Image

from triptych import figures
from triptych.core import Data
from triptych.core.labels import given
from triptych.data import load
from triptych.errors import UserError
from triptych.figures import canvas, charts, classes, planes, tiles
from triptych.models.gans.mlp import MLPGAN


def test_grid_keeps_the_scale_and_the_order(tmp_path):
    images = torch.stack([torch.full((1, 32, 32), v) for v in (0.25, 0.5, 1.0)])
    sheet = np.asarray(Image.open(figures.grid(images, tmp_path / "a" / "grid.png", columns=2)))
    assert sheet.shape == (2 * 64 + 2, 2 * 64 + 2)
    assert [sheet[10, 10], sheet[10, 100], sheet[100, 10]] == [64, 128, 255]
    assert (sheet[10, 64:66] == 255).all()


def test_grid_clips_and_shows_what_is_not_finite(tmp_path):
    images = torch.tensor([-1.0, 2.0, float("nan")]).view(3, 1, 1, 1).expand(3, 3, 8, 8)
    sheet = np.asarray(Image.open(figures.grid(images, tmp_path / "grid.png", columns=3)))
    assert sheet.shape == (64, 3 * 64 + 4, 3)
    assert sheet[5, 5].tolist() == [0, 0, 0]
    assert sheet[5, 70].tolist() == [255, 255, 255]
    assert sheet[5, 140].tolist() == [255, 0, 255]


def test_large_pictures_are_not_enlarged():
    assert tiles.tile(torch.zeros(4, 3, 80, 80)).size == (162, 162)


def test_labels_have_letters_beyond_english_ones():
    sheet = tiles.tile(torch.zeros(2, 1, 64, 64), columns=1)
    one, other = (tiles.labelled(sheet, [word, ""]) for word in ("Ä", "Ж"))
    missing = tiles.labelled(sheet, ["\ue000", ""])  # of nobody's alphabet: the box that stands for what a font lacks
    assert len({picture.tobytes() for picture in (one, other, missing)}) == 3


def test_plane_counts_what_lies_outside_and_leaves_the_random_state_alone(tmp_path):
    data = Data("dots", torch.randn(500, 2, generator=torch.Generator().manual_seed(0)))
    model = MLPGAN(width=8).build((2,))
    samples = torch.cat([model.sample(50), torch.tensor([[1e6, 0.0], [float("nan"), 0.0]])])
    before = torch.get_rng_state()
    out = figures.plane(samples, data, tmp_path / "plane.png", model)
    figures.curves({"a": [[(0, 1.0), (10, 2.0)], [(0, 2.0), (10, 2.5)]]}, tmp_path / "c.png", ylabel="loss")
    assert torch.equal(before, torch.get_rng_state())
    assert np.asarray(Image.open(out).convert("L")).std() > 5


def test_band_uses_shared_finite_points_only():
    x, mean, low, high = charts.band(
        [[(0, 1.0), (1, 2.0), (2, float("nan"))], [(0, 3.0), (1, 2.0), (2, 5.0), (3, 1.0)]]
    )
    assert x.tolist() == [0, 1]
    assert mean.tolist() == [2, 2]
    assert (high - mean)[0] == pytest.approx(12.706 * 1.0, rel=1e-3)
    assert (mean - low).tolist() == pytest.approx((high - mean).tolist())
    assert high[1] == 2
    assert np.isnan(charts.band([[(0, 1.0)]])[2]).all()


def test_a_band_of_logarithms_stays_positive():
    _, mean, low, high = charts.band([[(0, 1.0)], [(0, 100.0)]], log=True)
    assert mean[0] == pytest.approx(10)
    assert 0 < low[0] < 10 < high[0]
    assert low[0] * high[0] == pytest.approx(100)


def test_axes_of_powers_of_ten_are_logarithmic_where_they_can_be(tmp_path):
    """The ticks are numbers in digits; a curve that goes below 0 is drawn, too."""
    up, down = {"a": [[(0.1, 1.0), (4.0, 0.02)]]}, {"a": [[(0.1, 1.0), (4.0, -0.02)]]}
    for i, series in enumerate((up, down)):
        out = charts.panels({"d": series}, tmp_path / f"{i}.png", xlabel="minutes", powers=["d"], log_x=True)
        assert out.stat().st_size > 2_000


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_animation(tmp_path, name):
    frames = [figures.grid(torch.rand(4, 3, 16, 16), tmp_path / f"{i}.png") for i in range(3)]
    with Image.open(tiles.animate(frames, tmp_path / name)) as made:
        assert made.n_frames == 3
    with pytest.raises(UserError, match=r"\.gif or \.webp"):
        tiles.animate(frames, tmp_path / "a.mp4")


def test_an_animation_is_no_picture_of_a_folder(tmp_path):
    """It was taken for the newest samples, and its first frame shown, which is noise."""
    frames = [figures.grid(torch.rand(4, 3, 16, 16), tmp_path / f"{i}.png") for i in range(3)]
    tiles.animate(frames, tmp_path / "animation.webp")
    still = tmp_path / "still.webp"
    for lossless in (True, False):  # a picture with an alpha channel has the same kind of header
        for mode in ("RGB", "RGBA"):
            Image.new(mode, (9, 9), 0).save(still, lossless=lossless)
            assert canvas.pictures_in(tmp_path) == [*frames, still]


def test_a_picture_that_cannot_be_finished_leaves_the_old_one(tmp_path, monkeypatch):
    grey, path = torch.full((4, 1, 16, 16), 0.5), tmp_path / "a.png"
    figures.grid(grey, path)
    before = path.read_bytes()

    def torn(self, file, *how, **more):
        file.write(b"half a pic")
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", torn)
    with pytest.raises(KeyboardInterrupt):
        figures.grid(torch.rand(4, 1, 16, 16), path)
    assert path.read_bytes() == before
    with pytest.raises(KeyboardInterrupt):
        tiles.loop([tiles.tile(grey)] * 2, tmp_path / "a.webp", 0.1)
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", torn)
    with pytest.raises(KeyboardInterrupt):
        planes.paths(torch.rand(2, 3, 2), torch.rand(9, 2), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(UserError, match=r"x\.doc is not an image"):
        figures.grid(grey, tmp_path / "x.doc")


def test_importing_figures_does_not_import_matplotlib():
    code = "import sys, triptych.figures; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_pictures_of_a_run_are_opened_as_strangers(tmp_path):
    figures.grid(torch.rand(4, 3, 16, 16), tmp_path / "a.png")
    assert canvas.open_picture(tmp_path / "a.png").size == (130, 130)
    canvas.open_picture(tmp_path / "a.png").convert("RGB").save(tmp_path / "a.webp")
    assert canvas.open_picture(tmp_path / "a.webp").format == "WEBP"
    wrong = {
        "eps.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        "gif.png": b"GIF89a" + bytes(40),
        "cut.png": (tmp_path / "a.png").read_bytes()[:200],
        "large.png": claiming(40_000, 40_000),
        "larger.png": claiming(9_000, 9_000),
    }
    for name, raw in wrong.items():
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(UserError, match=r"(not a whole PNG or WEBP|pixels).*; remove it"):
            canvas.open_picture(tmp_path / name)
        with pytest.raises(UserError):
            tiles.animate([tmp_path / "a.png", tmp_path / name], tmp_path / "a.gif")
    for name in ("folder.png", "pipe.png", "gone.png"):
        (tmp_path / "folder.png").mkdir(exist_ok=True)
        if os.name != "nt" and not (tmp_path / "pipe.png").exists():
            os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(UserError):
            canvas.open_picture(tmp_path / name)
    assert not (tmp_path / "a.gif").exists()


def claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that it does not have."""
    file = io.BytesIO()
    Image.new("1", (8, 8)).save(file, "PNG")
    data = bytearray(file.getvalue())
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


def test_figures_are_not_written_through_links(tmp_path):
    (tmp_path / "outside.txt").write_text("mine")
    for name in ("a.png", "b.webp", "c.png", ".a.png.part"):
        (tmp_path / name).symlink_to(tmp_path / "outside.txt")
    figures.grid(torch.rand(4, 1, 16, 16), tmp_path / "a.png")
    tiles.loop([Image.new("L", (8, 8))] * 2, tmp_path / "b.webp", 0.1)
    planes.paths(torch.rand(2, 3, 2), torch.rand(9, 2), tmp_path / "c.png")
    assert (tmp_path / "outside.txt").read_text() == "mine"
    assert not (tmp_path / "a.png").is_symlink()


def test_a_sheet_has_a_row_for_each_class_and_one_z_down_each_column():
    model = Greys()
    sheet = np.asarray(classes.by_class(model, NAMES)).astype(int)
    side = 64 + tiles.GAP
    margin = sheet.shape[1] - (classes.COLUMNS * side - tiles.GAP)
    assert margin > 0
    assert sheet.shape[0] == 3 * side - tiles.GAP
    within = margin + np.flatnonzero(np.arange(classes.COLUMNS * side - tiles.GAP) % side < 64)
    rows = [sheet[i * side : i * side + 64, within] for i in range(3)]
    assert np.abs(rows[1] - rows[0] - 102).max() <= 1  # the greys are 0.4 apart, to a level of rounding
    assert np.abs(rows[2] - rows[1] - 102).max() <= 1
    again = np.asarray(classes.by_class(model, NAMES))
    assert (again == sheet).all()


def test_a_sheet_shows_some_of_many_classes_and_says_so():
    assert classes.shown_classes(10) == list(range(10))
    some = classes.shown_classes(100)
    assert len(some) == len(set(some)) == classes.ROWS
    assert (some[0], some[-1]) == (0, 99)
    assert classes.said(10) == ""
    assert classes.said(1_000) == "sheets show 16 of 1,000 classes, a row each"
    assert classes.short("a class of a very long name") == "a class of a very l…"


def test_a_name_of_a_class_is_drawn_on_one_line():
    for name in ("two\nlines", "\t", "a\x1b[31m", "\ud800"):
        sheet = classes.by_class(Greys(), (name, "", "b"))
        assert sheet.height == 3 * 66 - 2


def test_points_of_classes_have_their_colours_and_the_critic_is_drawn_over_all_classes(tmp_path):
    toy = load("8gaussians")
    model = MLPGAN(width=8, classes=8).build((2,)).eval()
    model.know_classes(toy)
    y = model.labels(None, 200, seed=0)
    x = model.sample(200, seed=0, y=y)
    plain, coloured = (np.asarray(planes.plane_image(x, toy, model, labels)) for labels in (None, y))
    assert plain.shape == coloured.shape
    assert (plain != coloured).any()
    critic = model.critic
    with torch.no_grad():
        told = planes.scores(model, critic, x)
        each = []
        for c in range(8):
            with given(torch.full((200,), c)):
                each.append(critic(x).flatten())
        torch.testing.assert_close(told, torch.stack(each, 1).mean(1))
