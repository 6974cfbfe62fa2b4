"""A Caffe network as its files describe it: layers in the new format, filtered as for testing."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..errors import CheckpointError, brief
from ..kernels.types import Shape
from .message import Message, read_binary
from .schema import MESSAGES
from .text import read_text

# What a trained network does not need, by `CaffeLayer.key`.
DATA = ("data", "imagedata", "hdf5data", "memorydata", "windowdata", "dummydata", "annotateddata")
LOSSES = (
    "softmaxwithloss",
    "softmaxloss",
    "euclideanloss",
    "hingeloss",
    "infogainloss",
    "multinomiallogisticloss",
    "sigmoidcrossentropyloss",
    "contrastiveloss",
)
MOST_AXES = 8
IGNORED = (*DATA, "input", *LOSSES, "accuracy", "silence", "hdf5output")


@dataclass(frozen=True)
class Weights:
    """An array of weights whose shape is known before it is needed."""

    shape: Shape
    array: Callable[[], np.ndarray]


@dataclass
class CaffeLayer:
    """One layer: its name, its type, the names of the arrays it reads and writes, its weights.

    message: a LayerParameter, or a V1LayerParameter. blobs: the weights, in Caffe's layout.
    """

    name: str
    type: str
    bottoms: list[str]
    tops: list[str]
    message: Message
    blobs: list[Weights] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The type in a spelling that both formats share: SOFTMAX_LOSS is softmaxloss."""
        return self.type.replace("_", "").lower()

    @property
    def label(self) -> str:
        """The layer in messages."""
        return f"layer {self.name!r} ({self.type})"

    def parameters(self, name: str) -> Message:
        """Its message `name`, such as "convolution_param"; an empty one if it has none.

        Raises CheckpointError if it has a field that is not known, which might change its meaning.
        """
        kind = MESSAGES["LayerParameter"][name].type
        found = None
        if name in MESSAGES[self.message.kind]:
            found = self.message.get(name)
        if found is not None and found.unknown:
            raise CheckpointError(
                f"{self.label}: its {name} has the field {found.unknown[0]}, which is not known"
            )
        return found or Message(kind)


@dataclass
class Net:
    """The layers of a network in the order of computation.

    inputs: the shapes (N, C, H, W) of its inputs by name; empty if the file does not give them.
    transform: how pixels become the input, a TransformationParameter; None if it is not told.
    channels: "bgr" or "rgb", the order of three channels.
    """

    name: str
    layers: list[CaffeLayer]
    inputs: dict[str, Shape]
    transform: Message | None
    described_in_binary: bool
    channels: str = "bgr"


def read_net(caffemodel: Path, prototxt: Path | None) -> Net:
    """The network in a file of weights, as the prototxt describes it or else as the file itself.

    Raises CheckpointError, which names the file, if one cannot be read, or is damaged.
    """
    contents = _contents(caffemodel)
    try:
        message = read_binary(contents, "NetParameter")
        trained = _layers(message)
        if not trained:
            raise CheckpointError("it holds no layers of Caffe")
    except CheckpointError as error:
        raise CheckpointError(f"{caffemodel}: not a Caffe network, or damaged: {error}") from None
    if prototxt is None:
        return _net(caffemodel, message, trained, described_in_binary=True)
    contents = _contents(prototxt)
    try:
        message = read_text(contents.decode("utf-8-sig", "replace"), "NetParameter")
        if message.unknown_messages:
            raise CheckpointError(
                f"it has the field {message.unknown_messages[0]}, which is not known"
            )
        layers = _layers(message)
        if not layers:
            raise CheckpointError("it describes no layers")
    except CheckpointError as error:
        raise CheckpointError(f"{prototxt}: {error}") from None
    weights = {layer.name: layer.blobs for layer in trained if layer.blobs}
    layers = [replace(layer, blobs=weights.get(layer.name, [])) for layer in layers]
    return _net(prototxt, message, layers, described_in_binary=False)


def _check_names(layers: list[CaffeLayer]) -> None:
    """Raise CheckpointError if two layers of one name have weights: Caffe fills the first."""
    count = Counter(layer.name for layer in layers if layer.blobs)
    for name, found in count.items():
        if found > 1:
            raise CheckpointError(f"{found} layers with weights are called {name!r}; expected one")


def _contents(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None


def _layers(message: Message) -> list[CaffeLayer]:
    """The layers in either format. Raises CheckpointError for the oldest format."""
    if any("layer" in layer for layer in message.all("layers")):
        raise CheckpointError(
            "it is in Caffe's format V0, of 2013, which is not read: convert it with Caffe's "
            "upgrade_net_proto_binary or upgrade_net_proto_text"
        )
    if "layer" in message and "layers" in message:
        raise CheckpointError("it has layers in two formats, `layer` and `layers`; expected one")
    found = message.all("layer") or message.all("layers")
    return [_layer(layer, number) for number, layer in enumerate(found)]


def _layer(message: Message, number: int) -> CaffeLayer:
    name, type_ = message.get("name", f"layer{number}"), message.get("type", "")
    if not type_:
        raise CheckpointError(f"layer {name!r} has no type")
    blobs = [_weights(blob, f"layer {name!r}") for blob in message.all("blobs")]
    return CaffeLayer(name, type_, message.all("bottom"), message.all("top"), message, blobs)


def _weights(blob: Message, label: str) -> Weights:
    array = blob_array(blob, label)
    return Weights(array.shape, lambda: array)


def blob_array(blob: Message, label: str) -> np.ndarray:
    """The array in a BlobProto, of 4 axes in old files. Raises CheckpointError if it is damaged."""
    values = blob.numbers("double_data" if "double_data" in blob else "data")
    if "shape" in blob:
        shape = tuple(blob.get("shape").all("dim"))
    else:
        shape = tuple(blob.get(name, 0) for name in ("num", "channels", "height", "width"))
    if len(shape) > MOST_AXES or min(shape, default=1) < 0 or math.prod(shape) != values.size:
        raise CheckpointError(
            f"{label}: its array of shape {shape[:MOST_AXES]} has {values.size} numbers"
        )
    return values.astype(np.float32, copy=False).reshape(shape)


def _net(path: Path, message: Message, layers: list[CaffeLayer], described_in_binary: bool) -> Net:
    """The network, with the layers that Caffe has when it tests.

    A trained network was written as it trained: its rules say TRAIN, and are fulfilled.
    """
    sources = [layer for layer in layers if layer.key in DATA or "transform_param" in layer.message]
    tested = [layer for layer in layers if described_in_binary or _is_tested(layer.message)]
    transforms = [t for t in map(_transform, [*(s for s in sources if s in tested), *sources]) if t]
    try:
        _check_names(tested)
        inputs = _inputs(message, tested)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    name, transform = message.get("name", ""), next(iter(transforms), None)
    told = [name, transform.get("mean_file", "") if transform else "", *map(_source, sources)]
    channels = default_channels(" ".join(told))
    return Net(name, tested, inputs, transform, described_in_binary, channels)


def default_channels(told: str) -> str:
    """The order of three channels in networks of Caffe that say this about their data.

    Caffe's tools read images with OpenCV, as BGR, but convert_cifar_data leaves CIFAR's as RGB.
    """
    return "rgb" if "cifar" in told.lower() else "bgr"


def check_channels(channels: str) -> None:
    """Raise ValueError unless it is an order of channels."""
    if channels not in ("bgr", "rgb"):
        raise ValueError(f"channels={brief(channels)}: expected 'bgr' or 'rgb'")


def _source(layer: CaffeLayer) -> str:
    """The path of the data that a layer reads."""
    names = ("data_param", "image_data_param")
    found = [layer.message.get(name) for name in names if name in layer.message]
    return str(found[0].get("source", "")) if found else ""


def _is_tested(layer: Message) -> bool:
    """Whether Caffe has the layer in its phase TEST, at level 0 and without stages."""
    if "include" in layer:
        return any(map(_is_met, layer.all("include")))
    return not any(map(_is_met, layer.all("exclude")))


def _is_met(rule: Message) -> bool:
    return (
        rule.get("phase", "TEST") == "TEST"
        and rule.get("min_level", 0) <= 0 <= rule.get("max_level", 0)
        and "stage" not in rule
    )


def _transform(layer: CaffeLayer) -> Message | None:
    """Its transform_param; old files have the same fields in the parameters of a data layer."""
    if "transform_param" in layer.message:
        found: Message = layer.message.get("transform_param")
        return found
    for name in ("data_param", "image_data_param"):
        old = layer.message.get(name)
        made = Message("TransformationParameter")
        for key in ("scale", "mean_file", "crop_size"):
            if old is not None and key in old:
                made.add(key, old.get(key))
        if made.values:
            return made
    return None


def _inputs(message: Message, layers: list[CaffeLayer]) -> dict[str, Shape]:
    """The inputs and their shapes (N, C, H, W), empty where the file does not give one."""
    names, dims = message.all("input"), message.all("input_dim")
    shapes = [tuple(shape.all("dim")) for shape in message.all("input_shape")]
    if len(dims) % 4:
        raise CheckpointError(f"it has {len(dims)} values of input_dim; expected 4 per input")
    if dims and shapes:
        raise CheckpointError("it has input_dim and also input_shape; expected one of them")
    shapes = shapes or [tuple(dims[i : i + 4]) for i in range(0, len(dims), 4)]
    inputs = {name: shapes[i] if i < len(shapes) else () for i, name in enumerate(names)}
    for layer in layers:
        if layer.key == "input":
            found = [tuple(s.all("dim")) for s in layer.parameters("input_param").all("shape")]
            found = found * len(layer.tops) if len(found) == 1 else found
            if found and len(found) != len(layer.tops):
                raise CheckpointError(
                    f"{layer.label} has {len(found)} shapes for {len(layer.tops)} arrays"
                )
            inputs |= {top: found[i] if found else () for i, top in enumerate(layer.tops)}
        elif layer.key in DATA and layer.tops:
            inputs[layer.tops[0]] = _data_shape(layer)
    for name, shape in inputs.items():
        if shape and (len(shape) not in (2, 4) or min(shape) < 1):
            raise CheckpointError(
                f"its input {name!r} has the shape {shape}; expected (N, C, H, W)"
            )
    return inputs


def _data_shape(layer: CaffeLayer) -> Shape:
    """(1, C, H, W) of what a data layer reads; only MemoryData gives it."""
    if layer.key != "memorydata":
        return ()
    memory = layer.parameters("memory_data_param")
    return (1, *(memory.get(name, 0) for name in ("channels", "height", "width")))
