"""Where the Inception weights come from: every place in its order, and a server on the loopback that misbehaves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from loopback import BODY, Server, serving

from triptych.errors import UserError
from triptych.metrics.features import extractor
from triptych.metrics.features.extractor import WEIGHTS, find_inception, load_inception
from triptych.system.download import CHUNK


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A file for every place to look in, none of them there yet; the published hash is that of BODY."""
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("TRIPTYCH_INCEPTION", raising=False)
    monkeypatch.setattr("triptych.metrics.features.extractor.SHA256", hashlib.sha256(BODY).hexdigest()[:8])
    monkeypatch.setattr("triptych.metrics.features.extractor.PATIENCE", 0.3)
    monkeypatch.setattr(
        "triptych.metrics.features.extractor.ADDRESSES",
        ("http://127.0.0.1:9/first.pth", "http://127.0.0.1:9/second.pth"),
    )
    found = {
        "path": tmp_path / "given.pth",
        "environment": tmp_path / "named.pth",
        "cache": tmp_path / "cache" / "inception" / WEIGHTS[0],
        "hub": tmp_path / "torch" / "hub" / "checkpoints" / WEIGHTS[1],
    }
    for file in found.values():
        file.parent.mkdir(parents=True, exist_ok=True)
    return found


@pytest.fixture
def server(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving() as s:
        monkeypatch.setattr(
            "triptych.metrics.features.extractor.ADDRESSES", (s.address("first.pth"), s.address("second.pth"))
        )
        yield s


def test_every_place_in_its_order(places, server, monkeypatch):
    for file in places.values():
        file.write_bytes(b"x")
    monkeypatch.setenv("TRIPTYCH_INCEPTION", str(places["environment"]))
    assert find_inception(places["path"]) == places["path"]
    assert find_inception() == places["environment"]
    monkeypatch.delenv("TRIPTYCH_INCEPTION")
    assert find_inception() == places["cache"]
    places["cache"].unlink()
    assert find_inception() == places["hub"]
    places["hub"].rename(places["hub"].with_name(WEIGHTS[0]))
    assert find_inception() == places["hub"].with_name(WEIGHTS[0])
    assert server.asked == []
    places["hub"].with_name(WEIGHTS[0]).unlink()
    with pytest.raises(UserError, match="found nowhere"):
        find_inception(may_download=False)
    assert server.asked == []
    assert find_inception() == places["cache"]
    assert places["cache"].read_bytes() == BODY
    assert server.asked == [("/first.pth", None)]
    assert find_inception() == places["cache"]
    assert len(server.asked) == 1


@pytest.mark.parametrize("place", ["path", "environment"])
def test_a_named_place_that_is_empty_is_an_error_not_the_next_place(places, server, monkeypatch, place):
    places["cache"].write_bytes(BODY)
    if place == "environment":
        monkeypatch.setenv("TRIPTYCH_INCEPTION", str(places[place]))
    with pytest.raises(UserError, match=f"{places[place]}.*no file"):
        find_inception(places[place] if place == "path" else None)


@pytest.mark.parametrize(
    ("script", "asked"),
    [
        (["truncate"], [("/first.pth", None), ("/first.pth", f"bytes={len(BODY) // 2}-")]),
        (["stall"], [("/first.pth", None), ("/first.pth", f"bytes={CHUNK}-")]),
        (["corrupt"], [("/first.pth", None), ("/first.pth", None)]),
        (["404"], [("/first.pth", None), ("/second.pth", None)]),
        (["corrupt", "corrupt"], [("/first.pth", None), ("/first.pth", None), ("/second.pth", None)]),
        (
            ["truncate", "stall"],
            [
                ("/first.pth", None),
                ("/first.pth", f"bytes={len(BODY) // 2}-"),
                ("/second.pth", f"bytes={len(BODY) // 2}-"),
            ],
        ),
    ],
)
def test_interrupted_and_corrupt_downloads_end_well(places, server, script, asked):
    server.script = script
    assert find_inception() == places["cache"]
    assert places["cache"].read_bytes() == BODY
    assert server.asked == asked
    assert {f.name for f in places["cache"].parent.iterdir()} <= {
        WEIGHTS[0],
        f"{WEIGHTS[0]}.sha256",
        places["cache"].with_suffix(".lock").name,
    }


def test_a_part_of_a_killed_download_is_gone_on_with(places, server):
    places["cache"].with_name(WEIGHTS[0] + ".part").write_bytes(BODY[:5000])
    assert find_inception() == places["cache"]
    assert server.asked == [("/first.pth", "bytes=5000-")]
    assert places["cache"].read_bytes() == BODY


def test_wrong_bytes_from_everywhere_leave_nothing(places, server):
    server.script = ["corrupt"] * 4
    with pytest.raises(UserError, match="checksum") as error:
        find_inception()
    assert "\n" not in str(error.value)
    assert not places["cache"].exists()
    assert not list(places["cache"].parent.glob("*.part"))


def test_missing_weights_name_every_place_in_one_line(places, tmp_path):
    with pytest.raises(UserError) as error:
        find_inception()
    said = str(error.value)
    for part in (
        "--inception",
        "TRIPTYCH_INCEPTION",
        str(tmp_path / "cache"),
        str(tmp_path / "torch"),
        *WEIGHTS,
        *extractor.ADDRESSES,
        "frechet",
    ):
        assert part in said
    assert "\n" not in said


def test_wrong_weights_show_their_hash_wherever_they_are(places, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("TRIPTYCH_INCEPTION", str(places["environment"]))
    places["environment"].write_bytes(b"x")
    with pytest.raises(UserError, match=r"SHA-256 is 2d711642.*6726825d"):
        load_inception()


def test_a_script_under_the_weights_name_in_the_cache_is_not_run(places):
    class Loud(torch.nn.Module):
        def forward(self, x):
            raise AssertionError("a program was run")

    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Loud()).save(str(places["cache"]))
    with pytest.raises(UserError, match="SHA-256"):
        load_inception()
