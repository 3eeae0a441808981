"""The one registry: how parts are found, ours and those of plug-ins, and that no two of them have one name.

A part is a final class derived from the base of its kind, or an entry of a mapping that a module holds. Importing the
modules is the whole mechanism; there is no list to edit.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from triptych.core import plugins
from triptych.core.plugins import Plugin
from triptych.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Kind:
    """One kind of part, and where parts of it are found."""

    name: str
    package: str
    """the package or module below `triptych` that holds ours"""
    base: str
    """where the base class is: of the parts themselves, or of the values of `mapping`"""
    mapping: str = ""
    """name of the mapping in a module; empty where each part is a class"""
    spoken: Callable[[Any], str] = lambda part: first_line(part)
    """the line that says what a part is"""
    settings: bool = True
    """whether a part's fields are settings that are written down: then the class is frozen"""

    @property
    def one(self) -> str:
        return f"an {self.name}" if self.name[0] in "aeiou" else f"a {self.name}"

    @property
    def many(self) -> str:
        return "studies" if self.name == "study" else f"{self.name}s"


def first_line(part: Any) -> str:
    """The first paragraph of a docstring, on one line; empty where there is none, as under python -OO."""
    return " ".join(inspect.cleandoc(part.__doc__ or "").split("\n\n")[0].split())


KINDS = (
    Kind("objective", "objectives", "triptych.core.objective.Objective"),
    Kind("network", "models", "triptych.core.model_spec.ModelSpec"),
    Kind("metric", "metrics", "triptych.core.metric.Metric"),
    Kind("source", "data.sources", "triptych.data.source.Source"),
    Kind("data set", "data.sources", "triptych.data.source.Source", "SOURCES", lambda source: source.summary),
    Kind("sink", "run.sinks", "triptych.run.sinks.Sink", settings=False),
    Kind("recipe", "recipes", "triptych.core.recipe.Recipe", "RECIPES", lambda recipe: recipe.about),
    Kind("study", "study.named", "builtins.tuple", "STUDIES", lambda study: first_line(study[0])),
)
"""Another kind is one more line: its parts are found, listed by `triptych parts` and taken from plug-ins."""

TYPED = ("objective", "network")
"""Kinds whose classes a recipe's JSON names by `type`: no two have one name, nor that of one of `OWN_TYPES`."""
OWN_TYPES = ("DataSpec", "Train", "Recipe")


@dataclass(frozen=True)
class Part:
    """A part that was found."""

    kind: Kind
    name: str
    value: Any
    place: str
    """the module, or of a plug-in the file or package"""
    plugin: Plugin | None = None

    @property
    def about(self) -> str:
        """One line."""
        return self.kind.spoken(self.value)


def kind_of(name: str) -> Kind:
    return next(kind for kind in KINDS if kind.name == name)


@functools.cache
def library(name: str) -> ModuleType:
    """Somebody else's package that a part of ours needs, by its name; ImportError where it is not installed."""
    return importlib.import_module(name)


def modules_of(package: str) -> tuple[ModuleType, ...]:
    """`triptych.<package>` itself and every module in it and the packages below it, in the order of their names."""
    root = importlib.import_module(f"triptych.{package}")
    found = sorted(pkgutil.walk_packages(vars(root).get("__path__", []), f"{root.__name__}."), key=lambda m: m.name)
    return (root, *(importlib.import_module(info.name) for info in found))


def places(package: str) -> Iterator[tuple[ModuleType, Plugin | None]]:
    """Every module that may hold parts: ours of the package, then those of the plug-ins."""
    for module in modules_of(package):
        yield module, None
    for plugin in plugins.active():
        for module in plugins.modules_in(plugin.module):
            yield module, plugin


def classes_in(module: ModuleType, kind: Kind, base: type, place: str) -> Iterator[tuple[str, type]]:
    """Name and class of every final dataclass that a module defines and that derives from `base`.

    UserError for a class that is meant to be one and is none: left out in silence, or taken with fields that are no
    settings, it would surprise later.
    """
    for value in vars(module).values():
        if not (inspect.isclass(value) and value.__module__ == module.__name__ and issubclass(value, base)):
            continue
        if value is base or for_others(value):
            continue
        if wrong := unfinished(value, settings=kind.settings):
            raise UserError(f"{kind.one}, {value.__name__} of {place}, {wrong}")
        yield value.__name__, value


def own_dataclass(cls: type) -> bool:
    """Whether a class itself is a dataclass: of one that only inherits from one, its own annotations are no fields."""
    return "__dataclass_fields__" in vars(cls)


def for_others(cls: type) -> bool:
    """Whether a class is a base of parts and no part itself: it declares abstract methods, or is undecorated and others
    derive from it."""
    if inspect.isabstract(cls):
        return bool(cls.__subclasses__()) or any(name in vars(cls) for name in cls.__abstractmethods__)
    return not own_dataclass(cls) and bool(cls.__subclasses__())


def unfinished(cls: type, *, settings: bool = True) -> str:
    """What a class lacks to be a part, and what to do; empty where nothing."""
    decorator = f"@dataclass{'(frozen=True)' if settings else ''}"
    if not own_dataclass(cls):
        return f"is no dataclass, so that its own fields would be none; write {decorator} above it"
    if settings and not getattr(cls, "__dataclass_params__").frozen:  # noqa: B009 - no type checker knows it
        return f"is not frozen, so that a recipe could not rely on its fields; write {decorator} above it"
    if inspect.isabstract(cls):
        return f"has no {' and no '.join(sorted(cls.__abstractmethods__))}; write it"
    return ""


def entries_in(module: ModuleType, kind: Kind, base: type, place: str) -> Iterator[tuple[str, Any]]:
    """The entries of a module's mapping; UserError where it holds anything else than parts of that kind."""
    held = vars(module).get(kind.mapping, {})
    if not isinstance(held, Mapping):
        raise UserError(f"{kind.mapping} of {place} is no mapping; map names to {kind.many}")
    for name, value in held.items():
        if not isinstance(name, str) or not isinstance(value, base):
            what = f"{kind.mapping} of {place} holds {type(value).__name__} under {name!r}"
            raise UserError(f"{what}; map names to {kind.many}")
        yield name, value


def parts(kind: str) -> dict[str, Part]:
    """Every part of a kind by name: ours, then those of plug-ins. UserError, naming both places, for two of a name."""
    check_installed()
    return dict(_of(kind_of(kind), plugins.active()))


@functools.cache
def _of(kind: Kind, active: tuple[Plugin, ...]) -> dict[str, Part]:
    """Those of a kind with these plug-ins at hand: a command asks hundreds of times."""
    return _parts(kind, imported_name(kind.base))


def _parts(kind: Kind, base: type) -> dict[str, Part]:
    found: dict[str, Part] = {}
    for module, plugin in places(kind.package):
        place = module.__name__ if plugin is None else plugin.place
        for name, value in (
            entries_in(module, kind, base, place) if kind.mapping else classes_in(module, kind, base, place)
        ):
            part = Part(kind, name, value, place, plugin)
            if name in found and found[name].value is not value:
                raise two(found[name], part)
            found[name] = part
    return found


def two(a: Part, b: Part) -> UserError:
    who = f"two {a.kind.many} are" if a.kind == b.kind else f"{a.kind.one} and {b.kind.one} are both"
    return UserError(f"{who} named {a.name}: one in {a.place}, one in {b.place}; rename one")


def imported_name(path: str) -> Any:
    """What a dotted path names."""
    module, _, name = path.rpartition(".")
    return vars(importlib.import_module(module))[name]


def discover(package: str, base: type[T]) -> dict[str, type[T]]:
    """Final classes derived from `base`, by class name, sorted: of `triptych.<package>` and of plug-ins.

    UserError for two classes of one name.
    """
    check_installed()
    kind = next((k for k in KINDS if not k.mapping and k.package == package), Kind("class", package, ""))
    return {name: part.value for name, part in sorted(_parts(kind, base).items())}


def recipe_types() -> dict[str, Part]:
    """Every class that a recipe's JSON may name, by name; UserError for two of one name, of whatever kinds."""
    check_installed()
    return _recipe_types(plugins.active())


@functools.cache
def _recipe_types(active: tuple[Plugin, ...]) -> dict[str, Part]:
    own = Kind("part of every recipe", "core.recipe", "")
    found = {
        name: Part(own, name, imported_name(f"triptych.core.recipe.{name}"), "triptych.core.recipe")
        for name in OWN_TYPES
    }
    for kind in TYPED:
        for name, part in _of(kind_of(kind), active).items():
            if name in found:
                raise two(found[name], part)
            found[name] = part
    return found


def check() -> None:
    """UserError for two parts of one name anywhere."""
    active = plugins.active()
    for kind in KINDS:
        _of(kind, active)
    _recipe_types(active)


@functools.cache
def check_installed() -> None:
    """`check`, once, where installed packages bring parts: before any work, whichever kind is asked for first."""
    if plugins.installed():
        check()


def add_plugin(where: str | Path) -> Plugin:
    """Import a module, or a file that ends in .py, and take the parts in it as if they were ours.

    It stays for the rest of the process. UserError where it does not import, or where a part in it has the name of
    another: then nothing is added.
    """
    before = plugins.given()
    plugin = plugins.load(str(where))
    if plugin in before:
        return plugin
    if same := next((other for other in before if other.name == plugin.name), None):
        if same.given == plugin.given:
            raise UserError(f"{plugin.given} was changed since it was loaded; start Python again")
        what = f"two plug-ins are named {plugin.name}: {same.given} and {plugin.given}"
        raise UserError(f"{what}; a run could not tell which it needs: rename one")
    plugins.set_given((*before, plugin))
    try:
        check()
    except BaseException:
        plugins.set_given(before)
        raise
    return plugin


@contextmanager
def plugged(named: list[str]) -> Iterator[None]:
    """These plug-ins inside the block, beside those there are."""
    before = plugins.given()
    try:
        for where in named:
            add_plugin(where)
        yield
    finally:
        plugins.set_given(before)


def modules_inside(package: str) -> list[str]:
    """Public names of the modules and packages that lie directly in an imported package, sorted."""
    found = pkgutil.iter_modules(vars(sys.modules[package]).get("__path__", []))
    return sorted(info.name for info in found if not info.name.startswith("_"))


def handed_on(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package that hands on names of its modules, each imported when first used.

    `homes` maps a public name to the module of the package that defines it. A module of the package is one of its names
    too, as it would be once anybody had imported it.
    """

    def get(name: str) -> Any:
        if name not in homes:
            if name in modules_inside(package):
                return importlib.import_module(f"{package}.{name}")
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{homes[name]}"), name)

    return get, lambda: sorted(homes)
