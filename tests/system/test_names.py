import pytest

from triptych.errors import UserError
from triptych.system.names import LONGEST, component


@pytest.mark.parametrize(
    "name", ["my-study", "größe", "a b", "日本", "[lr=0.1]", "beta0.8", ".hidden", "console", "x" * LONGEST]
)
def test_plain_names(name):
    assert component(name, "the study") == name


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../x", "/abs", "a/b", "a\\b", "C:x", "NUL", "com1.txt", "Lpt9 .x", "aux", "a\nb", "\x1b[2J"),
        *("a\udce9", "x\u202ey", " a", "a ", "a.", "a?", "x" * (LONGEST + 1), "ö" * LONGEST),
    ],
)
def test_names_that_would_leave_the_folder_or_cannot_be_made_elsewhere(name):
    with pytest.raises(UserError, match=r"the study .*; give one plain name"):
        component(name, "the study")
