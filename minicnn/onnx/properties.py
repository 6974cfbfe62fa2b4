"""The classes and the preprocessing in a file's metadata, as `to_onnx` writes them."""

import json
from collections.abc import Mapping
from typing import Any

from ..errors import CheckpointError
from ..weights.safetensors import preprocess_from_json


def classes_in(properties: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the classes; none if the file does not say them."""
    found = _json(properties, "classes")
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        return ()
    return tuple(found)


def preprocess_in(properties: Mapping[str, str]) -> Any:
    """From pixels to the input; None if the file does not say it."""
    found = _json(properties, "preprocessing")
    if not isinstance(found, dict):
        return None
    try:
        return preprocess_from_json(found)
    except (TypeError, ValueError, KeyError) as error:
        raise CheckpointError(f"its preprocessing is damaged: {error}") from None


def _json(properties: Mapping[str, str], key: str) -> Any:
    """The value of an entry, or None; other programs write other things under these names."""
    try:
        return json.loads(properties.get(key, "null"))
    except (ValueError, RecursionError):
        return None
