"""Networks, and the three families that bind them to capabilities.

Drop a file with a final dataclass derived from `ModelSpec` in to add one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from triptych.core.discovery import handed_on

if TYPE_CHECKING:
    from triptych.models.families import AEModel as AEModel
    from triptych.models.families import Autoencoder as Autoencoder
    from triptych.models.families import FlowModel as FlowModel
    from triptych.models.families import GANModel as GANModel
    from triptych.models.families import VAEModel as VAEModel

__all__ = ["AEModel", "Autoencoder", "FlowModel", "GANModel", "VAEModel"]

__getattr__, __dir__ = handed_on(
    __name__,
    {
        "AEModel": "families",
        "Autoencoder": "families",
        "FlowModel": "families",
        "GANModel": "families",
        "VAEModel": "families",
    },
)
