"""YAML that people write: read within limits, every mistake with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from triptych.errors import UserError, nearest
from triptych.system import files

LARGEST = 1 << 20
"""Bytes of a file."""
DEEPEST, NODES, LONGEST = 20, 100_000, 3_000
"""Levels of a file, its values once every alias stands for what it names, and characters of one value."""


class Reader:
    """Nodes of a YAML file to values, errors with their line."""

    def __init__(self, file: str) -> None:
        self.file = file

    def root(self, path: Path, what: str) -> yaml.Node | None:
        """The file's one value, still as nodes, within the limits; None for an empty file."""
        try:
            root = yaml.compose(files.read_text(path, LARGEST))
        except yaml.MarkedYAMLError as e:
            where = f" line {e.problem_mark.line + 1}" if e.problem_mark else ""
            raise UserError(f"{path.name}{where}: {e.problem or e}; correct the YAML") from e
        except yaml.YAMLError as e:
            raise UserError(f"{path.name}: {e}; correct the YAML") from e
        except RecursionError as e:
            raise UserError(f"{path.name} is nested too deeply for {what}; write it flat") from e
        if root is not None:
            self.measure(root, {}, what)
        return root

    def wrong(self, node: Any, text: str) -> UserError:
        line = node.start_mark.line + 1 if node is not None else 1
        return UserError(f"{self.file} line {line}: {text}")

    def measure(self, node: yaml.Node, known: dict[int, int], what: str, level: int = 0) -> int:
        """How many values a node holds once every alias stands for what it names; UserError beyond the limits."""
        if known.get(id(node), 0) < 0:
            raise self.wrong(node, "this value holds itself; write it out")
        if id(node) in known:
            return known[id(node)]
        if level > DEEPEST:
            raise self.wrong(node, f"this is nested more than {DEEPEST} levels deep; {what} is flat")
        known[id(node)], total = -1, 1
        if isinstance(node, yaml.ScalarNode):
            if len(node.value) > LONGEST:
                raise self.wrong(node, f"this value has {len(node.value):,} characters; at most {LONGEST:,} are read")
        else:
            for child in node.value:
                for part in child if isinstance(child, tuple) else (child,):
                    total += self.measure(part, known, what, level + 1)
        if total > NODES:
            raise self.wrong(node, f"the aliases below stand for more than {NODES:,} values; write fewer")
        known[id(node)] = total
        return total

    def value(self, node: Any) -> Any:
        loader = yaml.SafeLoader("")
        try:
            return loader.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError, OverflowError, TypeError) as e:  # 2024-99-99, 1e9999 digits, [] as a key
            raise self.wrong(node, f"{e}; correct the YAML") from e
        finally:
            loader.dispose()

    def mapping(self, node: Any, what: str, known: tuple[str, ...] = ()) -> dict[str, Any]:
        if not isinstance(node, yaml.MappingNode):
            raise self.wrong(node, f"{what} is written as `key: value` lines; this is something else")
        found: dict[str, Any] = {}
        for key_node, value in node.value:
            key = str(self.value(key_node))
            if known and key not in known:
                listed = f"known: {', '.join(known)}"
                raise self.wrong(key_node, f"{key!r} is unknown here; {nearest(key, known, listed)}")
            if key in found:
                raise self.wrong(key_node, f"{key!r} is given twice; remove one")
            found[key] = value
        return found
