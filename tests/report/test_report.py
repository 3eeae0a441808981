"""Tables, verdicts and the page, on runs with known numbers."""

import csv
import dataclasses
import html
import json
import math
import random
import re
import time

import pytest
from fake_runs import make_run, picture_recipe, toy_recipe
from scipy import stats

from triptych.cli import main
from triptych.cli.options import parse_recipe
from triptych.core import DataSpec, Recipe, Train, encode
from triptych.errors import UserError
from triptych.figures import tiles
from triptych.models.autoencoders import MLPAutoencoder
from triptych.objectives.autoencoder import VAE
from triptych.objectives.gan import GAN
from triptych.recipes import command, get
from triptych.recipes.override import with_field, with_parts
from triptych.report import write_report
from triptych.report.axes import gate, judge_axes
from triptych.report.entries import gather
from triptych.report.facts import cost
from triptych.report.pictures import pictures
from triptych.report.significance import judge
from triptych.report.table import tables
from triptych.report.terminal import grid
from triptych.report.wording import headline, sentence
from triptych.system import files, pages


def page_of(runs, tmp_path):
    out = write_report([r.path for r in runs], tmp_path / "page" / "report.html")
    text, numbers = (f.read_text(encoding="utf-8") for f in (out, out.with_suffix(".csv")))
    return text, list(csv.DictReader(numbers.splitlines()))


def group(tmp_path, name, values, metric="high_quality", **more):
    recipe = toy_recipe(name)
    return [
        make_run(tmp_path / f"{name}-{i}", recipe, i, values={metric: v}, pictures=False, **more)
        for i, v in enumerate(values)
    ]


def only_table(runs):
    (table,) = tables(gather([r.path for r in runs])[0])
    return table


def test_the_newest_samples_are_shown_and_not_the_animation_beside_them(tmp_path):
    run = make_run(tmp_path / "a", picture_recipe("gan-x"), values={"modes": 9})
    sheets = sorted((run.path / "samples").glob("*.png"))
    tiles.animate([sheets[-1], sheets[-1]], run.path / "samples" / "animation.webp")
    (shown,) = pictures(only_table([run]), [])
    assert shown["images"] == int(sheets[-1].stem)


def test_a_real_difference_is_called_real(tmp_path):
    table = only_table([*group(tmp_path, "gan-x", [0.5, 0.52, 0.48]), *group(tmp_path, "wgan-gp-x", [0.9, 0.91, 0.89])])
    verdict = judge(table, "high_quality")
    assert (verdict.best, [k for k, _ in verdict.worse], verdict.tests) == ("wgan-gp-x", ["gan-x"], 1)
    expected = stats.ttest_ind([0.5, 0.52, 0.48], [0.9, 0.91, 0.89], equal_var=False).pvalue
    assert verdict.worse[0][1] == pytest.approx(expected, rel=1e-6)
    assert "clearly better than gan-x" in sentence(verdict, table)
    said = headline(table, judge_axes(table), gate(table))
    assert "wgan-gp-x is clearly better than gan-x on fidelity" in said


def test_noise_is_not_called_a_difference(tmp_path):
    runs = [*group(tmp_path, "gan-x", [0.5, 0.9, 0.7]), *group(tmp_path, "wgan-gp-x", [0.6, 0.95, 0.75])]
    table = only_table(runs)
    verdict = judge(table, "high_quality")
    assert not verdict.worse
    assert "no clear difference" in sentence(verdict, table)
    assert "no clear difference" in headline(table, judge_axes(table), gate(table))


def test_a_tie_of_all_has_no_best_mean(tmp_path):
    table = only_table([*group(tmp_path, "gan-x", [0.0, 0.0]), *group(tmp_path, "wgan-gp-x", [0.0, 0.0])])
    said = sentence(judge(table, "high_quality"), table)
    assert said == "High-quality samples: no difference, every recipe has 0."


def test_scattered_seeds_do_not_make_a_winner(tmp_path):
    """c is tied with everything because it scatters; a is clearly better than b."""
    runs = [
        *group(tmp_path, "a-x", [0.9, 0.91, 0.9]),
        *group(tmp_path, "b-x", [0.5, 0.51, 0.5]),
        *group(tmp_path, "c-x", [0.1, 0.99, 0.6]),
    ]
    table = only_table(runs)
    verdict = judge(table, "high_quality")
    assert verdict.clear == (("a-x", "b-x"),)
    said = headline(table, judge_axes(table), gate(table))
    assert "a-x is clearly better than b-x on fidelity" in said
    assert "c-x" not in said


def test_correction_makes_a_borderline_difference_unclear(tmp_path):
    """p = 0.035 alone; among three pairs Holm asks for 0.05 / 3."""
    pair = [*group(tmp_path, "a-x", [0.5, 0.6, 0.55]), *group(tmp_path, "b-x", [0.65, 0.7, 0.62])]
    assert judge(only_table(pair), "high_quality").worse
    more = group(tmp_path, "c-x", [0.4, 0.9, 0.2])
    assert not judge(only_table([*pair, *more]), "high_quality").worse


def test_one_seed_cannot_be_judged(tmp_path):
    runs = [*group(tmp_path, "gan-x", [0.1]), *group(tmp_path, "wgan-gp-x", [0.9])]
    table = only_table(runs)
    verdict = judge(table, "high_quality")
    assert "cannot be tested" in sentence(verdict, table)
    text, _ = page_of(runs, tmp_path)
    assert "nothing can be tested" in text
    assert "clearly better" not in text


def test_lower_is_better_where_it_is(tmp_path):
    runs = [
        *group(tmp_path, "gan-x", [9, 9.1, 9.2], "frechet_cnn"),
        *group(tmp_path, "vae-x", [3, 3.1, 3.2], "frechet_cnn"),
    ]
    assert judge(only_table(runs), "frechet_cnn").best == "vae-x"


@pytest.mark.parametrize(
    ("metric", "best"),
    [
        ("stacked_modes", "high-x"),
        ("stacked_kl", "low-x"),
        ("hole_gaussian", "low-x"),
        ("class_histogram", "low-x"),
        ("separability", "low-x"),
        ("linear_accuracy", "high-x"),
        ("beta_vae_score", "high-x"),
        ("inception_score", "high-x"),
        ("round_trip", "low-x"),
        ("dci_completeness", "high-x"),
        ("kl_iwae", "low-x"),
        ("fid", "low-x"),
        ("coverage_inception", "high-x"),
        ("klong", None),
    ],
)
def test_every_metric_is_judged_by_its_direction(tmp_path, metric, best):
    """Also in old files, which do not tell it; what is known by no metric is not judged."""
    table = only_table(
        [*group(tmp_path, "low-x", [1, 1.1, 1.2], metric), *group(tmp_path, "high-x", [5, 5.1, 5], metric)]
    )
    verdict = judge(table, metric)
    assert (None if verdict is None else verdict.best) == best
    assert verdict is None or verdict.worse


def test_a_strangers_metric_is_judged_as_its_file_says(tmp_path):
    told = {"title": "Crispness", "better": "higher", "unit": "dB", "comparable": "size of pictures", "rank": 1}
    runs = [
        *group(tmp_path, "gan-x", [{"value": v, **told} for v in (1, 1.1, 1.2)], "crisp"),
        *group(tmp_path, "vae-x", [{"value": v, **told} for v in (3, 3.1, 3.2)], "crisp"),
    ]
    table = only_table(runs)
    assert "Crispness (dB): vae-x is best" in sentence(judge(table, "crisp"), table)
    text, _ = page_of(runs, tmp_path)
    assert "higher is better; comparable where models share the size of pictures" in text


def test_a_number_without_a_direction_says_why_and_is_not_judged(tmp_path):
    told = {"title": "Busyness", "better": "", "neither": "nobody knows"}
    runs = [
        *group(tmp_path, "gan-x", [{"value": v, **told} for v in (1, 1.1)], "busy"),
        *group(tmp_path, "vae-x", [{"value": v, **told} for v in (3, 3.1)], "busy"),
    ]
    assert judge(only_table(runs), "busy") is None
    assert "no direction is better: nobody knows" in page_of(runs, tmp_path)[0]


def test_numbers_of_the_log_are_what_the_run_says_they_are(tmp_path):
    """A loss does not rank; a stranger's number that has a direction stands in where it was not evaluated."""
    runs = []
    for i, (name, level) in enumerate((("a", 1.0), ("a", 1.1), ("b", 2.0), ("b", 2.1))):
        run = make_run(tmp_path / str(i), toy_recipe(name), i % 2, points=0, pictures=False)
        env = run.env | {
            "quantities": run.env["quantities"] | {"glow": {"title": "Glow", "better": "lower", "rank": 3}}
        }
        files.write_json(run.path / "env.json", env)
        run.append({"images": 10, "glow": level, "critic_loss": level})
        runs.append(run)
    table = only_table(runs)
    assert judge(table, "glow").best == "a"
    assert "critic_loss" not in table.metrics


def test_a_number_of_the_log_is_no_second_column_of_an_evaluated_one(tmp_path):
    run = make_run(tmp_path / "a", toy_recipe(), points=0, pictures=False, values={"kl": 1.0, "modes": 20})
    run.append({"images": 10, "kl_data": 1.5, "modes": 12, "high_quality": 0.5})
    assert set(only_table([run]).metrics) == {"kl", "modes", "high_quality", "training_seconds"}


def test_different_data_and_evaluators_stand_apart_with_the_reason(tmp_path):
    runs = [
        make_run(tmp_path / "a", toy_recipe(), values={"modes": 20}),
        make_run(tmp_path / "b", toy_recipe("lsgan-25gaussians"), values={"modes": {"value": 9, "n": 500}}),
        make_run(tmp_path / "c", toy_recipe("wgan-25gaussians"), values={"modes": 9}, fingerprint="bbbb"),
        make_run(tmp_path / "d", picture_recipe(), values={"frechet_cnn": 3}),
        make_run(tmp_path / "e", toy_recipe("wgan-gp-25gaussians"), values={"modes": 23}),
    ]
    found = tables(gather([r.path for r in runs])[0])
    assert [[e.path.name for e in t.entries] for t in found] == [["a", "e"], ["b"], ["c"], ["d"]]
    assert "sample count 500" in found[1].reason
    assert "prepared differently" in found[2].reason
    assert "other data" in found[3].reason
    text, _ = page_of(runs, tmp_path)
    assert text.count("A table of its own") == 3


def test_averages_of_fewer_examples_share_a_table_with_those_of_more(tmp_path):
    """A model whose samples or likelihoods cost much is given fewer; distances depend on how many they are."""
    few, many = {"value": 90.0, "n": 500, "se": 3.0}, {"value": 100.0, "n": 2000, "se": 1.0}
    runs = [
        make_run(tmp_path / "a", picture_recipe(), values={"path_length": many, "nll": many, "frechet_cnn": 3}),
        make_run(tmp_path / "b", picture_recipe(), 1, values={"path_length": few, "nll": few, "frechet_cnn": 3}),
        make_run(tmp_path / "c", picture_recipe(), 2, values={"frechet_cnn": few}),
    ]
    found = tables(gather([r.path for r in runs])[0])
    assert [[e.path.name for e in t.entries] for t in found] == [["a", "b"], ["c"]]
    assert "frechet_cnn with sample count 500" in found[1].reason
    assert found[0].about("path_length") == "n = 500 to 2,000"


def test_runs_without_results_are_shown_as_such(tmp_path):
    runs = [
        make_run(tmp_path / "a", toy_recipe(), values={"modes": 20, "nll": {"value": None, "note": "no density"}}),
        make_run(tmp_path / "b", toy_recipe("lsgan-25gaussians")),
        make_run(tmp_path / "c", toy_recipe("wgan-25gaussians"), state="diverged"),
    ]
    (runs[1].path / "env.json").write_text(runs[0].path.joinpath("env.json").read_text())
    text, rows = page_of(runs, tmp_path)
    assert "not evaluated yet" in text
    assert "no density" in text
    assert "diverged" in text
    assert [r["value"] for r in rows if r["metric"] == "modes"] == ["20"], (
        "the log's numbers do not mix with evaluated ones"
    )


def test_the_log_stands_in_where_nothing_was_evaluated(tmp_path):
    text, rows = page_of([make_run(tmp_path / "a", toy_recipe())], tmp_path)
    assert "from the log" in text
    assert {r["source"] for r in rows} == {"log"}


def test_variants_of_one_recipe_are_told_apart(tmp_path):
    short = with_field(toy_recipe(), "train.batch", 64)
    runs = [
        make_run(tmp_path / "a", toy_recipe(), values={"modes": 1}),
        make_run(tmp_path / "b", short, values={"modes": 2}),
    ]
    assert only_table(runs).labels == ["gan-25gaussians (train.batch=256)", "gan-25gaussians (train.batch=64)"]


def test_a_best_that_did_not_last_is_noted(tmp_path):
    run = make_run(tmp_path / "a", toy_recipe(), values={"modes": 3}, points=0)
    for i, modes in enumerate([1, 20, 24, 22, 3]):
        run.append({"images": i * 100, "step": i, "seconds": i, "modes": modes})
    text, _ = page_of([run], tmp_path)
    assert "Modes found was 24 at 200 images and ended at 3" in text


def test_the_page_is_self_contained_and_its_numbers_can_be_read_back(tmp_path):
    recipe = with_field(toy_recipe("gan-25gaussians"), "train.images", 5000)
    evil = make_run(tmp_path / "a<b>&", recipe, values={"modes": {"value": 3, "note": "</script><b>"}})
    other = make_run(tmp_path / "p", picture_recipe(), values={"frechet_cnn": 2})
    text, rows = page_of([evil, other], tmp_path)
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", text)
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org)", text)
    assert "<b>" not in text.replace("<body>", "")
    embedded = json.loads(re.search(r'id="numbers">(.*?)</script>', text, re.S)[1])
    assert [v["metric"] for v in embedded["values"]] == [r["metric"] for r in rows]
    assert embedded["runs"][0]["recipe"]["train"]["images"] == 5000


def test_the_csv_holds_the_seeds_of_the_runs(tmp_path):
    runs = group(tmp_path, "gan-25gaussians", [{"value": 1.0, "seed": 0}, {"value": 2.0, "seed": None}])
    _, rows = page_of(runs, tmp_path)
    assert [(r["seed"], r["value"]) for r in rows if r["metric"] == "high_quality"] == [("0", "1.0"), ("1", "2.0")]


def test_numbers_without_a_how_stand_with_plain_ones(tmp_path):
    told = [{"value": 1.0, "how": ""}, {"value": 2.0}]
    assert len(only_table(group(tmp_path, "gan-25gaussians", told)).entries) == 2


def test_what_no_run_has_a_number_of_stands_last(tmp_path):
    values = {"nll": {"value": None, "note": "not defined: GANModel has no density"}, "frechet_cnn": 2.0, "odd": 1.0}
    run = make_run(tmp_path / "a", picture_recipe(), values=values)
    assert only_table([run]).metrics[-1] == "nll"


def test_thirty_runs_are_quick_and_light(tmp_path):
    """The stated target is 10 s; a third more is left for a busy machine."""
    rng = random.Random(0)
    runs = []
    for name in ("gan-mnist", "lsgan-mnist", "wgan-mnist", "wgan-gp-mnist", "vae-mnist", "flow-mnist"):
        for seed in range(5):
            values = {k: rng.random() for k in ("frechet_cnn", "precision", "recall", "density", "coverage")}
            runs.append(make_run(tmp_path / f"{name}-{seed}", picture_recipe(name), seed, values=values, points=101))
    began = time.process_time()
    text, _ = page_of(runs, tmp_path)
    assert time.process_time() - began < 13
    assert len(text) < 15e6


def test_bad_input(tmp_path):
    run = make_run(tmp_path / "a", toy_recipe(), pictures=False)
    with pytest.raises(UserError, match=r"ends in \.html"):
        write_report([run.path], tmp_path / "x.pdf")
    with pytest.raises(UserError, match="does not exist"):
        write_report([run.path, tmp_path / "b"], tmp_path / "x.html")
    with pytest.raises(UserError, match="is not a run"):
        write_report([tmp_path], tmp_path / "x.html")
    with pytest.raises(UserError, match="no run"):
        write_report([], tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("wgan-gp-25gaussians", {}),
        ("wgan-gp-25gaussians", {"train.images": 5000, "objective.gp": 2.0}),
        ("gan-mnist", {"objective.label_smoothing": [0.7, 0.9], "train.flip": True, "objective.minimax": True}),
        ("ae-mnist", {"resolution": 32, "train.betas": [0.5, 0.9]}),
    ],
)
def test_the_command_of_a_run_gives_its_recipe_back(name, changes):
    recipe = get(name)
    for key, value in changes.items():
        recipe = with_field(recipe, key, value)
    words = command.command(encode(recipe), seed=3).split()
    assert words[:3] == ["triptych", "train", name]
    again, options = parse_recipe(get(words[2]), words[3:])
    assert again == recipe
    assert options.seed == 3


@pytest.mark.parametrize(
    ("objective", "network", "changes"),
    [("WGANGP", None, {"objective.gp": 0.5}), (None, "NSF", {"train.lr": 0.01}), ("NLL", "RealNVP", {})],
)
def test_the_command_names_the_parts_that_were_swapped(objective, network, changes):
    recipe = with_parts(get("gan-8gaussians"), objective, network)
    for key, value in changes.items():
        recipe = with_field(recipe, key, value)
    words = command.command(encode(recipe), seed=0).split()[2:]
    swapped = {s: words[words.index(f"--{s}") + 1] if f"--{s}" in words else None for s in ("objective", "model")}
    assert swapped == {"objective": objective, "model": network}
    rest = [w for s, n in swapped.items() if n for w in (f"--{s}", n)]
    begun = with_parts(get(words[0]), objective, network)
    assert parse_recipe(begun, words[1 + len(rest) :], words[0])[0] == recipe


def test_a_part_that_no_command_can_name_has_no_command():
    @dataclasses.dataclass(frozen=True)
    class Own(GAN):
        pass

    assert command.command(encode(dataclasses.replace(get("gan-8gaussians"), objective=Own())), seed=0) == ""


def test_one_seed_twice_is_one_seed(tmp_path):
    """The same recipe, data and seed is the same draw: the second run is left out, by name."""
    recipe = toy_recipe("gan-x")
    runs = [make_run(tmp_path / name, recipe, 0, values={"modes": 9}, pictures=False) for name in ("first", "again")]
    entries, lost = gather([runs[0].path, runs[1].path, runs[0].path])
    assert [e.path.name for e in entries] == ["first"]
    assert [told["state"] for told in lost] == ["twice"]
    assert "again is left out" in lost[0]["message"]
    text, _ = page_of(runs, tmp_path)
    assert "again is left out" in text


@pytest.mark.parametrize(
    ("other", "said"),
    [({"reference": "8gaussians train 2500:1:8gaus"}, "real side"), ({"how": "--which best"}, "--which best")],
)
def test_numbers_of_other_real_sides_and_weights_stand_apart(tmp_path, other, said):
    usual = {"value": 20, "reference": "25gaussians train 2500:1:25gau"}
    fresh = {"value": 21, "reference": "25gaussians train 9:5:25gau"}
    runs = [
        make_run(tmp_path / "a", toy_recipe("gan-a"), values={"modes": usual}, pictures=False),
        make_run(tmp_path / "b", toy_recipe("gan-b"), values={"modes": fresh}, pictures=False),
        make_run(tmp_path / "c", toy_recipe("gan-c"), values={"modes": usual | other}, pictures=False),
    ]
    found = tables(gather([r.path for r in runs])[0])
    assert [[e.path.name for e in t.entries] for t in found] == [["a", "b"], ["c"]]
    assert said in found[1].reason


def test_time_of_training_is_without_the_evaluations(tmp_path):
    run = make_run(tmp_path / "a", toy_recipe(), points=0, pictures=False)
    for images, evaluating in ((0, 4.0), (10_000, 2.0)):
        run.append({"images": images, "seconds": 1.0, "evaluating": evaluating})
    (entry,) = gather([run.path])[0]
    assert entry.training == 4.0, "10 s in all"


def test_what_comes_after_the_last_step_is_not_in_the_time_of_training(tmp_path):
    """An autoencoder that fits a density to its codes at the end had trained for 0 s."""
    run = make_run(tmp_path / "a", toy_recipe(), points=0, pictures=False)
    for images, seconds, evaluating in ((0, 0.0, 4.0), (10_000, 9.9996, 60.0)):
        run.append({"images": images, "seconds": round(seconds, 3), "evaluating": evaluating})
    run.set_status(seconds=9.9996)
    (entry,) = gather([run.path])[0]
    assert entry.training == pytest.approx(6.0, abs=1e-3)


@pytest.mark.parametrize("old", [False, True])
def test_an_autoencoders_rate_is_no_distance_to_the_data(tmp_path, old):
    """It rises in every good training: neither drawn with a flow's KL nor called a number that got worse."""
    recipe = Recipe(
        DataSpec("25gaussians"), MLPAutoencoder(latent=2, width=8), VAE(), Train(images=10_000), name="vae-x"
    )
    run = make_run(tmp_path / "a", recipe, points=0, pictures=False, old=old)
    for i in range(6):
        run.append({"images": i * 2_000, "seconds": 1.0, "kl": 0.01 + i, "recon": 5.0 + i})
    text, _ = page_of([run], tmp_path)
    assert "KL(posterior ‖ prior)" in text
    assert "KL(data ‖ model)" not in text
    assert "and ended at" not in text


def test_an_old_flows_kl_is_its_distance_to_the_data(tmp_path):
    run = make_run(tmp_path / "a", toy_recipe(), points=0, pictures=False, old=True)
    for i in range(6):
        run.append({"images": i * 2_000, "seconds": 1.0, "kl": 1.0 + i, "loss": 5.0 + i})
    text, _ = page_of([run], tmp_path)
    assert "KL(data ‖ model) (nats) was 1 at 0 images and ended at 6" in text


def test_a_verdict_says_how_many_seeds_it_is_of(tmp_path):
    runs = [*group(tmp_path, "gan-x", [0.5, 0.52, math.nan]), *group(tmp_path, "wgan-gp-x", [0.9, 0.91, 0.89])]
    table = only_table(runs)
    assert "gan-x by 2 of its 3 seeds" in sentence(judge(table, "high_quality"), table)


@pytest.mark.parametrize(("name", "text"), [("recipe", "{}"), ("recipe", "[]"), ("eval", "[]"), ("env", "3")])
def test_a_damaged_folder_is_one_line(tmp_path, name, text, capsys):
    run = make_run(tmp_path / "a", toy_recipe(), values={"modes": 20}, pictures=False)
    (run.path / f"{name}.json").write_text(text)
    assert main(["report", str(run.path), "--out", str(tmp_path / "r.html")]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("triptych train gan-25gaussians --seed 3", True),
        ("triptych train 'a b' --data '$(x)'", True),
        ("triptych train x; rm -rf y", False),
        ("triptych train $(rm y)", False),
        ("triptych train 'x", False),
        ("rm -rf y", False),
        ("", False),
    ],
)
def test_the_command_of_a_run_is_shown_where_it_is_safe_to_paste(tmp_path, command, shown):
    """A stranger's folder may hold any text there; without one the page says how to go on."""
    run = make_run(tmp_path / "a", toy_recipe(), values={"modes": 20}, pictures=False)
    files.write_json(run.path / "env.json", run.env | {"command": command})
    text, _ = page_of([run], tmp_path)
    escaped = html.escape(command, quote=True).replace("&#x27;", "&#39;")
    assert (f'<pre tabindex="0">{escaped} --out' in text) == shown
    assert (f"triptych resume {run.path}" in text) != shown
    assert command not in ("triptych train x; rm -rf y", "rm -rf y") or "rm -rf" not in text.split("<script")[0]


def test_commands_on_the_page_can_be_pasted(tmp_path):
    run = make_run(tmp_path / "my runs" / "a", toy_recipe(), values={"modes": 20}, pictures=False)
    text, _ = page_of([run], tmp_path)
    assert "--out report.html" in text
    assert f"evaluate &#39;{run.path}&#39;" in text


def test_the_cost_of_sampling_is_shown_where_it_was_measured(tmp_path):
    runs = [make_run(tmp_path / name, toy_recipe(name), values={"modes": 25}) for name in ("gan-a", "gan-b")]
    (runs[0].path / "sampling.json").write_text(json.dumps({"examples_per_second": 1_234_567.0, "n": 10}))
    assert [row["drawn"] for row in cost(only_table(runs))["rows"]] == ["1,234,567", "unknown"]
    page, _ = page_of(runs, tmp_path)
    assert "<td>1,234,567</td>" in page


def test_what_all_recipes_have_comes_before_what_one_has(tmp_path):
    told = {"frechet": 1.0, "frechet_pixels": 2.0, "coverage": 0.5}
    runs = [
        make_run(tmp_path / "a", toy_recipe("gan-a"), values=told),
        make_run(tmp_path / "b", toy_recipe("gan-b"), values=told | {"nll": 3.0}),
    ]
    names = only_table(runs).metrics
    assert names.index("frechet") < names.index("frechet_pixels") < names.index("coverage") < names.index("nll")
    shown = [column.header for column in grid(only_table(runs)).columns]
    assert shown[2] == "Fréchet distance ↓"
    assert shown[-1] == "training"
    assert len([name for name in shown if "distance" in name]) == 1, "one of an axis"


def test_the_report_links_to_an_explorer_beside_it_and_to_nothing_else(tmp_path):
    run = make_run(tmp_path / "a", toy_recipe(), points=2)
    beside = tmp_path / "explore.html"
    beside.write_text("<p>somebody's own</p>")
    assert 'href="explore.html"' not in write_report([run.path], tmp_path / "report.html").read_text()
    beside.write_text(f"<!doctype html><html><head>{pages.EXPLORER}</head></html>")
    assert '<a href="explore.html">' in write_report([run.path], tmp_path / "report.html").read_text()
