"""Objectives: one file per family, read side by side. Drop a file with a final dataclass in to add one."""

from triptych.core import Objective, discover


def __getattr__(name: str) -> type[Objective]:
    found = discover("objectives", Objective)
    if name in found:
        return found[name]
    raise AttributeError(f"triptych.objectives has no {name}; there are {', '.join(found)}")


def __dir__() -> list[str]:
    return list(discover("objectives", Objective))
