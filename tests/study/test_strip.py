"""Studies without their weights: small, and without a real picture that has terms."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fake_runs import make_run, picture_recipe, study_of, toy_recipe
from PIL import Image

from triptych.cli import gallery, gallery_page, main
from triptych.core import DataSpec
from triptych.recipes.yardsticks import yardsticks
from triptych.study import named, strip
from triptych.system.files import write_json

VALUES = {"high_quality": 0.9, "frechet": {"value": 0.5, "floor": 0.1, "better": "lower", "title": "Fréchet distance"}}


def with_pictures(run, *folders: str):
    for folder in folders:
        (run.path / folder).mkdir(exist_ok=True)
        Image.effect_noise((300, 300), 80).save(run.path / folder / "000000000.png")
    return run


@pytest.fixture
def toys(tmp_path) -> Path:
    made = [make_run(tmp_path / "s" / f"gan-{i}", toy_recipe(), i, values=VALUES) for i in range(2)]
    return study_of(tmp_path / "s", *made)


def test_a_page_is_made_of_what_is_left(toys, tmp_path):
    assert gallery.main(["strip", str(toys), str(tmp_path / "g")]) == 0
    names = {p.suffix for p in (tmp_path / "g").rglob("*") if p.is_file()}
    assert names <= {".json", ".jsonl", ".png", ".webp"}
    assert not list((tmp_path / "g").rglob("checkpoints"))
    assert len(list((tmp_path / "g" / "gan-0" / "samples").iterdir())) > 1
    assert len(list((tmp_path / "g" / "gan-1" / "samples").iterdir())) == 1
    assert str(tmp_path) not in "".join(p.read_text() for p in (tmp_path / "g").rglob("*.json*"))
    for folder in ("s", "g"):
        assert main(["report", str(tmp_path / folder), "--out", str(tmp_path / f"{folder}.html")]) == 0
    assert (tmp_path / "s.csv").read_text().replace("/s/", "/g/") == (tmp_path / "g.csv").read_text()


def test_a_recipe_whose_first_seed_is_missing_has_its_pictures_too(tmp_path):
    """Whatever the others' seeds are."""
    other = replace(toy_recipe(), name="other")
    made = [make_run(tmp_path / "s" / f"{r.name}-{i}", r, i) for r, i in ((toy_recipe(), 0), (other, 1), (other, 2))]
    strip.strip(study_of(tmp_path / "s", *made), tmp_path / "g")
    kept = [len(list((tmp_path / "g" / run.path.name / "samples").iterdir())) for run in made]
    assert kept[0] == kept[1] > kept[2] == 1


def test_what_is_too_large_is_made_thriftier_or_refused(toys, tmp_path):
    whole, size = strip.strip(toys, tmp_path / "a")
    less, smaller = strip.strip(toys, tmp_path / "b", limit=size - 1)
    assert strip.STEPS.index(less) > strip.STEPS.index(whole)
    assert smaller < size
    with pytest.raises(strip.UserError, match="give fewer seeds"):
        strip.strip(toys, tmp_path / "c", limit=1000)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(("data", "kept"), [("mnist", True), ("birds", False), ("celeba", False), ("/my/own", False)])
def test_real_pictures_with_terms_stay_out(data, kept, tmp_path):
    """Neither held-out examples nor neighbours nor reconstructions nor a memoriser's samples."""
    shape = (3, 32, 32)
    recipe = replace(picture_recipe(), data=DataSpec(data))
    gan = make_run(tmp_path / "s" / "gan", recipe, shape=shape, fingerprint="b", values=VALUES)
    with_pictures(gan, "real", "neighbours", "reconstructions", "interpolation", "explore")
    memory = make_run(tmp_path / "s" / "memory", recipe, shape=shape, fingerprint="b", pictures=False)
    told = json.loads((memory.path / "recipe.json").read_text())
    told["recipe"] |= {"model": {"type": "Memoriser"}, "objective": {"type": "ClosedForm"}}
    (memory.path / "recipe.json").write_text(json.dumps(told))
    with_pictures(memory, "samples")
    strip.strip(study_of(tmp_path / "s", gan, memory), tmp_path / "g")
    left = {p.parent.relative_to(tmp_path / "g").as_posix() for p in (tmp_path / "g").rglob("0*.*")}
    made = {"gan/samples", "gan/interpolation"}
    assert left == (made | {"gan/neighbours", "gan/reconstructions", "memory/samples"} if kept else made)


@pytest.mark.parametrize("argv", [["strip", "NOWHERE", "OUT"], ["strip", "STUDY", "STUDY"], ["fill", "STUDY"], ["x"]])
def test_bad_words_are_one_line(argv, toys, tmp_path, capsys):
    places = {"NOWHERE": tmp_path / "nowhere", "STUDY": toys, "OUT": tmp_path / "out"}
    assert gallery.main([str(places.get(w, w)) for w in argv]) == 2
    out, err = capsys.readouterr()
    assert (out + err).count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_pictures_come_first_and_other_studies_stay(toys, tmp_path):
    page = tmp_path / "docs" / "gallery.md"
    page.parent.mkdir()
    page.write_text("said\n# Gallery\n\n## older\n\nold words\n\n## tiny\n\nwas here\n")
    assert gallery.main(["strip", str(toys), str(tmp_path / "gallery" / "tiny"), "Taken beside other work."]) == 0
    assert "Taken beside other work." in gallery_page.write(page, "said", [tmp_path / "gallery" / "tiny"])
    text = gallery_page.write(page, "said", [toys])
    assert "old words" in text
    assert "was here" not in text
    picture, numbers = text.index("![samples of gan-25gaussians]"), text.index("<details>")
    assert picture < numbers
    assert "Fréchet distance 0.500 (floor 0.100)" in text
    assert "triptych study tiny --seeds 2" in text
    assert (tmp_path / "docs" / "figures" / "tiny-25gaussians-gan-25gaussians.png").is_file()
    page.write_text(text)
    assert gallery_page.write(page, "said", [toys]) == text


@pytest.mark.parametrize("scale", ["quick", "plain"])
def test_the_scale_of_a_study_under_a_contract_is_that_of_its_networks(scale, tmp_path):
    """Scales share names, and the contract set the budgets."""
    recipe = next(r for r in named.get("three-families", scale).recipes if r.name == "best-mnist")
    given = replace(recipe, train=replace(recipe.train, images=4_096, evaluate=512))
    run = make_run(tmp_path / "s" / "r", given, shape=(1, 28, 28), pictures=False, values=VALUES)
    told = json.loads((study_of(tmp_path / "s", run) / "study.json").read_text())
    contract = {"equal": "seconds", "budget": 240}
    write_json(tmp_path / "s" / "study.json", told | {"name": "three-families", "contract": contract})
    (tmp_path / "docs").mkdir()
    text = gallery_page.write(tmp_path / "docs" / "gallery.md", "said", [tmp_path / "s"])
    assert f"triptych study three-families --scale {scale} --equal seconds --budget 240 --seeds 2" in text


def test_a_study_under_a_contract_has_its_command_and_its_curves(tmp_path):
    """Budgets that a contract set are of no scale; the recipes are."""
    asked = next(r for r in named.get("recommended", "quick").recipes if r.name == "best-mnist-quick")
    given = replace(asked, train=replace(asked.train, images=asked.train.images + 64))
    runs = [make_run(tmp_path / "s" / f"r{i}", given, i, pictures=False, values=VALUES) for i in range(2)]
    for run in runs:
        lines = run.lines()[:4]
        run.truncate(0)
        for line, distance in zip(lines[1:], (9.0, 0.5, 0.2), strict=True):
            run.append(line | {"frechet": distance})
    told = json.loads((study_of(tmp_path / "s", *runs) / "study.json").read_text())
    contract = {"equal": "seconds", "budget": 240}
    write_json(tmp_path / "s" / "study.json", told | {"name": "recommended", "contract": contract})
    (tmp_path / "docs").mkdir()
    text = gallery_page.write(tmp_path / "docs" / "gallery.md", "said", [tmp_path / "s"])
    assert "triptych study recommended --scale quick --equal seconds --budget 240 --seeds 2" in text
    assert "Some budgets" not in text
    assert "Not trained at these budgets: fsq-mnist-quick, lcfm-mnist-quick, all of birds, all of cifar10." in text
    assert "figures/recommended-mnist-minutes.png" in text
    assert (tmp_path / "docs" / "figures" / "recommended-mnist-minutes.png").is_file()
    assert "Training until Fréchet distance" in text
    assert "≤ 0.2" in text


def test_a_part_of_a_kept_study_lacks_nothing_that_another_part_has(tmp_path):
    """Another part under another contract is no part of it."""
    one = next(r for r in named.get("recommended", "quick").recipes if r.name == "best-mnist-quick")
    study = tmp_path / "gallery" / "digits"
    study_of(study, make_run(study / "r0", one, 0, values=VALUES))
    contract = {"equal": "seconds", "budget": 240}
    told = json.loads((study / "study.json").read_text()) | {"name": "recommended", "contract": contract}
    write_json(study / "study.json", told)
    row = {"run": "b", "recipe": "best-birds-quick", "seed": 0, "state": "done", "message": ""}
    (tmp_path / "docs").mkdir()
    (tmp_path / "gallery" / "birds").mkdir()
    missing = []
    for theirs in (contract, None):
        other = {"name": "recommended", "contract": theirs, "runs": [row]}
        write_json(tmp_path / "gallery" / "birds" / "study.json", other)
        text = gallery_page.write(tmp_path / "docs" / "gallery.md", "said", [study])
        missing.append(next(line for line in text.splitlines() if line.startswith("Not trained")))
    whole = "fsq-mnist-quick, lcfm-mnist-quick, all of birds, all of cifar10."
    assert missing[1].endswith(whole)
    assert missing[0].endswith("fsq-birds-quick, fsq-mnist-quick, lcfm-birds-quick, lcfm-mnist-quick, all of cifar10.")


def test_a_part_of_a_study_says_what_it_lacks_and_shows_no_set_without_a_recipe(tmp_path):
    """One recipe of `toys` on one set and a yardstick on another: what has no recipe at all is named as a set."""
    one = next(r for r in named.get("toys", "full").recipes if r.name == "gan-8gaussians")
    other = yardsticks(DataSpec("swissroll"))[0]
    runs = [make_run(tmp_path / "s" / f"r{i}", r, 0, values=VALUES) for i, r in enumerate((one, other))]
    told = json.loads((study_of(tmp_path / "s", *runs) / "study.json").read_text())
    write_json(tmp_path / "s" / "study.json", told | {"name": "toys"})
    (tmp_path / "docs").mkdir()
    text = gallery_page.write(tmp_path / "docs" / "gallery.md", "said", [tmp_path / "s"])
    missing = next(line for line in text.splitlines() if line.startswith("Not trained at these budgets"))
    assert "wgan-8gaussians" in missing
    sets = ("25gaussians", "25gaussians@30", "8gaussians@30", "swissroll", "swissroll@30")
    assert missing.endswith(", ".join(f"all of {data}" for data in sets) + ".")
    assert "### 8gaussians" in text
    assert "### swissroll" not in text


def test_the_studies_of_the_write_ups_have_every_recipe_of_their_figures():
    """Names that figures need, once each, at either scale."""
    for scale, short in (("quick", "-quick"), ("full", "")):
        of_course = [r.name for r in named.get("coursework", scale).recipes]
        assert len(set(of_course)) == len(of_course)
        wanted = {"gan-birds", "lsgan-birds", "wgan-gp-birds", "ae-cifar10-16", "ae-cifar10-128", "ae-cifar10-1024"}
        wanted |= {"vae-cifar10", "vae-cifar10-beta0.8", "vae-cifar10-beta1.2", "vae-cifar10-linear"}
        assert {f"{name}{short}" for name in wanted} <= set(of_course)
        of_page = {r.name: r for r in named.get("project-page", scale).recipes}
        for data in ("mnist64", "celeba64"):
            assert {
                f"{k}{short}" for k in (f"gan-{data}", f"gan-{data}-plain", f"wgan-{data}", f"wgan-gp-{data}")
            } <= set(of_page)
            smooth, hard = of_page[f"gan-{data}{short}"], of_page[f"gan-{data}-plain{short}"]
            assert (smooth.objective.label_smoothing, hard.objective.label_smoothing) == ((0.7, 0.9), None)
            assert smooth.model.latent == 10
            assert 0 < smooth.train.sample <= smooth.train.images / 20
        assert {f"vae-celeba64{short}", f"glow-celeba64{short}"} <= set(of_page)
        for data in ("8gaussians", "25gaussians", "swissroll"):
            assert {f"{k}-{data}" for k in ("gan", "wgan", "wgan-gp", "vae", "spline")} <= set(of_page)


def test_a_page_shows_the_webp_of_a_run_without_weights(tmp_path):
    run = make_run(tmp_path / "s" / "gan", picture_recipe(), pictures=False, values=VALUES)
    (run.path / "samples").mkdir(exist_ok=True)
    Image.effect_noise((300, 300), 80).save(run.path / "samples" / "000010000.png")
    strip.strip(study_of(tmp_path / "s", run), tmp_path / "g")
    (kept,) = (tmp_path / "g" / "gan" / "samples").iterdir()
    assert kept.suffix == ".webp"
    assert kept.stat().st_size < (run.path / "samples" / "000010000.png").stat().st_size
    strip.strip(tmp_path / "g", tmp_path / "again")
    assert [p.name for p in (tmp_path / "again" / "gan" / "samples").iterdir()] == [kept.name]
    assert main(["report", str(tmp_path / "g"), "--out", str(tmp_path / "g.html")]) == 0
    assert "data:image/webp;base64," in (tmp_path / "g.html").read_text()
