"""What a person asks a conditioned model for, by the names of its columns."""

import pytest
import torch

from triptych.core.columns import Column
from triptych.core.conditions import beyond, row_asked
from triptych.errors import UserError

COLUMNS = (Column("age", "number"), Column("sex", "category", values=("f", "m")), Column("since", "number"))
KNOWN = torch.tensor([[18.0, 1, 0, 2000], [90.0, 0, 1, 2020], [40.0, 1, 0, 2010]])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["age=1", "sex=f"], "--given lacks since"),
        (["age=1", "sex=f", "since=1", "age=2"], "--given age=2: age has a value already; give it once"),
        (["sex=f", "sex=m", "age=1", "since=1"], "--given sex=m: sex has a value already"),
        (["sex=f", "sex=m=0.5", "age=1", "since=1"], "--given sex=m=0.5: sex=m has a value already"),
        (["height=3"], "this model is not conditioned on 'height'; it is on age, sex, since"),
        (["agee=3"], "did you mean age"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(words, said):
    with pytest.raises(UserError, match=said):
        row_asked(COLUMNS, words)


def test_shares_of_one_category_are_not_the_same_number_twice():
    assert row_asked(COLUMNS, ["sex=f=0.5", "sex=m=0.5", "age=1", "since=2"]).tolist() == [1, 0.5, 0.5, 2]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([40.0, 1, 0, 2010], []),
        ([97.0, 0.5, 0.5, 2021], []),  # within a tenth of the range
        ([200.0, 1, 0, 2010], ["age=200 (18 to 90 there)"]),
        ([-1e30, 1, 0, 2100], ["age=-1e+30 (18 to 90 there)", "since=2100 (2000 to 2020 there)"]),
    ],
)
def test_what_training_did_not_come_near_is_named(row, said):
    assert beyond(COLUMNS, KNOWN, torch.tensor(row)) == said
