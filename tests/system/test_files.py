import contextlib
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from triptych.errors import UserError
from triptych.system import files
from triptych.system.refusals import refuse_unwritable, system_errors


def names(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir()]


def strays(folder: Path) -> list[str]:
    return [name for name in names(folder) if name.endswith(".part")]


def test_a_file_is_written_whole_and_nothing_else_is_left(tmp_path):
    files.write_json(tmp_path / "a.json", {"x": (1, math.nan), "name": "größe"})
    assert files.read_json(tmp_path / "a.json") == {"x": [1, None], "name": "größe"}
    assert (tmp_path / "a.json").read_bytes().decode("utf-8").count("größe") == 1
    assert names(tmp_path) == ["a.json"]


def test_an_error_in_the_block_leaves_the_old_file(tmp_path):
    files.write_text(tmp_path / "a", "old")

    def fail():
        with files.writing(tmp_path / "a") as f:
            f.write(b"new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (tmp_path / "a").read_text() == "old"
    assert not strays(tmp_path)


def test_a_link_in_the_targets_place_is_replaced_and_not_written_through(tmp_path):
    (tmp_path / "outside").write_text("mine")
    (tmp_path / "a").symlink_to(tmp_path / "outside")
    files.write_text(tmp_path / "a", "theirs")
    assert (tmp_path / "outside").read_text() == "mine"
    assert (tmp_path / "a").read_text() == "theirs"
    assert not (tmp_path / "a").is_symlink()


def test_appending_does_not_follow_a_link(tmp_path):
    (tmp_path / "outside").write_text("mine")
    (tmp_path / "log").symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match=r"is a link"):
        files.append_line(tmp_path / "log", {})
    assert (tmp_path / "outside").read_text() == "mine"


def test_modes_follow_the_umask(tmp_path):
    before = os.umask(0o002)
    try:
        files.write_text(tmp_path / "a", "")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o664


def test_sweep_takes_what_a_killed_process_left_and_leaves_what_one_holds(tmp_path):
    code = "import os, sys; from triptych.system import files\nwith files.writing(sys.argv[1]): os._exit(9)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], check=False)
    assert len(strays(tmp_path)) == 1
    (left,) = strays(tmp_path)
    away = (tmp_path / left).rename(tmp_path.parent / left)
    with files.writing(tmp_path / "b") as f:
        f.write(b"b")
        away.rename(tmp_path / left)
        assert files.sweep(tmp_path) == 1
    assert names(tmp_path) == ["b"]


def test_the_first_write_of_a_process_into_a_folder_sweeps_it(tmp_path):
    code = "import os, sys; from triptych.system import files\nwith files.writing(sys.argv[1]): os._exit(9)"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], check=False)
        assert len(strays(tmp_path)) == 1, "that of the process before is gone"
    files.write_text(tmp_path / "b", "")
    assert names(tmp_path) == ["b"]


def test_refusals_of_the_system_name_the_file_and_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"there is no folder .*; make it, or choose another --out"):
        files.write_text(tmp_path / "no" / "a", "", "choose another --out")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        files.write_text(tmp_path / "file" / "a", "")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_pipes_devices_and_files_beyond_the_limit_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(UserError, match="no ordinary file"):
            files.read_json(path)
    (tmp_path / "big").write_bytes(b"1" * 100)
    with pytest.raises(UserError, match="at most 10 are read"):
        files.read_json(tmp_path / "big", 10)


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff", b'"\xff"'])
def test_what_is_no_json_is_one_line(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(UserError, match=r"; (restore it|save it)"):
        files.read_json(tmp_path / "a")


def test_lines_skip_and_count_what_is_spoilt_and_leave_out_a_torn_end(tmp_path):
    (tmp_path / "log").write_bytes(b'{"a": 1}\nnonsense\n[1]\n{"a": 2}\n{"a": 3')
    assert files.read_lines(tmp_path / "log") == ([{"a": 1}, {"a": 2}], 2)
    assert files.read_lines(tmp_path / "none") == ([], 0)


def test_names_that_are_no_utf8_come_back_unchanged(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    files.write_json(tmp_path / "a.json", [name, "größe"])
    assert files.read_json(tmp_path / "a.json") == [name, "größe"]
    json.loads((tmp_path / "a.json").read_bytes())
    files.write_text(tmp_path / name, "x")
    assert (tmp_path / name).read_text() == "x"


def test_appending_reaches_no_link_and_waits_for_no_pipe(tmp_path):
    (tmp_path / "outside").write_text("mine", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(UserError, match=r"is a link|no ordinary file"):
            files.append_line(tmp_path / name, {})
    assert (tmp_path / "outside").read_text(encoding="utf-8") == "mine"
    for text in (b"a", b"b"):
        with files.appending(tmp_path / "log") as f:
            f.write(text)
    assert (tmp_path / "log").read_bytes() == b"ab"


def test_a_file_in_place_of_a_folder_says_what_to_do(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    with (
        pytest.raises(UserError, match=r"a cannot be written .*; go elsewhere"),
        system_errors(tmp_path / "a", "go elsewhere"),
    ):
        (tmp_path / "a").mkdir(parents=True, exist_ok=True)


@pytest.mark.skipif(os.name == "nt", reason="locks are others there")
def test_nothing_is_swept_where_there_are_no_locks(tmp_path, monkeypatch):
    import errno
    import fcntl

    def none(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    part = tmp_path / ".a.0123456789abcdef.part"
    part.write_bytes(b"")
    with monkeypatch.context() as m:
        m.setattr(fcntl, "flock", none)
        assert files.sweep(tmp_path) == 0  # another process may hold it
        files.write_text(tmp_path / "b", "written all the same")
    assert files.sweep(tmp_path) == 1
    assert names(tmp_path) == ["b"]


def test_what_version_0_1_left_in_the_cache_goes_after_an_hour(tmp_path):
    for name, hours in ((".tmpA1b2C3", 2), (".tmpD4e5F6", 0), (".4711.abc.safetensors", 2), ("kept.safetensors", 2)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - 3600 * hours,) * 2)
    (tmp_path / ".tmpfolder").mkdir()
    assert files.sweep_legacy(tmp_path) == 2
    assert sorted(names(tmp_path)) == [".tmpD4e5F6", ".tmpfolder", "kept.safetensors"]
    assert files.sweep_legacy(tmp_path / "none") == 0


@pytest.mark.parametrize("place", ["file/below", "file/below/more"])
def test_a_place_is_refused_before_any_work(tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot be written .*; write to another place"):
        refuse_unwritable(tmp_path / place, folder=True)
    refuse_unwritable(tmp_path / "new" / "and" / "deep", folder=True)
    assert names(tmp_path) == ["file"], "nothing is made"


def test_a_file_is_refused_before_any_work_where_it_could_not_be_written_after_it(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"folder cannot be written, since it is a folder"):
        refuse_unwritable(tmp_path / "folder", folder=False)
    with pytest.raises(UserError, match=r"there is no folder .*new to write eval.json in; make it"):
        refuse_unwritable(tmp_path / "new" / "eval.json", folder=False)
    with pytest.raises(UserError, match=r"eval.json cannot be written"):
        refuse_unwritable(tmp_path / "file" / "eval.json", folder=False)
    for name in ("file", "new.json"):
        refuse_unwritable(tmp_path / name, folder=False)
    assert sorted(names(tmp_path)) == ["file", "folder"], "nothing is made"


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "many"
    target.mkdir()
    with files.making_folder(target) as part:
        (part / "a").write_text("a")
        assert not list(target.iterdir())
    assert [f.name for f in target.iterdir()] == ["a"]
    with contextlib.suppress(ZeroDivisionError), files.making_folder(tmp_path / "other") as part:
        (part / "a").write_text("a")
        raise ZeroDivisionError
    assert [f.name for f in tmp_path.iterdir()] == ["many"]
    with pytest.raises(OSError, match="not empty"), files.making_folder(target) as part:
        (part / "b").write_text("b")
    assert [f.name for f in target.iterdir()] == ["a"], "what is there is not replaced"
