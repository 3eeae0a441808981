"""Cells of CSV files: no text is a formula, and numbers are numbers."""

import csv
import io

import pytest

from triptych.system.csv_files import cell, csv_text


@pytest.mark.parametrize("text", ["=1+1", "+SUM(A1)", "-1+2", "@x", "-", "--5", "-5 =cmd", "+", "-1,5", "\t-1"])
def test_texts_do_not_begin_formulas(text):
    assert str(cell(text)).startswith("'")


@pytest.mark.parametrize("value", [-1.2171462, "-1.2171462", "-3e-05", "+4", "-inf", "nan", -7, "0.5"])
def test_numbers_are_as_they_are(value):
    assert cell(value) == value
    (row,) = csv.DictReader(io.StringIO(csv_text(["nll"], [{"nll": value}])))
    assert float(row["nll"]) == pytest.approx(float(value), nan_ok=True)
