"""The command line as a person meets it: by subprocess where start-up matters, in process elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from triptych.cli import main
from triptych.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
TINY = ["--train.images", "512", "--train.batch", "64", "--model.width", "8", "--device", "cpu"]


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    status = main(argv)
    out, err = capsys.readouterr()
    return status, out, err


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The one line that a person gets for bad input."""
    status, _, err = said(capsys, *argv)
    assert status == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1, err
    assert "; " in err, "says what to do"
    return err


def test_help_needs_no_torch() -> None:
    """What makes --help slow is importing torch; it must not happen."""
    code = "import sys; from triptych.cli import main; main(['--help']); assert 'torch' not in sys.modules"
    began = time.process_time()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert time.process_time() - began < 5
    for command in ("recipes", "train", "resume"):
        assert f"  {command} " in done.stdout


@pytest.mark.parametrize("argv", [["--help"], ["sample", "--help"], ["data", "list"]])
def test_ends_quietly_when_the_reader_has_gone(argv: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        done = subprocess.run([sys.executable, "-m", "triptych", *argv], stdout=out, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (128 + 13, "")


def test_recipes_print_the_name_first(capsys: pytest.CaptureFixture[str]) -> None:
    from triptych.recipes import all_recipes

    _, out, _ = said(capsys, "recipes")
    assert sorted(line.split()[0] for line in out.splitlines()) == sorted(all_recipes())
    assert all(len(line.split()) > 1 for line in out.splitlines())


def test_train_leaves_a_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, out, err = said(capsys, "train", "wgan-gp-8gaussians", *TINY, "--seed", "4", "--out", str(tmp_path / "r"))
    assert (status, err) == (0, "")
    assert "done:" in out
    asked = json.loads((tmp_path / "r" / "recipe.json").read_text())
    assert asked["seed"] == 4
    assert asked["recipe"]["train"]["images"] == 512
    assert asked["recipe"]["model"]["width"] == 8
    status, out, _ = said(capsys, "resume", str(tmp_path / "r"))
    assert status == 0
    assert "finished already" in out
    assert "exists already" in refused(capsys, "train", "gan-8gaussians", *TINY, "--out", str(tmp_path / "r"))


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["trian"], "train"),
        (["train", "wgan-gp-25gausians"], "wgan-gp-25gaussians"),
        (["train", "wgan-gp-25gaussians", "--train.imges", "5"], "--train.images"),
        (["train", "wgan-gp-25gaussians", "--train.images", "many"], "--train.images"),
        (["train", "wgan-gp-25gaussians", "--train.images", "0"], "train.images"),
        (["train", "wgan-gp-25gaussians", "--objective.n-critic", "0"], "n_critic"),
        (["train", "wgan-gp-25gaussians", "--train.critic-lr", "0"], "train.critic_lr"),
        (["train", "wgan-gp-25gaussians", "--train.critic-lr", "nan"], "train.critic_lr"),
        (["train", "wgan-gp-25gaussians", "--train.lr", "inf"], "train.lr"),
        (["train", "wgan-gp-25gaussians", "--train.betas", "0", "1"], "train.betas"),
        (["train", "wgan-gp-25gaussians", "--train.betas", "-0.5", "0.9"], "train.betas"),
        (["train", "wgan-gp-25gaussians", "--train.clip", "nan"], "train.clip"),
        (["train", "wgan-gp-25gaussians", "--train.weight-decay", "inf"], "train.weight_decay"),
        (["train", "wgan-gp-25gaussians", "--train.ema", "nan"], "train.ema"),
        (["train", "wgan-gp-25gaussians", "--train.flip"], "train.flip"),
        (["train", "wgan-gp-25gaussians", "--objective.gp", "-1"], "objective.gp"),
        (["train", "wgan-gp-25gaussians", "--objective.gp", "inf"], "objective.gp"),
        (["train", "wgan-25gaussians", "--objective.clip", "0"], "objective.clip"),
        (["train", "best-mnist", "--objective.gamma", "nan"], "objective.gamma"),
        (["train", "gan-25gaussians", "--objective.label-smoothing", "0.9", "0.7"], "--objective.label-smoothing"),
        (["train", "gan-25gaussians", "--objective.label-smoothing", "0.5", "nan"], "objective.label_smoothing is"),
        (["train", "wgan-gp-25gaussians", "--seed", "99999999999999999999"], "below 2**63"),
        (["train", "wgan-gp-25gaussians", "--seed", "-1"], "at least 0"),
        (["train", "wgan-gp-25gaussians", "--train.best", "modes"], "write --train.best=-modes"),
        (["train", "realnvp-25gaussians", "--train.best=-nll"], "write --train.best=nll"),
        (["train", "--data"], "--data"),
        (["train", "--data", "--out", "x"], "--data"),
        (["train", "--data=", "--out", "x"], "no data set is named"),
        (["train", "--data", "mine", "--resolution"], "--resolution"),
        (["train", "--data=mine", "--resolution=many"], "--resolution"),
        (["train", "--data=nowhere/at/all"], "nowhere/at/all"),
        (["train", "gan-birds", "--data", "mine", "--holdout", "0.1"], "--split train"),
        (["train", "wgan-gp-25gaussians", "--model.latent", "0"], "model.latent"),
        (["train", "wgan-gp-25gaussians", "--data", "nowhere/at/all"], "nowhere/at/all"),
        (["train", "wgan-gp-25gaussians", "--device", "abacus"], "abacus"),
        (["resume", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_one_line(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    argv: list[str],
    hint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert hint in refused(capsys, *argv)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_run_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "recipe.json" in refused(capsys, "resume", str(tmp_path))
    (tmp_path / "recipe.json").write_text("{ not json")
    assert "not valid JSON" in refused(capsys, "resume", str(tmp_path))


def test_diverged_run_exits_3(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    argv = ["train", "lsgan-8gaussians", *TINY, "--train.lr", "1e30", "--out", str(tmp_path / "r")]
    argv += ["--train.images", "20000"]
    status, _, err = said(capsys, *argv)
    assert status == 3
    assert err.count("\n") == 1
    assert json.loads((tmp_path / "r" / "status.json").read_text())["state"] == "diverged"


STRANGER = '''
"""A stranger's objective."""

from dataclasses import dataclass

from triptych.objectives.gan import Adversarial, Critic, critic_scores


@dataclass(frozen=True)
class Stranger(Adversarial):
    """Scores as they are, halved. Source: nobody."""

    half: float = 0.5
    """how much of a score counts"""

    def critic(self, D: Critic, real, fake):
        d_real, d_fake = critic_scores(D, real, fake)
        return self.half * (d_fake - d_real).mean() + d_real.square().mean()

    def generator(self, D: Critic, real, fake):
        return -self.half * D(fake).mean()
'''


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with one new file in it."""
    if not (ROOT / "src").exists():
        pytest.skip("the source tree is not here: an installed package is tested")
    to = tmp_path_factory.mktemp("copy")
    for name in ("src", "tests"):
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "pyproject.toml", to)
    (to / "src" / "triptych" / "objectives" / "stranger.py").write_text(STRANGER)
    return to


def inside(copy: Path, *argv: str) -> str:
    done = subprocess.run(
        [sys.executable, *argv],
        cwd=copy,
        env={"PYTHONPATH": str(copy / "src"), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_contract_tests_know_a_strangers_objective(copy: Path) -> None:
    out = inside(
        copy,
        "-m",
        "pytest",
        "-q",
        "-rA",
        "tests/contract/test_objectives.py",
        "-k",
        "Stranger",
        "-p",
        "no:cacheprovider",
    )
    assert "[Stranger]" in out


def test_command_line_trains_a_strangers_objective(copy: Path) -> None:
    code = (
        "import dataclasses, sys; from triptych import recipes; from triptych.objectives import Stranger;"
        "r = dataclasses.replace(recipes.get('gan-8gaussians'), objective=Stranger());"
        "from triptych.cli.options import parse_recipe; c, _ = parse_recipe(r, ['--objective.half', '0.25']);"
        "from triptych.core import decode, encode; assert decode(encode(c)).objective.half == 0.25; print('known')"
    )
    assert "known" in inside(copy, "-c", code)


def test_pictures_without_a_recipe_take_the_recommended_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for i in range(12):
        pixels = np.random.default_rng(i).integers(0, 255, (40, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "mine" / f"{i}.png")
    argv = ["train", "--data=mine", "--holdout=0.5", "--resolution", "32", "--train.images", "4", "--train.batch", "4"]
    status, out, _ = said(capsys, *argv, "--model.width", "4", "--out", "r", "--device", "cpu")
    assert status == 0
    assert "the recommended recipe best-birds, for " in out
    assert json.loads((tmp_path / "r" / "recipe.json").read_text())["recipe"]["data"]["name"] == "mine"
    assert json.loads((tmp_path / "r" / "env.json").read_text())["test"]["examples"] > 0
    assert "--data" in refused(capsys, "train", "--seed", "1")


def test_batch_statistics_reach_sample_and_evaluate(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    from triptych.core import Sampler
    from triptych.models.latent_space import use_batch_statistics
    from triptych.run.folder import load

    run = str(tmp_path / "r")
    small = ["--train.images", "128", "--train.batch", "64", "--model.width", "4", "--model.depth", "0"]
    assert said(capsys, "train", "gan-glyphs", *small, "--resolution", "16", "--device", "cpu", "--out", run)[0] == 0
    made = {}
    model = load(run, device="cpu")
    assert isinstance(model, Sampler)
    for bn in ("eval", "train"):
        file = tmp_path / f"{bn}.npy"
        assert said(capsys, "sample", run, "-n", "8", "--bn", bn, "--out", str(file))[0] == 0
        made[bn] = np.load(file)
        if bn == "train":
            use_batch_statistics(model)
        np.testing.assert_allclose(made[bn], model.sample(8).numpy(), atol=1e-5)
    assert np.abs(made["eval"] - made["train"]).max() > 0.01

    def asked(_: object) -> None:
        raise UserError("batch statistics are asked for; that is all")

    monkeypatch.setattr("triptych.evaluate.of_run.use_batch_statistics", asked)
    assert "batch statistics" in refused(capsys, "evaluate", run, "--bn", "train")


def test_a_refused_value_is_told_in_our_own_words(capsys):
    assert main(["train", "wgan-8gaussians", "--objective.clip", "-1"]) == 2
    assert capsys.readouterr().err == "error: objective.clip is -1.0; it must be a finite number above 0\n"
