"""safetensors files: tensors by name plus a little text, and nothing that could be executed.

A model's file holds its `state_dict()`; a training checkpoint holds the same tensors, the optimizer's beside them under `optimizer/`, and
the state of the run in the metadata. minicnn adds a SHA-256 over all of it, so that a damaged file is noticed; files from elsewhere,
which have none, are read as well.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import safetensors.numpy

from .. import registry
from ..device import to_host
from ..errors import CheckpointError
from ..layers import Layer
from ..layers.init import skip_init

DIGEST = "minicnn.sha256"
MODEL = "minicnn.model"
OPTIMIZER = "optimizer/"  # the prefix of what does not belong to the model


def write(path, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Write a file such that, whatever happens, `path` is either the old file or the whole new one."""
    path = Path(path)
    tensors = {name: np.ascontiguousarray(to_host(array)) for name, array in tensors.items()}
    metadata = {**metadata, DIGEST: _digest(tensors, metadata)}
    data = safetensors.numpy.save(tensors, metadata)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    _sync_folder(path.parent)


def read(path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors and the metadata of a safetensors file.

    Raises CheckpointError if it is missing, damaged, or not a safetensors file.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        tensors = safetensors.numpy.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        metadata = header.get("__metadata__", {})
    except (
        Exception
    ) as error:  # the library's own errors, and what NumPy says of an impossible header
        raise CheckpointError(
            f"{path}: it is not a safetensors file, or damaged ({error})"
        ) from None
    if any(name.startswith("minicnn.") for name in metadata) and metadata.get(DIGEST) != _digest(
        tensors, metadata
    ):
        raise CheckpointError(
            f"{path}: it is damaged: its contents do not have the checksum that was written with them"
        )
    return tensors, metadata


def save(model: Layer, path) -> None:
    """Write the model's weights to a safetensors file, with its name and options if it was made by `models.create`.

    Raises CheckpointError if the file cannot be written.
    """
    try:
        write(path, model.state_dict(), model_metadata(model))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror}") from None


def load_state(path) -> dict[str, np.ndarray]:
    """The weights in a file, by name: what `model.load_state_dict` takes. Raises CheckpointError."""
    return {name: array for name, array in read(path)[0].items() if not name.startswith(OPTIMIZER)}


def load(path, model: Layer | None = None) -> Layer:
    """The model in a file written by `save` or by training, ready for use (in evaluation mode).

    A network of your own is not known by name: make it first and pass it as `model`.
    Raises CheckpointError if the file is damaged, names no known model, or does not fit.
    """
    tensors, metadata = read(path)
    if model is None:
        if MODEL not in metadata:
            raise CheckpointError(
                f"{path}: it does not say which model it belongs to; make the model and pass it: load(path, model)"
            )
        try:
            made = json.loads(metadata[MODEL])
            with skip_init():
                model = registry.create(made["name"], **made["options"])
            model.classes = tuple(made["classes"])  # type: ignore[attr-defined]
        except (ValueError, TypeError, KeyError) as error:
            raise CheckpointError(f"{path}: its model cannot be made: {error}") from None
    try:
        model.load_state_dict(
            {name: array for name, array in tensors.items() if not name.startswith(OPTIMIZER)}
        )
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    return model.eval()


def model_metadata(model: Layer) -> dict[str, str]:
    """What a file says about its model: name, options and classes, if it was made by `models.create`."""
    name = getattr(model, "name", None)
    if not name:
        return {}
    return {MODEL: json.dumps({"name": name, "options": model.options, "classes": model.classes})}


def _digest(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tensors[name].shape}\n".encode())
        digest.update(np.ascontiguousarray(tensors[name]).data)
    digest.update(json.dumps({k: v for k, v in sorted(metadata.items()) if k != DIGEST}).encode())
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself survive a power cut, where the system can."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
