"""Completion scripts, asked as the shells ask them."""

import shutil
import subprocess

import pytest

from triptych.cli.completion import SCRIPTS, words
from triptych.cli.dispatch import COMMANDS
from triptych.recipes import all_recipes


@pytest.fixture(scope="module")
def scripts():
    found = words(COMMANDS)
    return {shell: make(found) for shell, make in SCRIPTS.items()}


ASKED = [
    ("triptych tr", {"train", "track"}),
    ("triptych train wgan-gp-8", {"wgan-gp-8gaussians"}),
    ("triptych train x --data mn", {"mnist"}),
    ("triptych train x --objective WG", {"WGAN", "WGANGP"}),
    ("triptych train x --train.im", {"--train.images"}),
    ("triptych train x --objective.gp", {"--objective.gp"}),
    ("triptych train x --track tens", {"tensorboard"}),
    ("triptych evaluate x --expl", {"--explain"}),
    ("triptych evaluate x --save-s", {"--save-stats"}),
    ("triptych completion z", {"zsh"}),
    ("triptych study quickst", {"quickstart"}),
]


@pytest.mark.parametrize(("line", "wanted"), ASKED)
def test_bash_offers(line, wanted, scripts, tmp_path):
    if shutil.which("bash") is None:
        pytest.skip("bash is not here")
    (tmp_path / "c.bash").write_text(scripts["bash"])
    code = f"""source {tmp_path / "c.bash"}
COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _triptych; printf '%s\\n' "${{COMPREPLY[@]}}" """
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == wanted


@pytest.mark.parametrize(("line", "wanted"), ASKED)
def test_fish_offers(line, wanted, scripts, tmp_path):
    if shutil.which("fish") is None:
        pytest.skip("fish is not here")
    (tmp_path / "triptych.fish").write_text(scripts["fish"])
    code = f"source {tmp_path / 'triptych.fish'}; complete -C '{line}'"
    done = subprocess.run(["fish", "--no-config", "-c", code], capture_output=True, text=True, check=True)
    assert wanted <= {row.split("\t")[0] for row in done.stdout.splitlines()}


def test_zsh_reads_the_script(scripts, tmp_path):
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not here")
    (tmp_path / "_triptych").write_text(scripts["zsh"])
    code = f"fpath+={tmp_path}; autoload -Uz compinit; compinit -u -d {tmp_path / 'dump'}; print $_comps[triptych]"
    done = subprocess.run(["zsh", "-f", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("_triptych", "")
    subprocess.run(["zsh", "-f", "-n", str(tmp_path / "_triptych")], check=True)


@pytest.mark.parametrize("shell", SCRIPTS)
def test_every_command_and_recipe_is_in_every_script(shell, scripts):
    for name in (*COMMANDS, *all_recipes()):
        assert name in scripts[shell]
