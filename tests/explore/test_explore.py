"""What `sample`, `nearest`, `interpolate` and `sweep` leave behind, through the command line."""

import numpy as np
import pytest
import torch
from fake_runs import make_run, picture_recipe, toy_recipe
from idx_files import digits
from PIL import Image

from triptych import data
from triptych.cli import main
from triptych.core import DataSpec, Recipe, Train
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows.multiscale import Glow
from triptych.objectives.autoencoder import VAE
from triptych.objectives.flow import NLL
from triptych.run import Run, load


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "pictures", picture_recipe(), pictures=False, fingerprint="").path


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


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["interpolate", "--rows", "-1"], "at least 1 and 2"),
        (["interpolate", "--rows", "0"], "at least 1 and 2"),
        (["interpolate", "--steps", "-3"], "at least 1 and 2"),
        (["interpolate", "--steps", "1"], "at least 1 and 2"),
        (["interpolate", "--through", "-5", "2"], "no sample -5"),
        (["interpolate", "--through", "-1", "2"], "no sample -1"),
        (["interpolate", "--seed", "99999999999999999999"], "below 2**63"),
        (["sweep", "--reach", "nan"], "--reach is nan"),
        (["sweep", "--reach", "inf"], "--reach is inf"),
        (["sweep", "--seed", "-1"], "at least 0"),
        (["sample", "--seed", "99999999999999999999"], "below 2**63"),
        (["nearest", "--seed", "99999999999999999999"], "below 2**63"),
        (["nearest", "-n", "50001"], "100,002 pictures of a sheet were asked for; give at most 100,000"),
        (["evaluate", "--seed", "99999999999999999999"], "below 2**63"),
    ],
)
def test_impossible_numbers_are_one_line_and_write_nothing(pictures, tmp_path, capsys, argv, said):
    before = sorted(pictures.rglob("*"))
    out = ["--out", str(tmp_path / "x")] if argv[0] in ("interpolate", "sweep") else []
    assert main([argv[0], str(pictures), *argv[1:], *out]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
    assert sorted(pictures.rglob("*")) == before
    assert not list(tmp_path.iterdir())


def test_walks_need_two_ends_and_an_encoder_for_real_pictures(pictures, capsys):
    assert main(["interpolate", str(pictures), "--through", "3"]) == 2
    assert "two" in capsys.readouterr().err
    assert not (pictures / "interpolation").exists()


def test_sweep_has_a_row_per_dimension(pictures, points, capsys):
    assert main(["sweep", str(pictures)]) == 0
    width, height = size(pictures / "sweep" / "sweep.png")
    assert height == 4 * 58 - 2
    assert width > 11 * 58 - 2 + 20, "the dimensions' names stand left of the rows"
    assert "z[0, 1, 2, 3]" in capsys.readouterr().out
    assert main(["sweep", str(pictures), "--dims", "9"]) == 2
    assert main(["sweep", str(points)]) == 0
    assert (points / "sweep" / "sweep.png").is_file()


def test_nearest_puts_each_sample_beside_its_nearest_training_picture(pictures, points, tmp_path, monkeypatch, capsys):
    digits(tmp_path / "mnist")
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path))
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
    assert main(["nearest", str(pictures), "-n", "200"]) == 0
    assert size(capsys.readouterr().out.splitlines()[0]) == (20 * 58 - 2, 20 * 58 - 2), "a long sheet is as wide"
    assert main(["nearest", str(points)]) == 2
    assert capsys.readouterr().err.startswith("error: ")


# ------------------------------------------------------------------------------- codes of examples


@pytest.fixture(scope="module")
def coder(tmp_path_factory):
    """A VAE of 2-D points."""
    recipe = Recipe(DataSpec("8gaussians"), MLPAutoencoder(width=8), VAE(), Train(images=1_000), name="vae")
    return make_run(tmp_path_factory.mktemp("runs") / "coder", recipe, pictures=False).path


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    """A flow of small pictures."""
    recipe = Recipe(
        DataSpec("glyphs", resolution=16, channels=1),
        Glow(levels=1, steps=1, width=4),
        NLL(),
        Train(images=1_000),
        "flow",
    )
    return make_run(tmp_path_factory.mktemp("runs") / "flow", recipe, pictures=False, shape=(1, 16, 16)).path


def test_codes_go_out_and_come_back(flow, tmp_path):
    """encode, decode: the held-out pictures again, as a flow must."""
    z, x = tmp_path / "z.npy", tmp_path / "x.npy"
    assert main(["encode", str(flow), "-n", "20", "--out", str(z)]) == 0
    assert np.load(z).shape == (20, 256)
    assert main(["decode", str(flow), str(z), "--out", str(x)]) == 0
    test = data.load("glyphs", "test", resolution=16, channels=1).x[:20].numpy() / 255
    assert np.abs(np.load(x) - test).max() < 1e-4
    assert main(["decode", str(flow), str(z), "--out", str(tmp_path / "many")]) == 0
    assert len(list((tmp_path / "many").iterdir())) == 20


def test_a_vaes_codes_are_posterior_means_of_the_examples_named(coder, tmp_path):
    points = np.random.default_rng(0).normal(size=(7, 2)).astype("float32")
    np.save(tmp_path / "points.npy", points)
    assert main(["encode", str(coder), "--data", str(tmp_path / "points.npy"), "--out", str(tmp_path / "z.npy")]) == 0
    expected = load(coder).encode(torch.from_numpy(points)).detach().numpy()
    np.testing.assert_allclose(np.load(tmp_path / "z.npy"), expected, atol=1e-6)


def test_reconstructions_stand_beside_the_originals(flow, coder, tmp_path, capsys):
    assert main(["reconstruct", str(flow), "-n", "6", "--out", str(tmp_path / "six.png")]) == 0
    error = float(capsys.readouterr().out.split()[-1])
    assert error < 1e-8
    with Image.open(tmp_path / "six.png") as picture:
        assert picture.width > 5 * picture.height, "six pairs in one row"
    assert main(["reconstruct", str(coder), "-n", "6"]) == 0
    assert np.load(coder / "reconstructions-6.npy").shape == (6, 2)


def test_labels_that_are_drawn_are_said(tmp_path, capsys):
    recipe = Recipe(DataSpec("8gaussians"), MLPAutoencoder(width=8, classes=8), VAE(), Train(images=1_000), name="vae")
    run = make_run(tmp_path / "run", recipe, pictures=False, classes=tuple("abcdefgh")).path
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(7, 2)).astype("float32"))
    for command in ("encode", "reconstruct", "score"):
        out = str(tmp_path / f"{command}.{'csv' if command == 'score' else 'npy'}")
        assert main([command, str(run), "--data", str(tmp_path / "x.npy"), "--out", out]) == 0
        assert "no labels of this run's classes: drawn ones are taken" in capsys.readouterr().err, command


def test_what_only_flows_show(flow, pictures, capsys):
    assert main(["flow", str(flow)]) == 0
    assert size(flow / "flow" / "temperatures.png")[0] > 100
    assert main(["flow", str(pictures)]) == 2
    assert "choose a run of one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["sample", "RUN", "--codes", "gaussian", "--temperature", "0.5"], "--temperature"),
        (["sample", "RUN", "--components", "3"], "--codes mixture"),
        (["sample", "RUN", "--temperature", "nan"], "above 0"),
        (["sample", "RUN", "--temperature", "-1"], "above 0"),
        (["encode", "RUN", "--out", "TMP/z.csv"], ".npy"),
        (["encode", "RUN", "--out", "TMP/z.npy", "-n", "0"], "at least 1"),
        (["encode", "RUN", "--out", "TMP/z.npy", "--data", "moons3"], "moons3"),
        (["encode", "RUN", "--out", "TMP/z.npy", "--data", "TMP/three.npy"], "shape (3,)"),
        (["decode", "RUN", "TMP/none.npy", "--out", "TMP/x.npy"], "cannot be read"),
        (["decode", "RUN", "TMP/three.npy", "--out", "TMP/x.npy"], "(n, 2)"),
        (["reconstruct", "RUN", "--out", "TMP/x.png", "-n", "-1"], "at least 1"),
    ],
)
def test_wrong_use_of_codes_is_one_line(coder, tmp_path, capsys, argv, said):
    np.save(tmp_path / "three.npy", np.random.default_rng(0).normal(size=(4, 3)).astype("float32"))
    before = sorted(tmp_path.iterdir())
    assert main([a.replace("RUN", str(coder)).replace("TMP", str(tmp_path)) for a in argv]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
    assert sorted(tmp_path.iterdir()) == before


def test_samples_from_fitted_codes(coder, tmp_path):
    for codes in (["gaussian"], ["mixture", "--components", "3"]):
        assert main(["sample", str(coder), "-n", "9", "--codes", *codes, "--out", str(tmp_path / "x.npy")]) == 0
        assert np.load(tmp_path / "x.npy").shape == (9, 2)


def test_samples_of_a_table_have_its_digits(tmp_path):
    seconds = 1_700_000_000 + torch.arange(60)
    table = tmp_path / "t.csv"
    table.write_text("time,v\n" + "".join(f"{s},{i % 7}.5\n" for i, s in enumerate(seconds.tolist())))
    options = ["--train.images", "512", "--model.width", "8", "--out", str(tmp_path / "run")]
    assert main(["train", "realnvp-8gaussians", "--data", str(table), *options]) == 0
    run = Run(tmp_path / "run")
    assert run.origin() == (1_700_000_000.0, 0.0)
    for name in ("s.csv", "s.npy"):
        assert main(["sample", str(run.path), "-n", "6", "--out", str(tmp_path / name)]) == 0
    whole = np.load(tmp_path / "s.npy")
    assert whole.dtype == np.float64
    inner = run.load().sample(6, seed=0)
    assert np.abs(whole - inner.double().numpy() - [1_700_000_000, 0]).max() == 0
    assert np.abs(np.loadtxt(tmp_path / "s.csv", delimiter=",", skiprows=1) - whole).max() < 1e-6
    assert (tmp_path / "s.csv").read_text().startswith("time,v\n")
    assert main(["reconstruct", str(run.path), "-n", "4", "--out", str(tmp_path / "r.csv")]) == 0
    again = np.loadtxt(tmp_path / "r.csv", delimiter=",", skiprows=1)
    assert np.abs(again[:, 0] - seconds[:4].numpy()).max() < 0.01


def test_codes_of_any_array_file_are_decoded(points, tmp_path, capsys):
    width = load(points).latent
    (tmp_path / "z.csv").write_text(",".join(f"z{i}" for i in range(width)) + "\n" + ("0.1," * width)[:-1] + "\n")
    assert main(["decode", str(points), str(tmp_path / "z.csv"), "--out", str(tmp_path / "x.csv")]) == 0
    (tmp_path / "z.npy").write_text("<!DOCTYPE html>")
    assert main(["decode", str(points), str(tmp_path / "z.npy"), "--out", str(tmp_path / "x.csv")]) == 2
    said = capsys.readouterr().err
    assert "is a web page" in said
    assert "pickle" not in said
