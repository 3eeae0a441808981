"""A user's own study: what is read, and where a mistake is said to be."""

import pytest

from triptych.errors import UserError
from triptych.recipes import get
from triptych.study import Study, run_id
from triptych.study_file import read_study, with_field

GOOD = """\
name: mine
seeds: 2
recipes:
  - recipe: wgan-gp-25gaussians
    train.images: 1e4
    objective.gp: 2
  - {recipe: gan-25gaussians, objective.label-smoothing: [0.7, 0.9], train.flip: true}
  - vae-8gaussians
"""


def write(tmp_path, text, name="s.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_yaml_study(tmp_path):
    study = read_study(write(tmp_path, GOOD))
    assert (study.name, study.seeds) == ("mine", 2)
    penalised, plain, vae = study.recipes
    assert penalised.train.images == 10_000
    assert penalised.objective.gp == 2.0
    assert plain.objective.label_smoothing == (0.7, 0.9)
    assert plain.train.flip
    assert vae == get("vae-8gaussians")


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("seeds: 2", "seeds: 0", 2, "at least 1"),
        ("seeds: 2", "seed: 2", 2, "did you mean seeds"),
        ("recipe: wgan-gp-25gaussians", "recipe: wgan-pg-25gaussians", 4, "did you mean"),
        ("train.images: 1e4", "train.imags: 1e4", 5, "did you mean train.images"),
        ("train.images: 1e4", "train.images: many", 5, "whole number"),
        ("train.images: 1e4", "train.images: inf", 5, "whole number"),
        ("train.images: 1e4", "train.images: nan", 5, "whole number"),
        ("train.images: 1e4", "train.images: .inf", 5, "whole number"),
        ("train.images: 1e4", "train.lr: inf", 5, "finite number"),
        ("objective.gp: 2", "objective.clip: 2", 6, "unknown"),
        ("[0.7, 0.9]", "[0.7]", 7, "list of 2"),
        ("train.flip: true", "train.flip: 3", 7, "true or false"),
        ("name: mine", "name: [mine", 2, "YAML"),
        ("    objective.gp: 2", "    train.images: 2", 6, "twice"),
    ],
)
def test_a_mistake_is_shown_with_its_line(tmp_path, old, new, line, said):
    assert old in GOOD
    with pytest.raises(UserError) as e:
        read_study(write(tmp_path, GOOD.replace(old, new)))
    assert f"s.yaml line {line}:" in str(e.value)
    assert said in str(e.value)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("text", ["", "just text", "name: x", "name: x\nrecipes: 3", "name: x\nrecipes: []", "- 1"])
def test_what_is_no_study(tmp_path, text):
    with pytest.raises(UserError, match="line"):
        read_study(write(tmp_path, text))


def test_python_study(tmp_path):
    imports = "from triptych.recipes import get\nfrom triptych.study import Study\n"
    text = f'{imports}study = Study("p", [get("gan-8gaussians")], 1)\n'
    study = read_study(write(tmp_path, text, "s.py"))
    assert study == Study("p", (get("gan-8gaussians"),), 1)
    with pytest.raises(UserError, match=r"s\.py line 3: ZeroDivisionError"):
        read_study(write(tmp_path, "a = 1\n\na / 0\n", "s.py"))
    with pytest.raises(UserError, match=r"s\.py line 2: "):
        read_study(write(tmp_path, "a = 1\nb = = 1\n", "s.py"))
    with pytest.raises(UserError, match="sets no `study`"):
        read_study(write(tmp_path, "a = 1\n", "s.py"))
    with pytest.raises(UserError, match="0 seeds"):
        read_study(write(tmp_path, text.replace(", 1)", ", 0)"), "s.py"))


def test_run_id_follows_what_decides_the_training_alone():
    recipe = get("gan-8gaussians")
    shorter = with_field(recipe, "train.images", 100)
    assert run_id(recipe, 0) != run_id(shorter, 0)
    assert run_id(recipe, 0) != run_id(recipe, 1)
    assert run_id(recipe, 0).startswith("gan-8gaussians-")
    assert with_field(shorter, "train.images", recipe.train.images) == recipe
