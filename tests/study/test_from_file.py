"""A user's own study: what is read, and where a mistake is said to be."""

import os
import time

import pytest

from triptych.cli.study import contrast
from triptych.errors import UserError
from triptych.models.autoencoders import MLPAutoencoder
from triptych.objectives.autoencoder import IWAE
from triptych.recipes import get
from triptych.recipes.override import with_field
from triptych.study import Study
from triptych.study.from_file import read_study
from triptych.study.jobs import run_id
from triptych.study.study import MOST

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
    path.write_text(text, encoding="utf-8")
    return path


def test_the_same_recipe_twice(tmp_path):
    entry = "  - {recipe: gan-8gaussians, train.images: %s}\n"
    twice = "recipes:\n" + entry % 3000 + entry % 4000 + entry % 3000
    with pytest.raises(UserError, match=r"s\.yaml line 4: gan-8gaussians is there already, with the same settings; "):
        read_study(write(tmp_path, twice))
    assert len(read_study(write(tmp_path, "recipes:\n" + entry % 3000 + entry % 4000)).recipes) == 2
    with pytest.raises(UserError, match="gan-8gaussians is there already"):
        Study("mine", (get("gan-8gaussians"),) * 2)


def test_yaml_study(tmp_path):
    study = read_study(write(tmp_path, GOOD))
    assert (study.name, study.seeds) == ("mine", 2)
    penalised, plain, vae = study.recipes
    assert penalised.train.images == 10_000
    assert penalised.objective.gp == 2.0
    assert plain.objective.label_smoothing == (0.7, 0.9)
    assert plain.train.flip
    assert vae == get("vae-8gaussians")


def test_a_recipe_may_be_a_file_beside_the_study(tmp_path, monkeypatch):
    (tmp_path / "own.yaml").write_text("name: own\ndata: {name: moons}\nmodel: {type: NSF}\nobjective: {type: NLL}\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    entries = "  - own.yaml\n  - {recipe: own.yaml, train.images: 300}\n"
    plain, short = read_study(write(tmp_path, f"recipes:\n{entries}")).recipes
    assert (plain.name, plain.data.name) == ("own", "moons")
    assert short.train.images == 300
    with pytest.raises(UserError, match=r"s\.yaml line 2: .*none\.yaml is not a file"):
        read_study(write(tmp_path, "recipes:\n  - none.yaml\n"))


def test_a_recipe_may_have_another_objective_or_network(tmp_path):
    entry = "  - {recipe: vae-8gaussians, objective.samples: 5, model: MLPAutoencoder, objective: IWAE}\n"
    (recipe,) = read_study(write(tmp_path, f"recipes:\n{entry}")).recipes
    assert recipe.name == "vae-8gaussians-iwae-mlpautoencoder"
    assert recipe.objective == IWAE(samples=5)
    assert recipe.model == MLPAutoencoder()


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
        ("train.images: 1e4", "objective: Hing", 4, "did you mean Hinge"),
        ("train.images: 1e4", "model: MLPGUN", 4, "did you mean MLPGAN"),
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


def test_names_and_texts_are_utf8(tmp_path):
    study = read_study(write(tmp_path, GOOD.replace("name: mine", "name: größe\nabout: 日本 − ±")))
    assert (study.name, study.about) == ("größe", "日本 − ±")


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "..", "NUL", '"a\\eb"', "x" * 500, "a/b"])
def test_a_study_stays_in_its_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path, GOOD.replace("name: mine", f"name: {name}"))
    with pytest.raises(UserError, match="give one plain name"):
        contrast(str(file), None, None, 1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.yaml"]


def laughs(levels):
    """Aliases of aliases: 10^levels values in a few lines."""
    lines = ["about:", "  - &a0 [1]"]
    lines += [f"  - &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, levels)]
    return "\n".join(lines)


def merges(levels):
    """The same with merge keys."""
    lines = ["about:", "  - &a0 {k: 1}"]
    lines += [f"  - &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}" for i in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("name: mine", laughs(15)), "100,000 values"),
        (GOOD.replace("name: mine", merges(12)), "100,000 values"),
        (GOOD.replace("seeds: 2", "seeds: &s [*s]"), "holds itself"),
        (GOOD.replace("seeds: 2", f"seeds: {10**18}"), "at most 10,000 runs"),
        (GOOD.replace("seeds: 2", f"seeds: {'9' * 2_999}"), "at most 10,000 runs"),
        (GOOD.replace("seeds: 2", f"seeds: {'9' * 5_000}"), "characters"),
        (GOOD.replace("seeds: 2", f"samples: {10**12}"), "samples"),
        (GOOD.replace("objective.gp: 2", f"objective.gp: {'9' * 400}"), "smaller number"),
        (GOOD.replace("objective.gp: 2", "objective.gp: 2024-99-99"), "correct the YAML"),
        (GOOD.replace("name: mine", "about: " + "[" * 100_000), "YAML|nested"),
        (GOOD.replace("name: mine", "about: " + "[" * 100 + "]" * 100), "20 levels"),
        (GOOD.replace("name: mine", "about: " + "- " * 100_000), "YAML|nested"),
        ("#" * (2 << 20), "bytes"),
        (GOOD.replace("name: mine", "name: !!python/object/apply:os.getcwd []"), "correct the YAML"),
    ],
    ids=range(14),
)
def test_limits(tmp_path, text, said):
    began = time.process_time()
    with pytest.raises(UserError, match=said) as e:
        read_study(write(tmp_path, text))
    assert len(str(e.value)) < 1_000
    assert time.process_time() - began < 5


def test_aliases_that_stand_for_little_are_read(tmp_path):
    text = "recipes:\n  - {recipe: gan-8gaussians, train.lr: &a 1e-4}\n  - {recipe: vae-8gaussians, train.lr: *a}\n"
    study = read_study(write(tmp_path, text))
    assert [r.train.lr for r in study.recipes] == [1e-4, 1e-4]


def test_what_is_no_ordinary_file(tmp_path):
    os.mkfifo(tmp_path / "s.yaml")
    (tmp_path / "t.yaml").symlink_to("/dev/zero")
    for name in ("s.yaml", "t.yaml"):
        with pytest.raises(UserError, match="not a file"):
            read_study(tmp_path / name)


def test_a_study_of_too_many_runs_is_refused():
    with pytest.raises(UserError, match="give fewer seeds"):
        Study("x", (get("gan-8gaussians"),), MOST + 1)


def test_what_a_python_study_runs_is_said_before_it_is_run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path, "print('acts')\nraise RuntimeError('enough')\n", "s.py")
    for trust in (False, True):
        with pytest.raises(UserError, match="enough"):
            contrast("s.py", None, None, 1, trust=trust)
        out, err = capsys.readouterr()
        assert out == "acts\n"
        assert err == ("" if trust else f"running {file}: a .py study is a program; --trust leaves this line out\n")
