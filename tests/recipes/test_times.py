"""Times of the named recipes, turned into those of another machine."""

from triptych.recipes import times
from triptych.system.processor import Speed, speed


def test_each_kind_of_work_goes_by_its_own_speed(monkeypatch):
    told = {
        "speed": {"convolutions": 100, "steps": 300},
        "minutes": {"gan-birds": 4.0, "gan-8gaussians": 2.0},
        "wide": ["gan-birds"],
    }
    monkeypatch.setattr(times, "measured", lambda: told)
    monkeypatch.setattr(times, "speed", lambda: Speed(convolutions=400, steps=150))
    assert times.minutes_here() == {"gan-birds": 1.0, "gan-8gaussians": 4.0}


def test_the_file_has_a_time_of_each_wide_recipe():
    told = times.measured()
    assert set(told["wide"]) <= set(told["minutes"])
    assert {"best-birds", "iwae-binarymnist"} <= set(told["wide"])
    assert "gan-8gaussians" not in told["wide"]


def test_a_speed_is_of_this_machine():
    found = speed(0.01)
    assert found.convolutions > 1
    assert found.steps > 1
    assert speed(0.01) is found
