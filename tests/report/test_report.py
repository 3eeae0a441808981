"""Tables, verdicts and the page, on runs with known numbers."""

import json
import math

import pytest
from fake_runs import group, make_run, only_table, page_of, picture_recipe, toy_recipe
from scipy import stats

from triptych.core import DataSpec, Recipe, Train
from triptych.models.autoencoders import MLPAutoencoder
from triptych.objectives.autoencoder import VAE
from triptych.recipes.override import with_field
from triptych.report.axes import gate, judge_axes
from triptych.report.entries import gather
from triptych.report.facts import cost
from triptych.report.significance import judge
from triptych.report.table import tables
from triptych.report.terminal import grid
from triptych.report.wording import headline, sentence
from triptych.system import files


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


def test_numbers_without_a_how_stand_with_plain_ones(tmp_path):
    told = [{"value": 1.0, "how": ""}, {"value": 2.0}]
    assert len(only_table(group(tmp_path, "gan-25gaussians", told)).entries) == 2


def test_what_no_run_has_a_number_of_stands_last(tmp_path):
    values = {"nll": {"value": None, "note": "not defined: GANModel has no density"}, "frechet_cnn": 2.0, "odd": 1.0}
    run = make_run(tmp_path / "a", picture_recipe(), values=values)
    assert only_table([run]).metrics[-1] == "nll"


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
