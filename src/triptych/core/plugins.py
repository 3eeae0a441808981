"""Plug-ins: modules with parts that lie outside the package.

A person names one on the command line, a module or a .py file, or installs a package whose metadata name one in the
entry-point group `triptych.parts`. Nothing else is ever imported: neither a run nor a study file can bring code along.
"""

from __future__ import annotations

import ast
import functools
import importlib
import pkgutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from triptych.errors import UserError

GROUP = "triptych.parts"
PREFIX = "triptych_plugin_"
"""How the modules that are made of files are named among Python's modules."""
LARGEST = 4 << 20
"""Bytes of a plug-in's file."""


@dataclass(frozen=True)
class Plugin:
    """A module with parts, and what tells it from another version of itself."""

    name: str
    """the stem of the file, or the module's name"""
    module: ModuleType = field(compare=False, repr=False)
    given: str = ""
    """what another process has to be given to find it: an absolute path or a module; empty where it is installed"""
    alias: str = ""
    """of an installed one: the name of its entry point"""
    package: str = ""
    version: str = ""
    """of the installed package that it belongs to"""
    sha256: str = ""
    """of the file, or of the module's files where no installed package has it"""

    @property
    def label(self) -> str:
        """Its name, and the package that brings it."""
        return f"{self.name} of {self.package} {self.version}" if self.package else self.name

    @property
    def place(self) -> str:
        """Where it lies, for a person."""
        return self.label if self.package else self.given

    def owns(self, module: str) -> bool:
        """Whether a module of that name is the plug-in or lies in it."""
        return module == self.module.__name__ or module.startswith(f"{self.module.__name__}.")

    def record(self) -> dict[str, str]:
        """What a run remembers of it."""
        if self.package:
            return {"name": self.name, "package": self.package, "version": self.version}
        file = {"file": Path(self.given).name} if self.module.__name__.startswith(PREFIX) else {}
        return {"name": self.name, **file, "sha256": self.sha256}


_given: tuple[Plugin, ...] = ()


def given() -> tuple[Plugin, ...]:
    """The plug-ins that were named in this process, in their order."""
    return _given


def set_given(plugins: tuple[Plugin, ...]) -> None:
    """Make these the named ones. The module of a file that is none any more is forgotten."""
    global _given
    for old in _given:
        if old not in plugins and old.module.__name__.startswith(PREFIX):
            sys.modules.pop(old.module.__name__, None)
    _given = plugins


def active() -> tuple[Plugin, ...]:
    """The plug-ins that were named, and those of installed packages; UserError where one of these does not import."""
    named = {p.module.__name__ for p in _given}
    return (*_given, *(p for p in installed() if p.module.__name__ not in named))


def called(name: str) -> Plugin | None:
    """The plug-in of that name: a file's stem, a module, an entry point or the package it belongs to."""
    return next((p for p in active() if name in (p.name, p.alias, p.package) and name), None)


def forgotten(module: str) -> bool:
    """Whether a module was a plug-in's file that is not in use any more."""
    return module.startswith(PREFIX) and module not in sys.modules


@functools.cache
def installed() -> tuple[Plugin, ...]:
    """Those that installed packages name in the group `triptych.parts`; read when parts are first asked for."""
    import importlib.metadata  # here, since --help has no need of it

    found = {}
    for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda e: (e.value, e.name)):
        package, version = (entry.dist.name, entry.dist.version) if entry.dist else ("", "")
        who = f"the plug-in {entry.name} of the installed package {package} {version}"
        if entry.attr:
            raise UserError(f"{who} names {entry.value}, and a plug-in is a module; correct or uninstall the package")
        module = imported(entry.module, who, "mend or uninstall it")
        check_source(module)
        found[entry.module] = Plugin(entry.module, module, "", entry.name, package, version)
    return tuple(found.values())


def load(where: str) -> Plugin:
    """The plug-in at a path that ends in .py, or of a module's name.

    UserError where it is not there, does not import, or gives one name twice.
    """
    path = Path(where).expanduser()
    if where.endswith(".py"):
        return _from_file(path)
    if not where or not all(part.isidentifier() for part in where.split(".")):
        raise UserError(f"{where!r} is no plug-in; give --plugin a .py file or the name of a module")
    import importlib.metadata

    module = imported(where, f"the plug-in {where}", "mend it")
    check_source(module)
    top = where.split(".")[0]
    for package in importlib.metadata.packages_distributions().get(top, ()):
        return Plugin(where, module, where, "", package, importlib.metadata.version(package))
    return Plugin(where, module, where, sha256=_digest(module))


def _from_file(path: Path) -> Plugin:
    import hashlib

    path = path.absolute()
    if not path.is_file():
        raise UserError(f"there is no plug-in {path}; give --plugin a .py file or the name of a module")
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path} has more than {LARGEST:,} bytes; a plug-in is a Python file")
        source = path.read_bytes()
    except OSError as e:
        raise UserError(f"the plug-in {path} cannot be read: {e.strerror}; make it readable") from e
    digest = hashlib.sha256(source).hexdigest()
    name = PREFIX + hashlib.sha256(str(path).encode("utf-8", "surrogateescape") + source).hexdigest()[:12]
    if name not in sys.modules:
        module = ModuleType(name)
        module.__file__ = str(path)
        sys.modules[name] = module
        try:
            # compiled here: Python's own import would leave a folder beside the file
            with _told(f"the plug-in {path}", "mend it", str(path)):
                exec(compile(source, str(path), "exec", dont_inherit=True), vars(module))
            check_names(source, str(path))
        except BaseException:
            del sys.modules[name]
            raise
    return Plugin(path.stem, sys.modules[name], str(path), sha256=digest)


def imported(name: str, who: str, advice: str) -> ModuleType:
    """A module by its name; UserError that tells `who` it was and what to do."""
    with _told(who, advice, "", name):
        return importlib.import_module(name)


class _told:
    """Whatever goes wrong while foreign code is imported, as one line."""

    def __init__(self, who: str, advice: str, file: str, module: str = "") -> None:
        self.who, self.advice, self.file, self.module = who, advice, file, module

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, trace: object) -> None:
        if e is None or not isinstance(e, Exception | SystemExit):
            return
        if isinstance(e, ModuleNotFoundError) and self.module and self.module.split(".")[0] == e.name:
            raise UserError(f"there is no module {self.module}; install it, or give --plugin its .py file") from e
        said = " ".join(str(e).split())[:300]
        line, walk = e.lineno if isinstance(e, SyntaxError) else None, e.__traceback__
        while walk is not None and not isinstance(e, SyntaxError):
            line = walk.tb_lineno if walk.tb_frame.f_code.co_filename == self.file else line
            walk = walk.tb_next
        where = f" at line {line}" if line else ""
        raise UserError(f"{self.who} does not import: {type(e).__name__}{where}: {said}; {self.advice}") from e


def modules_in(module: ModuleType) -> Iterator[ModuleType]:
    """The module, and where it is a package all modules in it, imported, in the order of their names."""
    yield module
    path = vars(module).get("__path__")
    if path is None:
        return
    for info in sorted(pkgutil.walk_packages(path, f"{module.__name__}."), key=lambda m: m.name):
        if not info.name.endswith(".__main__"):
            yield imported(info.name, f"the plug-in {module.__name__}", "mend it")


def check_source(module: ModuleType) -> None:
    """`check_names` for every file of a module."""
    for each in modules_in(module):
        file = vars(each).get("__file__")
        if file and file.endswith(".py"):
            check_names(Path(file).read_bytes(), file)


def check_names(source: bytes, file: str) -> None:
    """UserError where a file has two classes of one name, or a name twice in a mapping: the later would hide the other.

    Once a file is imported the first of the two is gone, so that this has to be read from its text.
    """
    for body in ast.parse(source).body:
        if not isinstance(body, ast.Assign | ast.AnnAssign) or not isinstance(body.value, ast.Dict):
            continue
        keys = [k.value for k in body.value.keys if isinstance(k, ast.Constant)]
        if doubles := sorted({str(k) for k in keys if keys.count(k) > 1}):
            raise UserError(f"two parts of {file} are named {doubles[0]} (line {body.lineno}); rename one")
    seen: dict[str, int] = {}
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.ClassDef):
            if statement.name in seen:
                lines = f"lines {seen[statement.name]} and {statement.lineno}"
                raise UserError(f"two parts of {file} are named {statement.name} ({lines}); rename one")
            seen[statement.name] = statement.lineno


def _digest(module: ModuleType) -> str:
    """One hash over the files of a module that belongs to no installed package."""
    import hashlib

    total = hashlib.sha256()
    for each in modules_in(module):
        if file := vars(each).get("__file__"):
            total.update(each.__name__.encode() + b"\0" + hashlib.sha256(Path(file).read_bytes()).digest())
    return total.hexdigest()
