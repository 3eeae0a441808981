"""What `sample`, `nearest`, `interpolate` and `sweep` leave behind, through the command line."""

import numpy as np
import pytest
from fake_runs import make_run, picture_recipe, toy_recipe
from PIL import Image

from triptych.cli import main
from triptych.run import Run, load


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "pictures", picture_recipe(), pictures=False).path


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "points", toy_recipe(), pictures=False).path


def size(path):
    with Image.open(path) as picture:
        return picture.size


def test_samples_in_a_folder_are_the_samples_of_the_model(pictures, tmp_path):
    assert main(["sample", str(pictures), "-n", "5", "--seed", "7", "--out", str(tmp_path / "many")]) == 0
    files = sorted((tmp_path / "many").iterdir())
    assert len(files) == 5
    expected = load(pictures).sample(5, seed=7).mul(255).round()[:, 0].numpy()
    assert np.abs(np.stack([np.asarray(Image.open(f)) for f in files]) - expected).max() == 0
    assert main(["sample", str(pictures), "--out", str(tmp_path / "many")]) == 2, "a full folder is not touched"


def test_grid_and_arrays(pictures, points, tmp_path):
    assert main(["sample", str(pictures), "-n", "9", "--out", str(tmp_path / "grid.png")]) == 0
    assert size(tmp_path / "grid.png") == (3 * 56 + 4, 3 * 56 + 4)
    assert main(["sample", str(points), "-n", "9", "--out", str(tmp_path / "x.npy")]) == 0
    assert np.load(tmp_path / "x.npy").shape == (9, 2)
    assert main(["sample", str(points), "-n", "9", "--out", str(tmp_path / "x.csv")]) == 0
    read = np.loadtxt(tmp_path / "x.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(read, np.load(tmp_path / "x.npy"), rtol=1e-5)


@pytest.mark.parametrize("out", ["x.csv", "x.jpg"])
def test_pictures_do_not_go_everywhere(pictures, tmp_path, out, capsys):
    assert main(["sample", str(pictures), "--out", str(tmp_path / out)]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not list(tmp_path.iterdir())


def test_vectors_need_a_file(points, tmp_path, capsys):
    assert main(["sample", str(points), "--out", str(tmp_path / "folder")]) == 2
    assert ".npy or .csv" in capsys.readouterr().err


def test_interpolate_writes_walks_and_the_square(pictures, tmp_path):
    out = tmp_path / "walks"
    assert main(["interpolate", str(pictures), "--out", str(out), "--rows", "3", "--steps", "5", "--animate"]) == 0
    assert size(out / "linear.png") == (5 * 58 - 2, 3 * 58 - 2)
    assert size(out / "square.png") == (10 * 58 - 2, 10 * 58 - 2)
    with Image.open(out / "linear.webp") as moving:
        assert moving.n_frames == 8
    again = tmp_path / "arc"
    walk = ["--through", "0", "5", "2", "--how", "spherical", "--steps", "4"]
    assert main(["interpolate", str(pictures), "--out", str(again), *walk]) == 0
    assert size(again / "spherical.png") == (4 * 58 - 2, 2 * 58 - 2)


def test_walks_need_two_ends_and_an_encoder_for_real_pictures(pictures, capsys):
    assert main(["interpolate", str(pictures), "--through", "3"]) == 2
    assert "two" in capsys.readouterr().err
    assert not (pictures / "interpolation").exists()


def test_sweep_has_a_row_per_dimension(pictures, points, capsys):
    assert main(["sweep", str(pictures)]) == 0
    assert size(pictures / "sweep" / "sweep.png") == (11 * 58 - 2, 4 * 58 - 2)
    assert "z[0, 1, 2, 3]" in capsys.readouterr().out
    assert main(["sweep", str(pictures), "--dims", "9"]) == 2
    assert main(["sweep", str(points)]) == 0
    assert (points / "sweep" / "sweep.png").is_file()


def test_nearest_puts_each_sample_beside_its_nearest_training_picture(pictures, points, capsys):
    assert main(["nearest", str(pictures), "-n", "5", "--seed", "7"]) == 0
    file, told = capsys.readouterr().out.splitlines()
    assert "median" in told
    assert size(file) == (8 * 58 - 2, 2 * 58 - 2)
    run = Run(pictures)
    train = run.data().x.float() / 255
    sample = run.load().sample(5, seed=7)
    best = (sample[:, None] - train[None]).flatten(2).norm(dim=2).min(1).indices
    sheet = np.asarray(Image.open(file).convert("L")).astype(int)
    for i in range(5):
        row, column = divmod(2 * i + 1, 8)
        shown = sheet[row * 58 : row * 58 + 56 : 2, column * 58 : column * 58 + 56 : 2]
        assert np.abs(shown - run.data().x[best[i], 0].numpy()).max() <= 1
    assert main(["nearest", str(points)]) == 2
    assert capsys.readouterr().err.startswith("error: ")
