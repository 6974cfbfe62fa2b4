"""safetensors files: tensors by name and a few lines of text; nothing in them is executed.

A model's file holds its `state_dict()`. A training checkpoint also holds the optimizer's tensors,
under `optimizer/`, and the state of the run in the metadata. minicnn adds a SHA-256 of all of it
to find damaged files. Files of other programs have none, and can be read, too.
"""

import hashlib
import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from .. import registry
from ..data.mean_image import MeanImage
from ..data.transforms import Preprocess
from ..device import to_host
from ..errors import CheckpointError, DataError, brief
from ..files import replacing
from ..layers import Graph, Layer, Network
from ..layers.init import skip_init
from .checks import check_weights
from .description import build, describe
from .torch_pickle import numbers
from .torch_state import has_torch_layout, load_torch

DIGEST = "minicnn.sha256"
MODEL = "minicnn.model"
KINDS = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "bfloat16",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}
OWN = "a function of one's own"
# How files of other programs are read.
TORCH = "models.create(NAME, weights=PATH), or --weights PATH, for a file of torch"
OTHERS = (
    dict.fromkeys((".pth", ".pt", ".th", ".ckpt", ".bin"), TORCH)
    | dict.fromkeys((".onnx", ".caffemodel"), "`minicnn convert` for this type of file")
    | dict.fromkeys((".npy", ".npz"), "`numpy.load` for arrays of NumPy")
)
OPTIMIZER = "optimizer/"  # prefix of the tensors that do not belong to the model

# Options of networks that have been renamed, so that older files can still be read.
RENAMED_OPTIONS = {"both_sides": "pad_both_ends"}

AnyPath = str | PathLike[str]


def is_safetensors(path: AnyPath) -> bool:
    """True for a file that begins as safetensors do, or is called so and is not torch's."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            first = file.read(9)
    except OSError:
        first = b""
    called = path.suffix == ".safetensors" and not first.startswith((b"PK", b"\x80\x02"))
    return called or first[8:] == b"{"


def checked_path(path: AnyPath) -> Path:
    """The path of a file. Raises ValueError for something else."""
    if isinstance(path, (str, PathLike)):
        return Path(path)
    raise ValueError(f"expected the path of a file of weights, not {type(path).__name__}")


def write(path: AnyPath, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file; `path` is at any time the old file or the complete new one.

    Raises CheckpointError if it cannot be written.
    """
    tensors = {name: np.ascontiguousarray(to_host(array)) for name, array in tensors.items()}
    metadata = {**metadata, DIGEST: _digest(tensors, metadata)}
    data = safetensors.numpy.save(tensors, metadata)
    try:
        with replacing(path) as file:
            file.write(data)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror}") from None


def read(path: AnyPath) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors and the metadata of a safetensors file.

    Raises CheckpointError if it is missing, damaged, or not a safetensors file.
    """
    path = checked_path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        tensors = _tensors(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        metadata = header.get("__metadata__", {})
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except Exception as error:  # the library's own errors, and NumPy's for an impossible header
        hint = f"; expected {OTHERS[path.suffix]}" if path.suffix in OTHERS else ""
        raise CheckpointError(
            f"{path}: it is not a safetensors file, or damaged ({error}){hint}"
        ) from None
    ours = any(name.startswith("minicnn.") for name in metadata)
    if ours and metadata.get(DIGEST) != _digest(tensors, metadata):
        raise CheckpointError(
            f"{path}: it is damaged: its contents do not have the checksum written with them"
        )
    return tensors, metadata


def read_header(path: AnyPath) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """The shapes of the tensors and the metadata of a safetensors file, without its numbers.

    Raises CheckpointError if it is missing or not a safetensors file.
    """
    if Path(path).is_dir():
        raise CheckpointError(f"{path}: cannot be read: Is a directory")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            return shapes, file.metadata() or {}
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from None
    except safetensors.SafetensorError as error:
        raise CheckpointError(
            f"{path}: it is not a safetensors file, or damaged ({error})"
        ) from None


def _tensors(data: bytes) -> dict[str, np.ndarray]:
    """The tensors in the contents of a file; bfloat16 becomes float32."""
    tensors = {}
    for name, about in safetensors.deserialize(data):
        kind = about["dtype"]
        if kind not in KINDS:
            raise CheckpointError(f"{name} has the type {kind}, which is not read")
        array = numbers(bytes(about["data"]), KINDS[kind])
        tensors[name] = array.reshape(about["shape"])
    return tensors


def save(model: Layer, path: AnyPath) -> None:
    """Write the model's weights, and its name and options if `models.create` made it.

    Raises CheckpointError if a weight is not finite or the file cannot be written; ValueError for
    something else than a model.
    """
    if not isinstance(model, Layer):
        raise ValueError(f"save: {brief(model)} is no model: expected save(model, path)")
    path = checked_path(path)
    state = {name: to_host(array) for name, array in model.state_dict().items()}
    try:
        check_weights(state, state)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: not written: {error}") from None
    write(path, state, model_metadata(model))


def load_state(path: AnyPath) -> dict[str, np.ndarray]:
    """The weights in a file by name, as `model.load_state_dict` takes them.

    Raises CheckpointError if the file is missing or damaged.
    """
    return model_tensors(read(path)[0])


def load(path: AnyPath, model: Layer | None = None, name: str | None = None) -> Layer:
    """The model in a file written by `save` or by training, in evaluation mode.

    model: a network to load into; needed for networks that are not registered by name.
    name: the registered network to make, in place of the one that the file names.
    Files from elsewhere have torch's names and layouts, which are converted.
    Raises CheckpointError if the file is damaged, names no known model, or does not fit.
    """
    if model is not None and not isinstance(model, Layer):
        raise ValueError(f"load: model={brief(model)}: expected a network; name=... takes its name")
    tensors, metadata = read(path)
    found: dict[str, Any] = {}
    if model is None:
        most = sum(array.size for array in tensors.values())
        model = _make_model(path, metadata, name, most)
    elif isinstance(model, Network) and MODEL in metadata:
        found = described(path, metadata)
    state = model_tensors(tensors)
    try:
        put_into(model, state, is_torchs(model, state, metadata))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    vars(model).update(found)
    return model.eval()


def put_into(model: Layer, state: Mapping[str, np.ndarray], in_torchs_layout: bool) -> None:
    """Copy weights into the model. Raises CheckpointError if they do not fit."""
    if in_torchs_layout:
        load_torch(model, state)
    else:
        check_weights(state, model.state_dict())
        model.load_state_dict(state)


def is_torchs(model: Layer, state: Mapping[str, Any], metadata: Mapping[str, str]) -> bool:
    """Whether a file's weights are in torch's layout. Raises CheckpointError if it cannot be told.

    minicnn's own files have its metadata, torch's say `format: pt`; of others the shapes decide.
    """
    if any(name.startswith("minicnn.") for name in metadata):
        return False
    found = True if metadata.get("format") == "pt" else has_torch_layout(model, state)
    if found is None:
        raise CheckpointError(
            "its matrices are square, and it does not say in whose layout they are: save it with "
            'the metadata {"format": "pt"} if they are torch\'s, or with minicnn.save'
        )
    return found


def model_metadata(model: Layer) -> dict[str, str]:
    """The metadata that describes the model: name, options, classes, and how it was trained.

    Of a `Graph` also its layers. Empty for another network that `models.create` did not make.
    """
    graph = describe(model) if isinstance(model, Graph) else None
    if not isinstance(model, Network) or not (model.name or graph):
        return {}
    about = {
        "name": model.name,
        "options": model.options,
        "classes": model.classes,
        "recipe": _recipe_name(model),
        "preprocess": preprocess_to_json(model.preprocess),
        "trained_on": model.trained_on,
    }
    if graph:
        about |= {"graph": graph, "input_shape": model.input_shape}
    return {MODEL: json.dumps(about)}


def _recipe_name(model: Network) -> str | None:
    known = model.name in registry.names()
    return registry.entry(str(model.name)).recipe_name(model.recipe) if known else None


def preprocess_to_json(preprocess: Any) -> Any:
    """A Preprocess as JSON takes it; a callable of one's own is only noted."""
    if isinstance(preprocess, Preprocess):
        mean = preprocess.mean
        return {**vars(preprocess), "mean": mean.to_json() if isinstance(mean, MeanImage) else mean}
    return None if preprocess is None else OWN


def preprocess_from_json(found: Any) -> Any:
    """The inverse. What was only noted raises DataError when it is called."""
    if not isinstance(found, dict):
        return None if found is None else _unknown_preprocess
    arguments: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in found.items()
    }
    if isinstance(arguments.get("mean"), dict):
        arguments["mean"] = MeanImage.from_json(arguments["mean"])
    return Preprocess(**arguments)


def described(path: AnyPath, metadata: Mapping[str, str]) -> dict[str, Any]:
    """The classes, preprocess and trained_on of the network in a file, from its metadata.

    Raises CheckpointError if these are damaged.
    """
    try:
        about = json.loads(metadata.get(MODEL, "{}"))
        return {
            "classes": tuple(about.get("classes", ())),
            "preprocess": preprocess_from_json(about.get("preprocess")),
            "trained_on": about.get("trained_on", ""),
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{path}: its metadata are damaged: {error}") from None


def _unknown_preprocess(images: Any) -> Any:
    raise DataError(
        "the network was trained with a preprocess function of its own, which its file does not "
        "hold: pass it as preprocess=..."
    )


def current_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options in an older file, under the names that they have now."""
    return {RENAMED_OPTIONS.get(name, name): value for name, value in options.items()}


def graph_in(path: AnyPath, metadata: Mapping[str, str], most: int) -> Graph | None:
    """The graph that a file describes, with weights still to be loaded; None if it has none.

    most: the number of numbers in the file. Raises CheckpointError if the description is damaged.
    """
    try:
        about = json.loads(metadata.get(MODEL, "{}"))
        if not about.get("graph"):
            return None
        graph = build(about["graph"], most)
        graph.name = about.get("name")
        graph.input_shape = tuple(map(int, about.get("input_shape", ())))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path}: its model cannot be made: {error}") from None
    vars(graph).update(described(path, metadata))
    return graph


def name_in(path: AnyPath, metadata: Mapping[str, str]) -> str:
    """The name of the network in a file. Raises CheckpointError if the file does not say it."""
    try:
        return str(json.loads(metadata[MODEL])["name"])
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(f"{path}: it does not say which model it belongs to") from None


def _make_model(path: AnyPath, metadata: Mapping[str, str], name: str | None, most: int) -> Layer:
    """The network that the metadata describes, with weights still to be loaded."""
    graph = graph_in(path, metadata, most) if name is None else None
    if graph is not None:
        return graph
    if MODEL not in metadata and name is None:
        raise CheckpointError(
            f"{path}: it does not say which model it belongs to; "
            "make the model and pass it: load(path, model)"
        )
    try:
        about = json.loads(metadata.get(MODEL, "{}"))
        name, recipe = name or about["name"], about.get("recipe") or "default"
        if is_own(name) and name not in registry.names():
            raise CheckpointError(
                f"{path}: its network is {name}, a function in a file of your own, which is "
                f"executed only if you name it: --model {name}, or load(path, model) in Python"
            )
        recipe = recipe if recipe in registry.entry(name).recipes else "default"
        options = current_options(about.get("options", {}))
        with skip_init():
            model = registry.create(name, recipe=recipe, **options)
        vars(model).update(described(path, metadata))
    except CheckpointError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{path}: its model cannot be made: {error}") from None
    return model


def is_own(name: str) -> bool:
    """True for the name of a function in a file of one's own: `FILE.py:FUNCTION`."""
    return ".py:" in name


def model_tensors(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors of a file without those of the optimizer."""
    return {name: array for name, array in tensors.items() if not name.startswith(OPTIMIZER)}


def _digest(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tensors[name].shape}\n".encode())
        digest.update(np.ascontiguousarray(tensors[name]).data)
    digest.update(json.dumps({k: v for k, v in sorted(metadata.items()) if k != DIGEST}).encode())
    return digest.hexdigest()
