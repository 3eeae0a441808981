"""Fetching, against a server on the loopback address that misbehaves in every way."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import BODY, Server, serving

from triptych.errors import UserError
from triptych.system.download import Remote, download, fetch
from triptych.system.progress import Progress

SUM = "md5:" + hashlib.md5(BODY).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as s:
        yield s


def remote(server: Server, checksum: str = SUM) -> Remote:
    return Remote(server.address("set.tar"), checksum)


def get(server: Server, to: Path, *script: str, **options: float) -> None:
    server.script = list(script)
    download(remote(server), to, **{"pause": 0.01, "patience": 5.0} | options)


@pytest.mark.parametrize(
    "script", [(), ("truncate",), ("truncate", "truncate", "truncate"), ("503", "503"), ("corrupt",)]
)
def test_arrives_in_the_end(server: Server, tmp_path: Path, script: tuple[str, ...]) -> None:
    get(server, tmp_path / "x", *script)
    assert (tmp_path / "x").read_bytes() == BODY
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith("x")) == ["x", "x.sha256"]


def test_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    get(server, tmp_path / "x", "truncate")
    assert [wanted for _, wanted in server.asked] == [None, f"bytes={len(BODY) // 2}-"]


def test_a_server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    get(server, tmp_path / "x", "truncate", "ignore range")
    assert (tmp_path / "x").read_bytes() == BODY


def test_a_stalled_connection_is_given_up(server: Server, tmp_path: Path) -> None:
    get(server, tmp_path / "x", "stall", patience=0.3)
    assert (tmp_path / "x").read_bytes() == BODY


def test_a_part_of_an_earlier_process_is_used(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.part").write_bytes(BODY[:5000])
    get(server, tmp_path / "x")
    assert server.asked == [("/set.tar", "bytes=5000-")]
    assert (tmp_path / "x").read_bytes() == BODY


def test_a_wrong_part_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.part").write_bytes(b"rubbish")
    get(server, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == BODY


@pytest.mark.parametrize(
    ("script", "says"),
    [(("404",), "HTTP 404"), (("503",) * 9, "HTTP 503"), (("corrupt",) * 9, "checksum")],
)
def test_failure_is_one_line_and_no_file(server: Server, tmp_path: Path, script: tuple[str, ...], says: str) -> None:
    with pytest.raises(UserError, match=says) as e:
        get(server, tmp_path / "x", *script)
    assert "yourself" in str(e.value)
    assert str(tmp_path / "x") in str(e.value)
    assert not (tmp_path / "x").exists()


def test_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="could not be fetched"):
        download(Remote("http://127.0.0.1:9/x", SUM), tmp_path / "x", patience=0.5, pause=0.01)


def test_fetch_fills_a_folder_of_the_cache_once(server: Server, tmp_path: Path) -> None:
    home = fetch("some", (remote(server),))
    assert (home / "set.tar").read_bytes() == BODY
    fetch("some", (remote(server),))
    assert len(server.asked) == 1


def test_the_bar_counts_to_the_size_that_the_server_told(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, int, int]] = []

    class Bar(Progress):
        def __init__(self, title: str, total: int, done: int = 0, *, shown: bool = True, unit: str = "") -> None:
            super().__init__(title, total, done, shown=False)
            self.title, self.total = title, total

        def update(self, done: int) -> None:
            told.append((self.title, done, self.total))

    monkeypatch.setattr("triptych.system.download.Progress", Bar)
    monkeypatch.setattr("triptych.system.download.MB", 1)
    get(server, tmp_path / "x")
    assert told[-1] == ("set.tar", len(BODY), len(BODY))
