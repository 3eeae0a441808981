"""Verdicts by axis: who counts as a witness, what makes a difference clear, and whether anything was learned."""

import random
from pathlib import Path

import pytest

from triptych.core import Quantity
from triptych.core.statistics import difference
from triptych.report.axes import Gate, gate, judge_axes
from triptych.report.cards import standing
from triptych.report.entries import Entry
from triptych.report.table import Table, tables
from triptych.report.wording import axis_sentence, headline

FRECHET = Quantity("Fréchet distance", "lower", axis="distance", rank=27)
KERNEL = Quantity("Kernel distance", "lower", axis="distance", rank=29)
RECALL = Quantity("Recall", "higher", axis="coverage", rank=33)
NLL = Quantity("Negative log-likelihood", "lower", axis="likelihood", rank=21)
METRICS = {  # name: quantity, extractor
    "frechet": (FRECHET, "contrasts:1"),
    "kernel": (KERNEL, "contrasts:1"),
    "frechet_v1": (FRECHET, "offline-v1:2"),
    "frechet_pixels": (FRECHET, "pixels"),
    "recall": (RECALL, "contrasts:1"),
    "recall_v1": (RECALL, "offline-v1:2"),
    "nll": (NLL, None),
}
GAUSSIAN = {"objective": {"type": "ClosedForm"}, "model": {"type": "MixtureOfGaussians", "components": 1}}


def entry(label: str, seed: int, values: dict[str, float], floors: dict[str, float]) -> Entry:
    told = {
        k: {"value": v, "n": 1000, "extractor": METRICS[k][1], "floor": floors.get(k), "source": "eval"}
        | METRICS[k][0].told()
        for k, v in values.items()
    }
    kind = GAUSSIAN if "gaussian" in label else {}
    recipe = {"name": label, "data": {"name": "birds"}, **kind}
    return Entry(Path(f"{label}-{seed}"), recipe, seed, {}, {"state": "done"}, [], told, evaluated=True, label=label)


def table(rows: dict[str, dict[str, list[float]]], floors: dict[str, float] | None = None) -> Table:
    """A table of recipes from their numbers over seeds."""
    entries = [
        entry(label, seed, {k: v[seed] for k, v in metrics.items()}, floors or {})
        for label, metrics in rows.items()
        for seed in range(len(next(iter(metrics.values()))))
    ]
    (made,) = tables(entries)
    return made


LOW, HIGH, WIDE = [10.0, 10.1, 9.9], [20.0, 20.2, 19.8], [5.0, 20.0, 14.0]


def grades(made: Table) -> dict[str, str]:
    return {v.axis: v.pairs[0].grade for v in judge_axes(made)}


def test_two_witnesses_make_a_difference_clear():
    made = table({"a": {"frechet": LOW, "frechet_v1": LOW}, "b": {"frechet": HIGH, "frechet_v1": HIGH}})
    (verdict,) = judge_axes(made)
    (pair,) = verdict.pairs
    assert (pair.better, pair.worse, pair.grade, pair.metric) == ("a", "b", "clear", "frechet")
    assert pair.gap.value == pytest.approx(-10)
    assert pair.gap.half_width < 1
    assert pair.gap.effect < -10
    said = axis_sentence(verdict, made)
    assert "a clearly better than b by 10 lower Fréchet distance (95 %:" in said
    assert "Witnesses: contrasts and offline-v1." in said


def test_metrics_of_one_extractor_are_one_witness():
    """The kernel distance cannot confirm the Fréchet distance of the same features."""
    made = table({"a": {"frechet": LOW, "kernel": LOW}, "b": {"frechet": HIGH, "kernel": HIGH}})
    assert grades(made) == {"distance": "probable"}
    assert "probably better than b, one witness alone" in axis_sentence(judge_axes(made)[0], made)


def test_a_witness_that_points_the_other_way_takes_the_clarity():
    made = table({"a": {"frechet": LOW, "frechet_v1": HIGH}, "b": {"frechet": HIGH, "frechet_v1": LOW}})
    assert grades(made) == {"distance": "mixed"}
    assert "contradict" in axis_sentence(judge_axes(made)[0], made)


def test_a_metric_of_the_same_features_can_object():
    rows = {
        "a": {"frechet": LOW, "frechet_v1": LOW, "kernel": HIGH},
        "b": {"frechet": HIGH, "frechet_v1": HIGH, "kernel": LOW},
    }
    assert grades(table(rows)) == {"distance": "mixed"}


def test_two_sure_witnesses_carry_a_third_that_agrees_and_is_not_sure():
    rows = {
        "a": {"frechet": LOW, "frechet_v1": LOW, "frechet_pixels": [9.0, 12.0, 14.0]},
        "b": {"frechet": HIGH, "frechet_v1": HIGH, "frechet_pixels": [9.5, 13.0, 14.0]},
    }
    assert grades(table(rows)) == {"distance": "clear"}


def test_a_likelihood_needs_no_second_witness_and_noise_is_a_tie():
    assert grades(table({"a": {"nll": LOW}, "b": {"nll": HIGH}})) == {"likelihood": "clear"}
    assert grades(table({"a": {"nll": WIDE}, "b": {"nll": LOW}})) == {"likelihood": "tied"}


def test_many_metrics_of_one_extractor_do_not_outvote_an_axis():
    """However many numbers one network makes, coverage stays one statement of its own."""
    rows = {
        "a": {"frechet": LOW, "frechet_v1": LOW, "kernel": LOW, "recall": LOW, "recall_v1": LOW},
        "b": {"frechet": HIGH, "frechet_v1": HIGH, "kernel": HIGH, "recall": HIGH, "recall_v1": HIGH},
    }
    made = table(rows)
    axes = judge_axes(made)
    assert [(v.axis, v.best) for v in axes] == [("distance", "a"), ("coverage", "b")]
    said = headline(made, axes, gate(made))
    assert said == "On birds, a is clearly better than b on distance; b is clearly better than a on coverage."


def test_more_pairs_ask_for_smaller_p_values():
    close = [12.0, 13.0, 12.6]
    near = [10.6, 11.5, 10.9]
    assert grades(table({"a": {"nll": near}, "b": {"nll": close}})) == {"likelihood": "clear"}
    more = table({"a": {"nll": near}, "b": {"nll": close}, "c": {"nll": WIDE}, "d": {"nll": WIDE[::-1]}})
    (verdict,) = judge_axes(more)
    assert [p.grade for p in verdict.pairs if {p.better, p.worse} == {"a", "b"}] == ["tied"]


def test_one_seed_is_never_tested():
    made = table({"a": {"nll": [1.0]}, "b": {"nll": [2.0]}})
    (verdict,) = judge_axes(made)
    assert verdict.pairs[0].grade == "untested"
    assert "cannot be tested" in axis_sentence(verdict, made)
    assert "nothing can be tested" in headline(made, [verdict], None)


def test_a_recipe_further_away_than_one_gaussian_has_learned_nothing():
    floors = {"frechet": 1.0}
    rows = {"a": {"frechet": LOW}, "b": {"frechet": HIGH}, "gaussian": {"frechet": [8.0, 8.0, 8.0]}}
    made = table(rows, floors)
    found = gate(made)
    assert found is not None
    assert not found.learned
    assert found.ratio == pytest.approx(9 / 7)
    assert "none of these recipes has learned the set at this budget" in headline(made, judge_axes(made), found)
    assert all("gaussian" not in (p.better, p.worse) for v in judge_axes(made) for p in v.pairs)
    nearer = table(rows | {"c": {"frechet": [4.0, 4.1, 4.2]}}, floors)
    assert (found := gate(nearer)) is not None
    assert found.learned
    assert found.best == "c"


def test_the_gaussian_is_known_by_its_model_whatever_it_is_called():
    rows = {"a": {"frechet": HIGH}, "b": {"frechet": HIGH}, "gaussian-birds (fit=pad)": {"frechet": LOW}}
    found = gate(table(rows, {"frechet": 1.0}))
    assert found is not None
    assert not found.learned


def test_without_a_yardstick_or_a_floor_there_is_no_gate():
    assert gate(table({"a": {"frechet": LOW}, "b": {"frechet": HIGH}}, {"frechet": 1.0})) is None
    assert gate(table({"a": {"frechet": LOW}, "gaussian": {"frechet": HIGH}})) is None
    assert Gate("frechet", "a", 5.0, 5.0, 1.0).ratio == 1


def test_recipes_of_one_truth_are_seldom_called_different():
    """400 contests of three equal recipes, two witnesses, three seeds: at most 5 % may have a clear difference.

    The expected share is far below 5 %; a share above 8 % has a chance below 1 in 100 even at 5 %.
    """
    rng = random.Random(5)
    false = 0
    for _ in range(400):
        rows = {}
        for label in "abc":
            truth = [rng.gauss(10, 1) for _ in range(3)]
            rows[label] = {m: [t + rng.gauss(0, 0.3) for t in truth] for m in ("frechet", "frechet_v1")}
        false += any(p.grade == "clear" for v in judge_axes(table(rows)) for p in v.pairs)
    assert false <= 32


def test_a_difference_has_the_interval_of_welch():
    stats = pytest.importorskip("scipy.stats")
    a, b = [1.0, 2.0, 4.0], [5.0, 5.5, 7.0, 9.0]
    d = difference(a, b)
    low, high = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert (d.value - d.half_width, d.value + d.half_width) == pytest.approx((low, high), rel=1e-6)


def test_where_the_best_number_is_not_the_best_recipe_both_cards_say_so():
    """The mean of one kind of features ranks the cards; what is certain comes from all of them."""
    made = table(
        {
            "a": {"frechet": [8.0, 30.0, 12.0], "frechet_v1": [30.0, 30.1, 30.2], "frechet_pixels": [9.0, 9.1, 9.2]},
            "b": {"frechet": [17.0, 17.1, 17.2], "frechet_v1": [20.0, 20.1, 20.2], "frechet_pixels": [5.0, 5.1, 5.2]},
        }
    )
    (verdict,) = judge_axes(made)
    (pair,) = verdict.pairs
    assert (pair.better, pair.worse, pair.grade) == ("b", "a", "probable")
    assert standing(verdict, ("a", "b"), "a") == "best mean, yet another is probably better"
    assert standing(verdict, ("a", "b"), "b") == "probably better than the first"
    assert standing(verdict, ("b", "a"), "a") == "probably behind the first"
