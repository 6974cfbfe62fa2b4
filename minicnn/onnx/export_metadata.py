"""What an exported file says about its network, as text: the facts that the graph does not have."""

import json
from dataclasses import replace
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
    entry = ""
    if isinstance(preprocess, Preprocess):
        preprocess = preprocess.for_input(shape)
        entry = f"normalized: {FORMULA}"
    if pixels:
        preprocess, entry = _up_to_pixels(preprocess), "pixels, 0 to 255"
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


def _up_to_pixels(preprocess: Preprocess) -> Preprocess:
    """What is left to be done for a graph that normalizes: its formula gives the pixels."""
    return replace(
        preprocess,
        size=preprocess.decode.size,
        image_size=None,
        crop=False,
        mean=0.0,
        std=1 / 255,
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str) if value else ""
