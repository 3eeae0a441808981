"""The weights of a run that was given away without its checkpoints, as in the zoo or on a hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from triptych.errors import UserError
from triptych.run import checkpoint
from triptych.system import files
from triptych.system.tensor_files import unpack

PUBLISHED = "model.safetensors"
"""What `Run.load` puts into the model of such a run."""
LEFT_OUT = "left_out"
"""In the header of that file: players that are not in it."""


def read_weights(file: Path, like: Mapping[str, Tensor], images: int) -> dict[str, Tensor]:
    """The weights in `file`, in single precision, for a model whose own are `like`; players may be missing as a whole.

    UserError where the file is damaged or does not fit; `images` is how far the run was trained, for the message.
    """
    from safetensors import SafetensorError

    try:
        state, told = unpack(files.read_bytes(file, file.stat().st_size))
    except (SafetensorError, ValueError) as e:
        raise UserError(f"{file} is damaged ({e}); get it again") from e
    gone = told.get(LEFT_OUT, "").split()
    wanted = {k: v for k, v in like.items() if k.split(".")[0] not in gone}
    # what was stored in half precision
    state = {k: v.float() if v.dtype == torch.float16 else v for k, v in state.items()}
    checkpoint.check_fit(state, wanted, images, "the model of recipe.json")
    return state


def left_out(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    """Players of which there are weights in `wanted` and none in `state`."""
    return sorted({k.split(".")[0] for k in wanted} - {k.split(".")[0] for k in state})
