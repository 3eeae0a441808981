"""Recipes as files, and trainings begun as another one was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from triptych.cli import main
from triptych.cli.options import field_docs
from triptych.errors import UserError
from triptych.recipes import all_recipes
from triptych.run import recipe_file

TINY = ["--train.images", "512", "--train.batch", "64", "--model.width", "8", "--device", "cpu"]
PLAIN = """
data: {name: 8gaussians}
model: {type: MLPGAN, width: 8}
objective:
  type: WGANGP
  gp: 0.1
"""


def test_yaml_gives_back_the_recipe_it_was_written_from(tmp_path):
    for name, recipe in all_recipes().items():
        odd = replace(recipe, train=replace(recipe.train, lr=1.2345e-17, betas=(0.1, 1 - 2**-53)))
        recipe_file.write(tmp_path / f"{name}.yaml", odd, 7, field_docs)
        assert recipe_file.read(tmp_path / f"{name}.yaml") == (odd, 7)


def test_what_is_left_out_keeps_its_default(tmp_path):
    (tmp_path / "mine.yaml").write_text(PLAIN)
    recipe, seed = recipe_file.read(tmp_path / "mine.yaml")
    assert (recipe.name, recipe.model.depth, recipe.train.batch, seed) == ("mine", 3, 256, 0)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("gp: 0.1", "gp: much", "line 6: objective.gp is 'much'; give a number"),
        ("gp: 0.1", "gpp: 0.1", "line 6: objective has no field 'gpp'; did you mean gp?"),
        ("type: WGANGP", "type: WGANGB", "line 5: no objective is named 'WGANGB'; did you mean WGANGP"),
        ("width: 8", "width: -1", "line 3: model.width is -1"),
        ("name: 8gaussians", "", "line 2: `data:` has no name"),
        ("data:", "date:", "line 2: 'date' is unknown here; did you mean data"),
        ("objective:", "objective: 3\nabout:", "line 4: `objective:` is written as"),
        ("gp: 0.1", "gp: [", "correct the YAML"),
    ],
)
def test_mistakes_are_told_with_their_line(old, new, said, tmp_path):
    (tmp_path / "r.yaml").write_text(PLAIN.replace(old, new))
    with pytest.raises(UserError) as e:
        recipe_file.read(tmp_path / "r.yaml")
    assert said in str(e.value)


def weights(run: Path) -> bytes:
    return max((run / "checkpoints").glob("*.safetensors")).read_bytes()


def test_like_a_run_is_the_same_training_to_the_last_bit(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "wgan-gp-8gaussians", *TINY, "--seed", "3", "--save-recipe", "r.yaml"]) == 0
    assert not Path("runs").exists()
    assert main(["train", "r.yaml", "--out", "a", "--device", "cpu"]) == 0
    assert main(["train", "--like", "a", "--out", "b", "--device", "cpu"]) == 0
    assert main(["train", "a/recipe.json", "--out", "c", "--device", "cpu"]) == 0
    assert "but" not in capsys.readouterr().out
    assert json.loads(Path("a/recipe.json").read_text())["seed"] == 3
    for other in ("b", "c"):
        assert weights(Path(other)) == weights(Path("a"))
        assert Path(other, "recipe.json").read_text() == Path("a/recipe.json").read_text()
    assert main(["train", "--like", "a", "--out", "d", "--seed", "4", "--train.lr", "0.5", "--device", "cpu"]) == 0
    assert "as a, but train.lr: 0.004 became 0.5" in capsys.readouterr().out


def test_like_a_run_wants_its_very_examples(tmp_path, capsys, monkeypatch):
    import numpy as np

    monkeypatch.chdir(tmp_path)
    table = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    np.save("points.npy", table)
    argv = ["train", "gan-8gaussians", "--data", "points.npy", *TINY]
    assert main([*argv, "--out", "a"]) == 0
    np.save("points.npy", table + 1)
    capsys.readouterr()
    assert main(["train", "--like", "a", "--out", "b"]) == 2
    assert "points.npy" in capsys.readouterr().err
    assert not Path("b").exists()
    assert main(["train", "gan-8gaussians", "--like", "a"]) == 2
    assert "drop the recipe gan-8gaussians" in capsys.readouterr().err
