"""The commands where the system's encoding holds little: nothing fails for it, and every file is UTF-8."""

import json
import os
import subprocess
import sys

import pytest
from fake_runs import make_run, toy_recipe

STUDY = """\
name: größe
about: − ± → 日本
seeds: 1
yardsticks: false
samples: 64
recipes:
  - {recipe: gan-25gaussians, train.images: 256, model.width: 8}
"""
WORDS = [
    ["train", "vae-mnist", "--help"],
    ["recipes"],
    ["--help"],
    ["evaluate", "run", "-n", "64"],
    ["report", "run", "--out", "page.html"],
    ["study", "s.yaml", "--jobs", "1", "--out", "out"],
    ["study", "größe"],
    ["study", "s.yaml", "--seeds", "0"],
]
DRIVER = """\
import sys, warnings
warnings.filterwarnings("error", category=EncodingWarning, module=r"triptych\\\\b.*")
from triptych.cli import main
for words in {words!a}:
    print(words[0], main(words))
"""


@pytest.mark.parametrize(
    ("options", "env", "encoding"),
    [
        pytest.param([], {"PYTHONIOENCODING": "cp1252"}, "cp1252", marks=pytest.mark.long),
        pytest.param([], {"PYTHONIOENCODING": "cp437"}, "cp437", marks=pytest.mark.long),
        (["-X", "utf8=0"], {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}, "ascii"),
    ],
    ids=["cp1252", "cp437", "C"],
)
def test_commands_under_a_small_encoding(tmp_path, options, env, encoding):
    """Also: no text file of ours is opened in the encoding that the system would choose."""
    (tmp_path / "s.yaml").write_bytes(STUDY.encode())
    make_run(tmp_path / "run", toy_recipe(), pictures=False)
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", *options, "-c", DRIVER.format(words=WORDS)],
        cwd=tmp_path,
        env={**os.environ, **env},
        capture_output=True,
    )
    out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert done.returncode == 0, err
    assert "Traceback" not in err
    ends = [line.split()[1] for line in out.splitlines() if line in {f"{w[0]} {i}" for w in WORDS for i in (0, 2)}]
    assert ends == ["0"] * 6 + ["2", "2"], (out, err)
    folder = tmp_path / "out"
    told = json.loads((folder / "study.json").read_bytes())
    assert (told["name"], told["about"]) == ("größe", "− ± → 日本")
    assert [r["state"] for r in told["runs"]] == ["done"]
    assert "日本" in (folder / "report.html").read_bytes().decode()


@pytest.mark.skipif(sys.platform != "linux", reason="file names are Unicode elsewhere")
def test_a_name_that_file_names_cannot_hold_is_one_line(tmp_path):
    (tmp_path / "s.yaml").write_bytes(STUDY.encode())
    env = {**os.environ, "PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "triptych", "study", "s.yaml"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: ")
    assert done.stderr.count(b"\n") == 1
    assert b"PYTHONUTF8=1" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["s.yaml"]
