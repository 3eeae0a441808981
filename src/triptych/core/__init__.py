"""The nouns and their contracts: data, models, objectives, moves, recipes, metrics, values. No files, no network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triptych.core.discovery import handed_on

if TYPE_CHECKING:
    from triptych.core.codec import decode as decode
    from triptych.core.codec import encode as encode
    from triptych.core.data import Data as Data
    from triptych.core.data import Distribution as Distribution
    from triptych.core.data import Shape as Shape
    from triptych.core.data import Split as Split
    from triptych.core.discovery import discover as discover
    from triptych.core.features import Extractor as Extractor
    from triptych.core.features import Space as Space
    from triptych.core.metric import Comparison as Comparison
    from triptych.core.metric import Metric as Metric
    from triptych.core.metric import Value as Value
    from triptych.core.model import Conditional as Conditional
    from triptych.core.model import Density as Density
    from triptych.core.model import Encoder as Encoder
    from triptych.core.model import Latent as Latent
    from triptych.core.model import Model as Model
    from triptych.core.model import Sampler as Sampler
    from triptych.core.model_spec import ModelSpec as ModelSpec
    from triptych.core.objective import Clock as Clock
    from triptych.core.objective import Move as Move
    from triptych.core.objective import Objective as Objective
    from triptych.core.quantity import Quantity as Quantity
    from triptych.core.quantity import Undefined as Undefined
    from triptych.core.recipe import DataSpec as DataSpec
    from triptych.core.recipe import Recipe as Recipe
    from triptych.core.recipe import Train as Train
    from triptych.core.scaling import to_bytes as to_bytes
    from triptych.core.scaling import to_inner as to_inner
    from triptych.core.scaling import to_public as to_public

__all__ = [
    "Clock",
    "Comparison",
    "Conditional",
    "Data",
    "DataSpec",
    "Density",
    "Encoder",
    "Extractor",
    "Latent",
    "Distribution",
    "Metric",
    "Model",
    "ModelSpec",
    "Move",
    "Objective",
    "Quantity",
    "Recipe",
    "Sampler",
    "Shape",
    "Space",
    "Split",
    "Train",
    "Undefined",
    "Value",
    "decode",
    "discover",
    "encode",
    "to_bytes",
    "to_inner",
    "to_public",
]

__getattr__, __dir__ = handed_on(
    __name__,
    {
        "Clock": "objective",
        "Comparison": "metric",
        "Conditional": "model",
        "Data": "data",
        "DataSpec": "recipe",
        "Density": "model",
        "Encoder": "model",
        "Extractor": "features",
        "Latent": "model",
        "Distribution": "data",
        "Metric": "metric",
        "Model": "model",
        "ModelSpec": "model_spec",
        "Move": "objective",
        "Objective": "objective",
        "Quantity": "quantity",
        "Recipe": "recipe",
        "Sampler": "model",
        "Shape": "data",
        "Space": "features",
        "Split": "data",
        "Train": "recipe",
        "Undefined": "quantity",
        "Value": "metric",
        "decode": "codec",
        "discover": "discovery",
        "encode": "codec",
        "to_bytes": "scaling",
        "to_inner": "scaling",
        "to_public": "scaling",
    },
)
