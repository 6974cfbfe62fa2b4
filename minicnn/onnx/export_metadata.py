"""What an exported file says about its network, as text: the facts that the graph does not have."""

import json
from typing import Any

from ..data.transforms import Preprocess
from ..kernels.types import Shape
from ..layers import Layer, metadata
from ..training.metrics import classes_of, preprocess_of
from ..weights.safetensors import preprocess_to_json

FORMULA = "(pixel / 255 - mean) / std"


def properties(model: Layer, shape: Shape, pixels: bool) -> dict[str, str]:
    """The `metadata_props` of the file; what is not known is left out.

    shape: (H, W, C) of the network's input. pixels: the graph normalizes its input itself.
    """
    from ..study.summary import summarize

    about, counts, preprocess = metadata(model), summarize(model, shape), preprocess_of(model)
    if isinstance(preprocess, Preprocess):
        preprocess = preprocess.for_input(shape)
        entry = "pixels, 0 to 255" if pixels else f"normalized: {FORMULA}"
    else:
        entry = ""
    classes = list(classes_of(model))
    found: dict[str, Any] = {
        "network": about.name or type(model).__name__,
        "options": _json(about.options),
        "parameters": str(counts.parameters),
        "macs": str(counts.macs),
        "input": entry,
        "preprocessing": _json(preprocess_to_json(preprocess)),
        "classes": _json(classes),
        "trained_on": about.trained_on,
    }
    return {key: text for key, text in found.items() if text}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str) if value else ""
