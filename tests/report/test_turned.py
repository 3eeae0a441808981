"""Results on a set of points that do not survive its being turned are flagged; those that do are not."""

import random

import pytest

from tests.report.test_axes import table
from triptych.report.table import Table
from triptych.report.turned import compare, flags, plain


def of(data: str, rows: dict[str, dict[str, list[float]]]) -> Table:
    made = table(rows)
    made.data = data
    return made


GOOD, BAD = [0.020, 0.021, 0.019], [0.390, 0.400, 0.380]


def test_a_result_about_the_axes_is_flagged_on_both_tables():
    straight = of("25gaussians", {"spline": {"nll": GOOD}, "gan": {"nll": GOOD}})
    turned = of("25gaussians@30", {"spline@30": {"nll": BAD}, "gan@30": {"nll": GOOD}})
    other = of("swissroll", {"spline": {"nll": BAD}})
    every = [straight, turned, other]
    (line,) = flags(straight, every)
    assert line == ("Turned by 30°, spline gives a different result: Negative log-likelihood 0.390 instead of 0.0200.")
    assert flags(turned, every) == [line]
    assert flags(other, every) == []


def test_what_stays_is_said_to_stay_and_one_seed_says_nothing():
    straight, turned = of("a", {"gan": {"nll": GOOD}}), of("a@-7.5", {"gan@-7.5": {"nll": GOOD}})
    assert flags(straight, [straight, turned]) == ["Turned by -7.5°, no recipe gives a clearly different result."]
    straight, turned = of("a", {"gan": {"nll": GOOD[:1]}}), of("a@30", {"gan@30": {"nll": BAD[:1]}})
    assert flags(straight, [straight, turned]) == []


def test_recipes_are_matched_by_their_names_without_angles():
    assert plain("spline-25gaussians@30") == "spline-25gaussians"
    assert plain("me@home") == "me@home"
    straight, turned = of("a", {"gan": {"nll": GOOD}, "vae": {"nll": GOOD}}), of("a@30", {"gan@30": {"nll": BAD}})
    assert [m.recipe for m in compare(straight, turned)] == ["gan"]


def test_false_flags_are_rare():
    """400 pairs of tables of eight recipes without any difference: at most 5 % of them should be flagged at all; by
    chance more than 8 % are in one of 100 sessions."""
    draw = random.Random(5)

    def rows(end: str) -> dict[str, dict[str, list[float]]]:
        return {f"r{k}{end}": {"nll": [draw.gauss(1, 0.1) for _ in range(5)]} for k in range(8)}

    flagged = 0
    for _ in range(400):
        straight, turned = of("a", rows("")), of("a@30", rows("@30"))
        flagged += "instead of" in flags(straight, [straight, turned])[0]
    assert flagged <= 0.08 * 400


@pytest.mark.parametrize("scale", ["quick", "full"])
def test_the_study_of_points_runs_both(scale):
    from triptych.study.named import STUDIES, toys

    made = toys(scale)
    names = {r.name for r in made}
    assert {plain(n) for n in names if "@" in n} == {n for n in names if "@" not in n}
    assert all(r.data.name.endswith("@30") == ("@" in r.name) for r in made)
    assert STUDIES["toys"][0] is toys
