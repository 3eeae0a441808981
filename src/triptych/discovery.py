"""How files dropped into a package are found: its modules are imported and looked through."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


def dataclasses_of(package: str) -> Iterator[tuple[str, type]]:
    """Name and class of every dataclass defined in the modules of `triptych.<package>`, module by module."""
    root = importlib.import_module(f"triptych.{package}")
    for info in sorted(pkgutil.iter_modules(root.__path__), key=lambda m: m.name):
        module = importlib.import_module(f"{root.__name__}.{info.name}")
        for name, value in vars(module).items():
            if inspect.isclass(value) and dataclasses.is_dataclass(value) and value.__module__ == module.__name__:
                yield name, value


def discover(package: str, base: type[T]) -> dict[str, type[T]]:
    """Final classes derived from `base` in the modules of `triptych.<package>`, by class name, sorted.

    Importing the modules is the whole mechanism; two classes of one name are a programming error.
    """
    found: dict[str, type[T]] = {}
    for name, cls in dataclasses_of(package):
        if not issubclass(cls, base) or inspect.isabstract(cls):
            continue
        if name in found:
            raise TypeError(f"two classes are named {name}: {found[name].__module__} and {cls.__module__}")
        found[name] = cls
    return dict(sorted(found.items()))
