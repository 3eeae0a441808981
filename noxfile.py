"""What is released is what is tested: the built wheel, on every Python, with the oldest and the newest torch.

`nox` (or `uvx nox`) runs it all; an interpreter or a torch that is not to be had here is skipped, and said.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["build", "installed"]

ROOT = Path(__file__).parent
OLDEST = {"3.11": "2.6.0", "3.12": "2.6.0", "3.13": "2.6.0", "3.14": "2.9.0"}
"""The first torch that has a wheel for a Python, and that triptych takes."""
TESTS = ("core", "data", "metrics", "models", "objectives", "recipes", "run", "study", "system", "trainer", "e2e")
"""Folders of tests that look at the package and not at its source tree."""
TOOLS = ("pytest>=8.3", "pytest-xdist>=3.6", "hypothesis>=6.120", "scipy", "scikit-learn", "prdc")


def wheel(session: nox.Session) -> Path:
    """The wheel in dist/, built where there is none."""
    if not list((ROOT / "dist").glob("*.whl")):
        session.install("build")
        session.run("python", "-m", "build", "--outdir", "dist", str(ROOT))
    return next((ROOT / "dist").glob("*.whl"))


@nox.session
def build(session: nox.Session) -> None:
    """The sdist, and the wheel that is built from it, checked."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    session.install("build", "twine")
    session.run("python", "-m", "build", "--outdir", "dist", str(ROOT))
    session.run("twine", "check", "--strict", *map(str, sorted((ROOT / "dist").iterdir())))


@nox.session(python=list(OLDEST))
@nox.parametrize("torch", ["oldest", "newest"])
def installed(session: nox.Session, torch: str) -> None:
    """The wheel in an environment of its own: a training, and the tests, from a folder without the source."""
    file = wheel(session)
    wanted = f"torch=={OLDEST[str(session.python)]}" if torch == "oldest" else "torch"
    try:
        session.install(wanted, f"{file}[hub]", silent=True)
    except nox.command.CommandFailed:
        session.skip(f"{wanted} has no wheel here for Python {session.python}")
    session.install(*TOOLS)
    place = Path(session.create_tmp()) / "apart"
    shutil.rmtree(place, ignore_errors=True)
    for name in ("tests", "docs", "examples"):
        shutil.copytree(ROOT / name, place / name)
    for name in ("pyproject.toml", "README.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, place)
    session.chdir(place)
    where = "import triptych, sys; sys.exit('site-packages' not in triptych.__file__)"
    session.run("python", "-c", where)
    session.run("triptych", "train", "wgan-gp-8gaussians", "--train.images", "2048", "--out", "run")
    session.run("triptych", "sample", "run", "-n", "16", "--out", "x.csv")
    folders = session.posargs or [f"tests/{name}" for name in TESTS]
    apart = "not (data or browser or gpu or long)"
    session.run("python", "-m", "pytest", "-q", "-n", "2", "-m", apart, *folders, env={"OMP_NUM_THREADS": "1"})


@nox.session(python="3.11")
@nox.parametrize("name", ["mlflow", "trackio"])
def trackers(session: nox.Session, name: str) -> None:
    """A tracker that wants other versions than the rest, in an environment of its own."""
    session.install(str(wheel(session)), name, "pytest", "hypothesis")
    session.run("python", "-m", "pytest", "-q", "-k", name, "tests/run/test_trackers.py")


@nox.session
def licences(session: nox.Session) -> None:
    """licences.csv: every package that an installation brings, its version and its licence."""
    session.install(str(wheel(session)))
    session.run("python", "tests/licences.py", "licences.csv")


@nox.session
def audit(session: nox.Session) -> None:
    """Known faults in what the pinned versions bring."""
    session.install("pip-audit")
    session.run("pip-audit", "--requirement", "constraints.txt", "--no-deps", "--disable-pip")
