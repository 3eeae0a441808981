"""Quality against seconds and passes: what is followed, when a yardstick is reached, what is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from triptych.core import Quantity
from triptych.report import charts, effort
from triptych.report.entries import Entry
from triptych.report.table import Table

DISTANCE = Quantity("Distance", "lower", axis="distance", rank=10)
GOOD = Quantity("Good samples", "higher", axis="fidelity", rank=5)
QUANTITIES = {"distance": DISTANCE, "good": GOOD}


def entry(label: str, lines: list[tuple[float, float]], seed: int = 0, **values: float) -> Entry:
    """A run that logged a distance at each (second, distance), of which half a second each was looking."""
    logged = [
        {"images": 100 * i, "seconds": second, "evaluating": 0.5, "distance": value, "good": 0.5}
        for i, (second, value) in enumerate(lines)
    ]
    told: dict[str, Any] = {
        k: {"value": v, "source": "eval", **QUANTITIES.get(k, Quantity("Passes", neither="a price")).told()}
        for k, v in values.items()
    }
    mixture = {"model": {"type": "MixtureOfGaussians", "components": 0}, "objective": {"type": "ClosedForm"}}
    recipe = {"data": {"name": "x"}, **(mixture if label.startswith("mixture") else {"objective": {"type": "GAN"}})}
    return Entry(Path(label), recipe, seed, {}, {}, logged, told, evaluated=True, label=label, quantities=QUANTITIES)


def table(*entries: Entry) -> Table:
    return Table("x", "", list(entries))


def test_seconds_until_a_run_is_as_near_as_the_mixture() -> None:
    """Looks are not training: the third line is at 30 s, of which one second were the looks before it."""
    made = effort.with_reach(
        table(
            entry("gan", [(10, 1.0), (20, 0.6), (30, 0.4), (40, 0.5)]),
            entry("gan", [(10, 0.9), (20, 0.8)], seed=1),
            entry("mixture-x", [(1, 0.5)]),
        )
    )
    assert made.numbers("gan", effort.REACHED) == [29.0]
    assert made.entries[1].values[effort.REACHED]["value"] is None
    assert "never" in made.entries[1].values[effort.REACHED]["note"]
    assert effort.REACHED not in made.entries[2].values
    assert made.quantity(effort.REACHED).axis == "cost"


def test_a_mixture_that_logged_nothing_is_taken_by_its_evaluation() -> None:
    made = effort.with_reach(table(entry("gan", [(10, 1.0), (20, 0.2)]), entry("mixture", [], distance=0.3)))
    assert made.numbers("gan", effort.REACHED) == [19.5]


def test_without_a_logged_number_the_table_stays_as_it_is() -> None:
    alone = table(entry("gan", [], distance=0.2))
    assert effort.with_reach(alone) is alone


def test_seconds_until_a_round_distance_that_all_and_that_only_the_best_came_down_to() -> None:
    made = effort.with_reach(
        table(
            entry("near", [(10, 1.0), (20, 0.3), (30, 0.08)]),
            entry("near", [(10, 0.9), (20, 0.04), (30, 0.06)], seed=1),
            entry("far", [(10, 1.0), (20, 0.7), (30, 0.45)]),
        )
    )
    assert effort.round_levels(made, "distance") == [0.5, 0.1]
    assert made.numbers("near", "to_distance_0.5_seconds") == [19.5, 19.5]
    assert made.numbers("far", "to_distance_0.5_seconds") == [29.0]
    assert made.numbers("near", "to_distance_0.1_seconds") == [29.0, 19.5]
    assert made.numbers("far", "to_distance_0.1_seconds") == []
    assert made.quantity("to_distance_0.1_seconds").name == "Training until Distance ≤ 0.1 (s)"


def test_no_distance_that_a_run_had_before_its_first_step() -> None:
    """A round one, or the mixture's."""
    near, far = entry("near", [(10, 1.0), (20, 0.3), (30, 0.04)]), entry("far", [(10, 0.45), (20, 0.44)])
    made = effort.with_reach(table(near, far, entry("mixture-x", [(1, 0.6)])))
    assert [m for m in made.metrics if m.startswith("to_")] == ["to_distance_0.05_seconds"]


def test_no_round_distance_where_a_run_logged_none() -> None:
    assert effort.round_levels(table(entry("a", [(10, 1.0)]), entry("b", [])), "distance") == []


@pytest.mark.parametrize(
    ("value", "level"), [(0.08, 0.1), (0.1, 0.1), (0.11, 0.2), (2.01, 5.0), (0.5, 0.5), (7, 10), (3e-7, 5e-7)]
)
def test_round_numbers_above(value: float, level: float) -> None:
    assert effort.round_above(value) == level


def test_what_stands_for_quality_is_the_first_axis_with_a_logged_number() -> None:
    assert effort.followed(table(entry("gan", [(10, 1.0)]))) == "distance"
    assert effort.followed(table(entry("gan", []))) == ""


def test_passes_are_drawn_where_they_differ() -> None:
    one, many = entry("gan", [], distance=0.3, passes=1.0), entry("flow", [], distance=0.2, passes=16.0)
    names = [figure.name for figure in effort.figures(table(one, many))]
    assert names == ["Distance ↓"]
    assert effort.figures(table(one)) == []


@pytest.mark.parametrize("low", [0.01, -0.01], ids=["logarithmic", "linear"])
def test_a_chart_is_a_whole_picture_with_everything_inside(low: float) -> None:
    levels = {"mixture <b>": 0.5, "mean": 0.48, "gaussian": 3.0}
    svg = charts.log_chart({"gan": [(1.0, 2.0), (1000.0, low)]}, ["gan"], levels, "t", "seconds")
    root = ElementTree.fromstring(svg)
    titles = [t.text for t in root.iter("title")]
    assert "gan" in titles
    assert "mixture <b>: 0.500" in titles
    for text in root.iter("text"):
        assert 0 <= float(text.attrib["x"]) <= charts.WIDTH
        assert 0 <= float(text.attrib["y"]) <= charts.HEIGHT
    heights = [float(p.attrib["d"].split()[1].partition("H")[0]) for p in root if p.attrib.get("class") == "floor"]
    assert heights == sorted(heights)  # the highest value is the highest line
    assert charts.log_chart({"gan": [(1.0, 2.0)]}, ["gan"], {}, "t", "seconds") == ""


def test_names_of_lines_are_cut_to_the_room_they_have() -> None:
    long = "mixture (data.resolution=16, data.channels=1, data.fit=pad)"
    svg = charts.log_chart({"gan": [(1.0, 2.0), (9.0, 1.0)]}, ["gan"], {long: 0.5, f"{long}!": 0.5}, "t", "seconds")
    root = ElementTree.fromstring(svg)
    assert [t.text for t in root.iter("text")].count("mixture (data.resolutio…") == 2
    assert f"{long}: 0.500" in [t.text for t in root.iter("title")]
    assert long not in charts.interval_chart({long: [1.0, 2.0]}, [long], "t", None).partition("<text")[2]


def test_names_of_lines_at_one_height_do_not_overprint() -> None:
    levels = {"mixture": 0.5, "memoriser": 0.501, "mean": 0.499}
    svg = charts.log_chart({"gan": [(1.0, 2.0), (9.0, 1.0)]}, ["gan"], levels, "t", "seconds")
    root = ElementTree.fromstring(svg)
    named = [t for t in root.iter("text") if t.text in levels]
    assert len({t.attrib["x"] for t in named}) == len(named) == 2
    assert {"mixture: 0.500", "memoriser: 0.501", "mean: 0.499"} <= {t.text for t in root.iter("title")}


def test_ticks_of_a_logarithmic_axis() -> None:
    assert charts.log_ticks(0.9, 1100) == [1, 10, 100, 1000]
    assert charts.log_ticks(3, 60) == [5, 10, 20, 50]
    assert all(2.5 <= t <= 4.1 for t in charts.log_ticks(2.5, 4.1))
    assert len(charts.log_ticks(1e-9, 1e9)) <= 6
    assert len(charts.log_ticks(0.031, 0.098)) >= 3, "one label tells no scale"


def test_labels_of_an_axis_are_told_apart():
    assert charts.labels([0.0995, 0.1, 0.1005, 0.101]) == ["0.0995", "0.1", "0.1005", "0.101"]
    assert charts.labels([0, 12_500, 25_000]) == ["0", "12.5k", "25k"]
