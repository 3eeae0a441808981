"""The tables that `triptych evaluate RUN RUN` ends with."""

from triptych.cli.evaluate import by_reference, compare, reference_of
from triptych.core import Value
from triptych.evaluate.of_run import Evaluation


def evaluation(name: str, real: str, floor: float) -> Evaluation:
    return Evaluation(name, {"coverage": Value(0.5, 100, floor=floor, floor_n=100, reference=real)})


def test_runs_on_different_data_are_not_in_one_table(capsys):
    rings, hearts = evaluation("a", "rings", 0.9), evaluation("b", "hearts", 0.7)
    found = by_reference([rings, hearts, evaluation("c", "rings", 0.9)])
    assert [[result.name for result in results] for results in found.values()] == [["a", "c"], ["b"]]
    compare(found["rings"])
    shown = capsys.readouterr().out
    assert "real side: rings" in shown
    assert reference_of(hearts) == "hearts"


def test_fresh_points_of_one_distribution_are_one_set():
    one, other = evaluation("a", "rings train 500:1:8a", 0.9), evaluation("b", "rings train 200:1:8a", 0.9)
    assert [len(results) for results in by_reference([one, other]).values()] == [2]
