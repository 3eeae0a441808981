"""`triptych completion`: what a shell offers when Tab is pressed.

The script that is printed holds the words themselves, so that a shell asks no program: commands, their options, named
recipes, data sets, objectives, networks and trackers as they are when it is made.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from triptych.cli.commands import Command

Shell = Literal["bash", "zsh", "fish"]


def script(shell: Shell, commands: Mapping[str, Command]) -> str:
    """What `triptych completion SHELL` prints."""
    return SCRIPTS[shell](words(commands)).rstrip("\n")


@dataclass(frozen=True)
class Words:
    """What may stand where."""

    commands: Mapping[str, str]
    """commands and what each does"""
    options: Mapping[str, tuple[str, ...]]
    """options by command"""
    first: Mapping[str, tuple[str, ...]]
    """what stands behind a command, where that is no path: recipes, studies, a word of `data`"""
    values: Mapping[str, tuple[str, ...]]
    """what stands behind an option"""


def words(commands: Mapping[str, Command]) -> Words:
    """As they are here, plug-ins that are installed included."""
    from triptych.cli.options import preparation
    from triptych.core import DataSpec, Train
    from triptych.core.discovery import parts

    options = {name: of_function(c.function) if c.function else () for name, c in commands.items()}
    fields = {f"--train.{f.name}" for f in dataclasses.fields(Train)}
    for kind, section in (("objective", "objective"), ("network", "model")):
        for part in parts(kind).values():
            fields |= {f"--{section}.{f.name}" for f in dataclasses.fields(part.value)}
    own = {"--seed", "--out", "--device", "--track", "--save-recipe", "--minutes", "--objective", "--model", "--like"}
    prepared = {f"--{f.name}" for f in dataclasses.fields(preparation(DataSpec("")))}
    options["train"] = dashed(own | prepared | fields)
    data_sets = tuple(sorted(parts("data set")))
    trackers = tuple(sorted(n.lower() for n, p in parts("sink").items() if not p.value.essential))
    return Words(
        {name: " ".join(command.about.split()) for name, command in commands.items()},
        options,
        {
            "train": tuple(sorted(parts("recipe"))),
            "tune": tuple(sorted(parts("recipe"))),
            "study": tuple(sorted(parts("study"))),
            "data": ("list", "info", "prepare", "merge"),
            "zoo": ("list", "add"),
            "completion": get_args(Shell),
        },
        {
            "--data": data_sets,
            "--real": data_sets,
            "--fake": data_sets,
            "--objective": tuple(sorted(parts("objective"))),
            "--model": tuple(sorted(parts("network"))),
            "--track": trackers,
            "--to": trackers,
            "--device": ("auto", "cpu", "cuda", "mps"),
            "--which": ("last", "best"),
        },
    )


def of_function(function: Callable[..., Any]) -> tuple[str, ...]:
    """The options that the annotations of a command's function make; a dataclass gives those of its fields."""
    found: set[str] = set()
    for name, hint in get_type_hints(function, include_extras=True).items():
        if name == "return" or "Positional" in str(hint):
            continue
        kinds = [hint, *get_args(hint)] if get_origin(hint) is Annotated else [hint]
        held = next((k for k in kinds if inspect.isclass(k) and dataclasses.is_dataclass(k)), None)
        if held is not None:
            found |= {f"--{f.name}" for f in dataclasses.fields(held)}
            continue
        renamed = [c.name for c in getattr(hint, "__metadata__", ()) if getattr(c, "name", None)]
        found.add(f"--{renamed[0] if renamed else name}")
    return dashed(found)


def dashed(names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(name.replace("_", "-") for name in names | {"--help", "--plugin", "--debug"}))


def bash(w: Words) -> str:
    cases = "\n".join(f"    {name}) options='{' '.join(found)}' ;;" for name, found in w.options.items())
    first = "\n".join(f"    {name}) first='{' '.join(found)}' ;;" for name, found in w.first.items())
    values = "\n".join(f"    {name}) values='{' '.join(found)}' ;;" for name, found in w.values.items())
    return f"""# bash completion of triptych, made by `triptych completion bash`
_triptych() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" options='' first='' values=''
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W '{" ".join(w.commands)}' -- "$word"))
    return
  fi
  case "$before" in
{values}
  esac
  case "${{COMP_WORDS[1]}}" in
{cases}
  esac
  case "${{COMP_WORDS[1]}}" in
{first}
  esac
  if [[ -n $values ]]; then
    COMPREPLY=($(compgen -W "$values" -- "$word"))
  elif [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$word"))
  elif [[ $COMP_CWORD -eq 2 && -n $first ]]; then
    COMPREPLY=($(compgen -W "$first" -- "$word"))
  fi
}}
complete -o bashdefault -o default -F _triptych triptych
"""


def zsh(w: Words) -> str:
    def listed(found: tuple[str, ...]) -> str:
        return " ".join(found)

    commands = "\n".join(f"    '{name}:{quoted(about)}'" for name, about in w.commands.items())
    cases = "\n".join(f"    {name}) options=({listed(found)}) ;;" for name, found in w.options.items())
    first = "\n".join(f"    {name}) first=({listed(found)}) ;;" for name, found in w.first.items())
    values = "\n".join(f"    {name}) values=({listed(found)}) ;;" for name, found in w.values.items())
    return f"""#compdef triptych
# zsh completion of triptych, made by `triptych completion zsh`
_triptych() {{
  local -a commands options first values
  commands=(
{commands}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case "${{words[CURRENT-1]}}" in
{values}
  esac
  case "${{words[2]}}" in
{cases}
  esac
  case "${{words[2]}}" in
{first}
  esac
  if (( ${{#values}} )); then
    compadd -- $values
    _files
  elif [[ "${{words[CURRENT]}}" == -* ]]; then
    compadd -- $options
  elif (( CURRENT == 3 && ${{#first}} )); then
    compadd -- $first
    _files
  else
    _files
  fi
}}
if [[ "${{funcstack[1]}}" == _triptych ]]; then
  _triptych "$@"
else
  compdef _triptych triptych
fi
"""


def fish(w: Words) -> str:
    lines = ["# fish completion of triptych, made by `triptych completion fish`"]
    for name, about in w.commands.items():
        lines.append(f"complete -c triptych -n __fish_use_subcommand -f -a {name} -d '{quoted(about)}'")
    for name, found in w.first.items():
        where = f"'__fish_seen_subcommand_from {name}'"
        lines.append(f"complete -c triptych -n {where} -a '{' '.join(found)}'")
    for name, found in w.options.items():
        where = f"'__fish_seen_subcommand_from {name}'"
        for option in found:
            values = w.values.get(option)
            behind = f" -x -a '{' '.join(values)}'" if values else ""
            lines.append(f"complete -c triptych -n {where} -l {option.removeprefix('--')}{behind}")
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """A description inside single quotes, and without what they cannot hold."""
    return re.sub(r"[`'\[\]:\\]", "", text)[:80]


SCRIPTS: Mapping[str, Callable[[Words], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
