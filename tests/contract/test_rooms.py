"""Rules of the rooms that import-linter has no words for."""

from __future__ import annotations

import ast
from pathlib import Path

import triptych

ROOT = Path(triptych.__file__).parent
FINDERS = ("core/discovery.py", "core/plugins.py")
"""What finds parts; every package's own `__init__` hands names on besides."""
DYNAMIC = {"importlib", "import_module", "__import__"}


def dynamic_imports(text: str) -> list[int]:
    """Lines of a module that import, or get, what imports modules by their names."""
    found = []
    for node in ast.walk(ast.parse(text)):
        named: set[str] = set()
        if isinstance(node, ast.Import):
            named = {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module in ("importlib", "importlib.util"):
            named = {a.name for a in node.names} - {"metadata", "resources"} and {"importlib"}
        elif isinstance(node, ast.Attribute):
            named = {node.attr} - {"importlib"}
        elif isinstance(node, ast.Name):
            named = {node.id} - {"importlib"}
        if named & DYNAMIC:
            found.append(node.lineno)
    return found


def test_modules_are_imported_by_their_names_where_parts_are_found_alone() -> None:
    """Whatever else did that would be an arrow between rooms that no contract sees."""
    seen = {
        str(p.relative_to(ROOT).as_posix()): lines
        for p in ROOT.rglob("*.py")
        if (lines := dynamic_imports(p.read_text(encoding="utf-8")))
    }
    assert set(FINDERS) <= seen.keys(), "the test sees them"
    assert not {p: lines for p, lines in seen.items() if p not in FINDERS and not p.endswith("__init__.py")}


def test_the_rule_can_fail() -> None:
    for text in (
        "import importlib",
        "from importlib import import_module",
        "def f(x):\n    return x.import_module('os')",
        "__import__('os')",
    ):
        assert dynamic_imports(text), text
    assert not dynamic_imports("from importlib import resources\nimport importlib.metadata\nimport os")
