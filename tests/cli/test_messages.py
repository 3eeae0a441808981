"""Options and places that cannot be: one line that says what to do, and nothing left behind."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_runs import make_run, picture_recipe, toy_recipe

from triptych.cli import data, evaluate, main
from triptych.core import DataSpec, Recipe, Train
from triptych.errors import UserError
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.autoencoder import VAE
from triptych.objectives.gan import WGANGP
from triptych.recipes.override import with_field
from triptych.trainer import checks, fit, loop, session, start


@pytest.mark.parametrize(
    ("recipe", "options", "said"),
    [
        ("vae-8gaussians", ["--objective.beta", "inf"], "objective.beta is inf; give a finite number"),
        ("vae-8gaussians", ["--objective.free-bits", "inf"], "objective.free_bits is inf"),
        ("vae-8gaussians", ["--objective.sigma", "inf"], "objective.sigma is inf"),
        ("vae-8gaussians", ["--objective.sigma", "nan"], "objective.sigma is nan"),
        ("wgan-gp-8gaussians", ["--objective.gp", "nan"], "objective.gp is nan"),
        (
            "gan-8gaussians",
            ["--objective.label-smoothing", "0.7", "inf"],
            "objective.label_smoothing is (0.7, inf); give a finite number",
        ),
        ("gan-8gaussians", ["--train.weight-decay", "nan"], "train.weight_decay is nan"),
        (
            "gan-8gaussians",
            ["--objective.label-smoothing", "0.9"],
            "is 0.9; give two numbers with a space between, or None",
        ),
        ("gan-8gaussians", ["--train.critic-lr", "fast"], "--train.critic-lr is fast; give a number, or None"),
        ("gan-8gaussians", ["--train.betas", "0.9", "x"], "--train.betas is 0.9 x; give 2 numbers"),
        ("gan-8gaussians", ["--train.images", "1.5"], "'1.5' is not a whole number"),
        ("gan-8gaussians", ["--train.images", "inf"], "'inf' is not a whole number"),
        ("gan-8gaussians", ["--train.images", "many"], "'many' is not a whole number"),
        ("gan-8gaussians", ["--data", "no-such-set"], "no data set is named"),
    ],
)
def test_options_that_cannot_be(tmp_path, monkeypatch, capsys, recipe, options, said):
    monkeypatch.chdir(tmp_path)
    assert main(["train", recipe, *options, "--out", "deep/new/run"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
    assert not any(word in err for word in ("[bold]", "NoneType", "typing", "literal"))
    assert not list(tmp_path.iterdir())


def test_numbers_that_are_not_finite_from_python_and_yaml():
    for make in (VAE, "beta"), (WGANGP, "gp"), (Train, "lr"):
        with pytest.raises(UserError, match=f"{make[1]} is inf; give a finite number"):
            make[0](**{make[1]: float("inf")})
    recipe = Recipe(DataSpec("8gaussians"), MLPAutoencoder(), VAE(), Train())
    with pytest.raises(UserError, match="finite"):
        with_field(recipe, "objective.beta", float("inf"))


@pytest.mark.parametrize("text", ["1e3", "1000", "1_000", "1.0e3"])
def test_whole_numbers_as_people_write_them(tmp_path, text):
    argv = ["train", "gan-8gaussians", "--train.images", text, "--train.batch", "500", "--out", str(tmp_path / "r")]
    assert main(argv) == 0
    from triptych.run import Run

    assert Run(tmp_path / "r").recipe.train.images == 1_000


@pytest.mark.parametrize(
    ("argv", "where", "said"),
    [
        (["data", "prepare", "8gaussians"], (data, "splits"), "the same command goes on with"),
        (["evaluate", "RUN"], (evaluate, "show"), "runs that were evaluated keep their eval.json"),
        (["train", "gan-8gaussians"], (checks, "load_spec"), "interrupted; no run folder was written; the same"),
        (["resume", "RUN"], (start, "check_train"), "interrupted; the run is as it was; the same command"),
        (["train", "gan-8gaussians", "--out", "here"], (session, "standard"), "`triptych resume here` begins it again"),
        (["train", "gan-8gaussians", "--out", "here"], (loop, "step"), "`triptych resume here` goes on from 0 images"),
    ],
)
def test_an_interrupt_is_told_what_is_true(tmp_path, monkeypatch, capsys, argv, where, said):
    def stop(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(*where, stop)
    if "RUN" in argv:
        monkeypatch.setattr("triptych.evaluate.of_run.evaluate_run", stop)
        make_run(tmp_path / "RUN", toy_recipe(), pictures=False)
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 130
    err = capsys.readouterr().err
    assert said in err
    assert (tmp_path / "here").exists() == ("here" in argv)


@pytest.mark.skipif(os.name == "nt", reason="no signals there")
@pytest.mark.parametrize(
    "code",
    [  # while the program is loaded, and after its last word
        "import sys\nsys.modules['triptych.cli'] = None\ndef main(): raise KeyboardInterrupt",
        "import signal\ndef main(): signal.signal(signal.SIGINT, signal.default_int_handler); return 130",
    ],
)
def test_an_interrupt_is_a_line_from_the_first_import_to_the_last_word(code):
    """A second Ctrl-C often comes while Python winds down."""
    program = f"""
import atexit, signal, sys, types
{code}
class Loading:
    def find_spec(self, name, path=None, target=None):
        if name == "triptych.cli": main()
if sys.modules.pop("triptych.cli", 1) is None:
    sys.meta_path.insert(0, Loading())
else:
    sys.modules["triptych.cli"] = types.SimpleNamespace(main=main)
atexit.register(signal.raise_signal, signal.SIGINT)
from triptych.__main__ import start
sys.exit(start())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert "KeyboardInterrupt" not in done.stderr


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.ENOTDIR])
def test_what_the_system_refuses_says_what_to_do(monkeypatch, capsys, code):
    def refuse(*args, **options):
        raise OSError(code, os.strerror(code), "some/place")

    monkeypatch.setattr("triptych.cli.data.splits", refuse)
    assert main(["data", "info", "8gaussians"]) == 2
    err = capsys.readouterr().err
    assert "some/place" in err
    assert os.strerror(code) in err
    assert "; " in err
    assert "Errno" not in err


@pytest.mark.parametrize("inside", ["", "below"])
def test_a_cache_that_cannot_be_names_its_variable(tmp_path, monkeypatch, capsys, inside):
    np.save(tmp_path / "x.npy", np.zeros((4, 1, 8, 8), np.uint8))
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "file" / inside))
    assert main(["data", "prepare", str(tmp_path / "x.npy"), "--resolution", "4"]) == 2
    assert "set TRIPTYCH_CACHE" in capsys.readouterr().err


def test_a_place_that_is_taken_is_refused_before_the_data_are_looked_for(tmp_path, capsys):
    taken = make_run(tmp_path / "taken", toy_recipe(), pictures=False).path
    for words in (["--data", "nowhere.csv"], ["gan-8gaussians", "--data", "nowhere.csv"]):
        assert main(["train", *words, "--out", str(taken)]) == 2
        assert "taken exists already; `triptych resume" in capsys.readouterr().err
    with pytest.raises(UserError, match="taken exists already"):
        fit(Recipe(DataSpec("nowhere.csv"), MLPGAN(), WGANGP(), Train()), out=taken)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no such folder here")
def test_a_folder_that_is_there_is_not_said_to_lack(capsys):
    assert main(["train", "gan-8gaussians", "--train.images", "256", "--out", "/proc/x"]) == 2
    assert "/proc takes no files" in capsys.readouterr().err


def test_refused_places_leave_nothing(tmp_path, capsys):
    run = make_run(tmp_path / "run", toy_recipe(), pictures=False).path
    (tmp_path / "file").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    for argv in (
        ["sample", str(run), "--out", str(tmp_path / "new" / "deep" / "x.txt")],
        ["sample", str(run), "--out", str(tmp_path / "file" / "x.npy")],
        ["evaluate", str(run), "--out", str(tmp_path / "new" / "e.json")],
        ["evaluate", str(run), "--save-stats", str(tmp_path / "new" / "s.npz")],
        ["train", "gan-8gaussians", "--train.lr", "-1", "--out", str(tmp_path / "new" / "deep" / "run")],
    ):
        assert main(argv) == 2
        err = capsys.readouterr().err
        assert err.startswith("error: ")
        assert "; " in err
        assert sorted(tmp_path.rglob("*")) == before


LIMITED = """
import resource, sys
from triptych.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
@pytest.mark.parametrize("kind", ["x.npy", "x.csv", "folder"])
def test_half_a_file_is_no_success(tmp_path, kind):
    """At a limit on the size of files nothing is left of what does not fit."""
    recipe = picture_recipe() if kind == "folder" else toy_recipe()
    shape = (3, 64, 64) if kind == "folder" else None
    run = make_run(tmp_path / "run", recipe, pictures=False, shape=shape).path
    out = tmp_path / "out"
    out.mkdir()
    argv = ["sample", str(run), "-n", "400" if kind != "folder" else "3", "--out", str(out / kind)]
    done = subprocess.run([sys.executable, "-c", LIMITED, *argv], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "disk is full" in done.stderr
    assert not list(out.iterdir())
