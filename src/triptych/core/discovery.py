"""How files dropped into a package are found: its modules are imported and looked through."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, TypeVar

T = TypeVar("T")


def modules_of(package: str) -> Iterator[ModuleType]:
    """Every module of `triptych.<package>` and the packages below it, imported, in the order of their names."""
    root = importlib.import_module(f"triptych.{package}")
    for info in sorted(pkgutil.walk_packages(root.__path__, f"{root.__name__}."), key=lambda m: m.name):
        yield importlib.import_module(info.name)


def dataclasses_of(package: str) -> Iterator[tuple[str, type]]:
    """Name and class of every dataclass defined in the modules of `triptych.<package>`, module by module."""
    for module in modules_of(package):
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


def handed_on(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package that hands on names of its modules, each imported when first used.

    `homes` maps a public name to the module of the package that defines it.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{homes[name]}"), name)

    return get, lambda: sorted(homes)
