"""The report on folders that somebody else made: nothing acts, nothing hangs, nothing of the person's is lost."""

import csv
import json
import os
import re
import shlex
import subprocess
import sys
import time

import pytest
from fake_runs import make_run, toy_recipe
from PIL import Image

from triptych.cli import main, parallel_lines
from triptych.errors import UserError
from triptych.report import write_report
from triptych.report.entries import gather
from triptych.run import schema
from triptych.system import csv_files, files
from triptych.system.shell import shell

VALUES = {"modes": 20, "nll": {"value": None, "note": "no density"}}


def some_run(path, **more):
    return make_run(path, toy_recipe(), values=VALUES, **more)


def read(path):
    return path.read_text(encoding="utf-8")


def rows_of(page):
    with page.with_suffix(".csv").open(newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


# ------------------------------------------------------------------------------------------- pictures


def make_picture(path, kind):
    path.unlink()
    if kind == "EPS":
        Image.new("RGB", (8, 8)).save(path, "EPS")
    elif kind == "GIF":
        Image.new("RGB", (8, 8)).save(path, "GIF")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "link":
        Image.new("RGB", (8, 8)).save(path.parent.parent / "elsewhere.png")
        path.symlink_to(path.parent.parent / "elsewhere.png")
    elif kind == "folder":
        path.mkdir()
    elif kind == "torn":
        Image.effect_noise((64, 64), 50).save(path)
        path.write_bytes(path.read_bytes()[:300])
    elif kind == "text":
        path.write_text("<svg onload=alert(1)>", encoding="utf-8")
    else:
        Image.new("1", (12_000, 12_000)).save(path)


@pytest.mark.parametrize("kind", ["EPS", "GIF", "pipe", "device", "link", "folder", "torn", "text", "huge"])
def test_a_picture_that_is_none_is_left_out_and_said(tmp_path, capsys, kind):
    run = some_run(tmp_path / "a")
    newest = sorted((run.path / "samples").glob("*.png"))[-1]
    make_picture(newest, kind)
    began = time.process_time()
    assert main(["report", str(run.path), "--out", str(tmp_path / "r.html")]) == 0
    assert time.process_time() - began < 5
    err = capsys.readouterr().err
    assert err.startswith("left out: ")
    assert newest.name in err
    assert ("pixels" in err) == (kind == "huge")
    assert newest.name in read(tmp_path / "r.html")


def test_a_folder_of_pictures_elsewhere_is_not_shown(tmp_path):
    secret, run = some_run(tmp_path / "secret"), some_run(tmp_path / "a", pictures=False)
    (run.path / "interpolation").symlink_to(secret.path / "samples")
    assert "data:image" not in read(write_report([run.path], tmp_path / "r.html"))


def test_more_sheets_than_a_run_draws_are_left_out(tmp_path, capsys):
    run = some_run(tmp_path / "a", pictures=False)
    (run.path / "sweep").mkdir()
    for i in range(15):
        Image.new("L", (8, 8)).save(run.path / "sweep" / f"{i:02d}.png")
    page = read(write_report([run.path], tmp_path / "r.html"))
    assert page.count("data:image/png") == 12
    assert "3 more sheets" in capsys.readouterr().err


# ----------------------------------------------------------------------------------------- plain files

HOSTILE = {
    "env": [
        *(3, [], {"data": 3}, {"data": {"name": []}}, {"shape": "x"}, {"shape": [None]}, {"parameters": [1]}),
        *({"parameters": {"g": "many"}}, {"torch": {}}, {"threads": "all"}),
    ],
    "eval": [
        *([], {"modes": {"value": "many"}}, {"modes": {"value": []}}, {"modes": {"value": 1, "n": "2"}}),
        *({"modes": {"value": 1, "extractor": []}}, {"modes": {"value": 1, "floor": {}}}),
        {f"m{i}": {"value": 1} for i in range(600)},
    ],
    "sampling": [0, {"examples_per_second": "fast"}],
    "recipe": [{}, {"recipe": 3, "seed": 0}, {"recipe": {}, "seed": 0}, {"recipe": {"data": {}}, "seed": 0}],
}


@pytest.mark.parametrize(("name", "value"), [(k, v) for k, values in HOSTILE.items() for v in values])
def test_a_wrong_type_is_one_line(tmp_path, capsys, name, value):
    run = some_run(tmp_path / "a", pictures=False)
    files.write_json(run.path / f"{name}.json", value)
    assert main(["report", str(run.path), "--out", str(tmp_path / "r.html")]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert f"{name}.json" in err or "more than 500" in err
    assert not (tmp_path / "r.html").exists()


STATUS = [3, {"state": []}, {"images": "many"}, {"images": -1}, {"images": 10**400}, {"alarms": 5}, {"message": {}}]


@pytest.mark.parametrize("value", [*STATUS, {"alarms": [[]]}, {"seconds": "long"}], ids=lambda v: str(v)[:20])
def test_a_status_of_wrong_types_is_taken_from_the_log(tmp_path, capsys, value):
    schema.note.cache_clear()
    run = some_run(tmp_path / "a", pictures=False)
    files.write_json(run.path / "status.json", value)
    assert main(["report", str(run.path), "--out", str(tmp_path / "r.html")]) == 0
    err = capsys.readouterr().err
    assert "status.json" in err
    assert "taken from the log" in err


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, '{"a":' * 900 + "1" + "}" * 900, '{"a": ' + "9" * 5_000 + "}", "\x00", "\udcff"]
)
@pytest.mark.parametrize("name", ["recipe", "env", "eval"])
def test_what_is_no_json_is_one_line(tmp_path, name, text):
    run = some_run(tmp_path / "a", pictures=False)
    (run.path / f"{name}.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=rf"{name}\.json"):
        write_report([run.path], tmp_path / "r.html")


@pytest.mark.parametrize("name", ["env.json", "eval.json", "metrics.jsonl"])
def test_pipes_and_devices_are_not_waited_for(tmp_path, name):
    for i, make in enumerate((os.mkfifo, lambda path: path.symlink_to("/dev/zero"))):
        run = some_run(tmp_path / f"{i}", pictures=False)
        (run.path / name).unlink()
        make(run.path / name)
        with pytest.raises(UserError, match="no ordinary file"):
            write_report([run.path], tmp_path / "r.html")


def test_numbers_beyond_reason_are_no_numbers(tmp_path):
    run = some_run(tmp_path / "a", pictures=False)
    told = {f"m{i}": {"value": v} for i, v in enumerate((1e307, 1e308, -1e308, 5e-324, True and 1.5))}
    files.write_json(run.path / "eval.json", told)
    run.append({"images": 10_000, "modes": 10**400, "loss": 1e308})
    with (run.path / "metrics.jsonl").open("a", encoding="utf-8") as f:
        f.write('{"images": 20000, "modes": Infinity, "loss": NaN}\n')
    again = make_run(tmp_path / "b", toy_recipe(), 1, values={"m1": 1e308, "m3": 5e-324}, pictures=False)
    page = read(write_report([run.path, again.path], tmp_path / "r.html"))
    json.loads(re.search(r'id="numbers">(.*?)</script>', page, re.S)[1], parse_constant=lambda c: pytest.fail(c))


def test_bad_lines_of_a_log_are_left_out_and_counted(tmp_path):
    run = some_run(tmp_path / "a", pictures=False)
    good = (run.path / "metrics.jsonl").read_bytes()
    bad = b'garbage\n{"images": "x"}\n[1]\n{"images": 3, "modes": {"deep": [1]}}\n'
    (run.path / "metrics.jsonl").write_bytes(good + bad)
    (entry,) = gather([run.path])[0]
    assert entry.bad_lines == 4
    assert len(entry.lines) == len(good.splitlines())
    assert "4 lines of its log" in read(write_report([run.path], tmp_path / "r.html"))


def study_of(tmp_path, *names):
    rows = [{"run": n, "recipe": "r", "seed": i, "state": "done", "message": ""} for i, n in enumerate(names)]
    files.write_json(tmp_path / "study.json", {"name": "s", "about": "", "runs": rows})


def test_a_spoilt_run_of_a_study_is_left_out_and_said(tmp_path, capsys):
    for name in ("a", "b"):
        make_run(tmp_path / name, toy_recipe(f"gan-{name}"), values=VALUES, pictures=False)
    study_of(tmp_path, "a", "b")
    files.write_json(tmp_path / "b" / "eval.json", [])
    page = read(write_report([tmp_path], tmp_path / "r.html"))
    assert "gan-a" in page
    assert "eval.json holds no JSON object" in page
    assert "eval.json holds no JSON object" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../secret", "/etc", "..", "a/b"])
def test_a_study_names_no_folder_outside(tmp_path, name):
    make_run(tmp_path / "secret", toy_recipe("gan-secret"), values=VALUES, pictures=False)
    (tmp_path / "s").mkdir()
    study_of(tmp_path / "s", name)
    with pytest.raises(UserError, match="not in this folder"):
        write_report([tmp_path / "s"], tmp_path / "r.html")


@pytest.mark.parametrize("told", [[], {"runs": []}, {"name": "s", "runs": 3}, {"name": "s", "runs": [{"run": "a"}]}])
def test_a_spoilt_study_is_one_line(tmp_path, told):
    files.write_json(tmp_path / "study.json", told)
    with pytest.raises(UserError, match=r"study\.json"):
        write_report([tmp_path], tmp_path / "r.html")


# -------------------------------------------------------------------------------- what is there already


@pytest.mark.parametrize(("name", "text"), [("results.csv", "mine,too\n1,2\n"), ("results.html", "<p>mine</p>")])
def test_nothing_of_the_persons_is_overwritten(tmp_path, capsys, name, text):
    run = some_run(tmp_path / "a", pictures=False)
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert main(["report", str(run.path), "--out", str(tmp_path / "results.html")]) == 2
    assert "give --out another name" in capsys.readouterr().err
    assert read(tmp_path / name) == text
    assert len(list(tmp_path.glob("results.*"))) == 1


def test_a_report_takes_the_place_of_the_one_before(tmp_path):
    run = some_run(tmp_path / "a", pictures=False)
    for _ in range(2):
        write_report([run.path], tmp_path / "results.html")
    (tmp_path / "results.html").unlink()
    write_report([run.path], tmp_path / "results.html")


@pytest.mark.parametrize("name", ["lines.json", "lines.csv", "lines.png", "report.html"])
def test_parallel_lines_overwrite_nothing_either(tmp_path, name):
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(UserError, match="was not written by triptych"):
        parallel_lines.carry_out(tmp_path, 1, "quick")
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_study_overwrites_no_study_json_of_others(tmp_path, capsys):
    (tmp_path / "study.json").write_text('{"my": "own"}', encoding="utf-8")
    assert main(["study", "toys", "--out", str(tmp_path)]) == 2
    assert "was not written by triptych" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["study.json"]


def test_places_that_cannot_be_written_name_a_way_out(tmp_path):
    run = some_run(tmp_path / "a", pictures=False)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="--out"):
        write_report([run.path], tmp_path / "file" / "r.html")
    with pytest.raises(UserError, match="give --out another name"):
        write_report([run.path], "/proc/triptych/r.html")


FULL = """\
import resource, sys
from triptych.cli import main
assert main(["report", "a", "--out", "r.html"]) == 0
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
sys.exit(main(["report", "a", "--out", "r.html"]))
"""


@pytest.mark.skipif(os.name == "nt", reason="no limits there")
def test_a_full_disk_leaves_the_report_of_before(tmp_path):
    some_run(tmp_path / "a", pictures=False)
    done = subprocess.run([sys.executable, "-c", FULL], cwd=tmp_path, capture_output=True)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: the disk is full")
    assert b"give --out another name" in done.stderr
    assert read(tmp_path / "r.html").endswith("</html>")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "r.csv", "r.html"]


# --------------------------------------------------------------------------------------- names and texts


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1+1", "-2-A1", "@SUM(1)", "\t=1", "\r=1", "=\x1b[2J"])
def test_no_text_is_a_formula(tmp_path, text):
    run = some_run(tmp_path / "a", pictures=False)
    files.write_json(run.path / "eval.json", {text: {"value": -1.5, "note": text}})
    page = write_report([run.path], tmp_path / "r.html")
    (row,) = [r for r in rows_of(page) if r["value"] == "-1.5"]
    assert row["metric"] == row["note"] == csv_files.cell(text)
    assert row["metric"].startswith("'")
    assert not set(page.with_suffix(".csv").read_bytes()) & {0x1B}


def test_a_page_holds_no_control_characters(tmp_path):
    evil = "\x1b[2J\x9b\u202e\x07<b>"
    run = make_run(
        tmp_path / "a",
        toy_recipe(f"gan{evil}"),
        values={f"m{evil}": {"value": 1.0, "note": evil}, "nll": {"value": None, "note": evil}},
        alarms=(evil,),
        pictures=False,
    )
    page = read(write_report([run.path], tmp_path / "r.html"))
    assert not set(page) & set("\x1b\x9b\u202e\x07")
    assert "\\x1b[2J" in page
    assert "<b>" not in page


def test_a_page_loads_nothing(tmp_path):
    page = read(write_report([some_run(tmp_path / "a").path], tmp_path / "r.html"))
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert page.index(policy) < page.index("<style>")


NAMES = [
    b"caf\xe9",
    b"[lr=0.1]",
    b"[/x]",
    b"a b'c\"d",
    b"two\nlines",
    b"\x1b[31m",
    "日本 größe".encode(),
    b"$(touch x)",
]


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
@pytest.mark.parametrize("raw", NAMES)
def test_a_run_of_any_name_is_reported_and_its_command_can_be_pasted(tmp_path, capsys, raw):
    path = tmp_path / os.fsdecode(raw)
    run = make_run(path, toy_recipe(), values=None, state="running", pictures=False)
    out = tmp_path / os.fsdecode(raw + b".html")
    assert main(["report", str(run.path), "--out", str(out)]) == 0
    page = read(out)
    said = capsys.readouterr().out
    assert "\x1b" not in said + page
    word = shell(str(path))
    assert "\n" not in word
    assert word.replace("&", "&amp;").replace('"', "&#34;").replace("'", "&#39;") in page
    echoed = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True).stdout
    assert echoed == os.fsencode(path)
    assert all(row["run"].endswith(str(csv_files.cell(path.name))) for row in rows_of(out))


def test_plain_words_are_quoted_as_ever():
    assert shell("triptych", "resume", "a b", "x'y") == shlex.join(["triptych", "resume", "a b", "x'y"])
