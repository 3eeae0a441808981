"""Every text file names its encoding: what a system would choose for it is never taken."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(p for top in ("src", "benchmarks", "examples") for p in (ROOT / top).rglob("*.py"))
BINARY = "b"


def mode_of(call: ast.Call, place: int) -> str | None:
    """The mode of an open(), None where it is not written out."""
    given = call.args[place] if len(call.args) > place else None
    given = next((k.value for k in call.keywords if k.arg == "mode"), given)
    if given is None:
        return "r"
    return given.value if isinstance(given, ast.Constant) and isinstance(given.value, str) else None


def unnamed(source: str) -> list[int]:
    """Lines of calls that read or write text in an encoding that they do not name."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        keywords = {k.arg for k in node.keywords}
        if "encoding" in keywords or None in keywords:
            continue
        text = False
        match node.func:
            case ast.Name("open"):
                text = BINARY not in (mode_of(node, 1) or BINARY)
            case ast.Attribute(ast.Name("os"), "fdopen"):
                text = BINARY not in (mode_of(node, 1) or BINARY)
            case ast.Attribute(ast.Name("os" | "tarfile" | "gzip" | "zipfile" | "Image" | "image"), "open"):
                pass
            case ast.Attribute(_, "open"):
                text = BINARY not in (mode_of(node, 0) or BINARY)
            case ast.Attribute(ast.Name("files"), "read_text" | "write_text"):  # UTF-8 by themselves
                pass
            case ast.Attribute(_, "read_text"):
                text = len(node.args) < 1
            case ast.Attribute(_, "write_text"):
                text = len(node.args) < 2
            case ast.Attribute(ast.Name("subprocess"), "run" | "Popen" | "check_output"):
                text = "text" in keywords or "universal_newlines" in keywords
            case ast.Attribute(ast.Name("tempfile"), "NamedTemporaryFile" | "TemporaryFile"):
                text = "mode" in keywords and BINARY not in (mode_of(node, 0) or BINARY)
        if text:
            found.append(node.lineno)
    return found


@pytest.mark.parametrize(
    "source",
    [
        *(
            "open('x')",
            "open('x', 'w')",
            "Path('x').open('a')",
            "p.open(mode='r')",
            "p.read_text()",
            "p.write_text('x')",
        ),
        *("os.fdopen(3, 'w')", "subprocess.run(['x'], text=True)", "tempfile.NamedTemporaryFile(mode='w')"),
    ],
)
def test_calls_that_leave_it_to_the_system_are_found(source):
    assert unnamed(source) == [1]


@pytest.mark.parametrize(
    "source",
    [
        *("open('x', 'rb')", "p.open('r+b')", "p.read_text('utf-8')", "p.write_text('x', encoding='utf-8')"),
        *("subprocess.run(['x'], text=True, encoding='utf-8')", "p.read_bytes()", "tarfile.open(p)"),
        "files.read_text(p)",
    ],
)
def test_calls_that_name_it_pass(source):
    assert unnamed(source) == []


@pytest.mark.skipif(not (ROOT / "src").exists(), reason="the source tree is not here: an installed package is tested")
def test_every_text_file_is_opened_with_its_encoding():
    assert len(FILES) > 100
    assert {str(p.relative_to(ROOT)): lines for p in FILES if (lines := unnamed(p.read_text(encoding="utf-8")))} == {}
