"""What the box of a layer says: its kind, which has a color, and a few words."""

from functools import singledispatch

from ...layers import (
    RBF,
    Activation,
    AdaptiveMaxPool2d,
    Add,
    AvgPool2d,
    BatchNorm2d,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    GroupNorm,
    Layer,
    LayerNorm,
    Linear,
    LocalResponseNorm,
    Maximum,
    MaxPool2d,
    Multiply,
    PadShortcut,
    PReLU,
    Slice,
    Softmax,
    Subsample2d,
    Upsample,
)
from ...layers.layer import short
from ...layers.pool import AdaptivePool2d, Pool2d

CONV, POOL, NORM, LINEAR, OTHER = "convolution", "pooling", "norm", "fully connected", "other"
ADD, CONCAT = "add", "concat"  # how the paths of a block are joined; or a word for another way
KINDS: tuple[tuple[str, tuple[type[Layer], ...]], ...] = (
    (CONV, (Conv2d, ConvTranspose2d)),
    (POOL, (Pool2d, AdaptivePool2d, GlobalAvgPool2d, GlobalMaxPool2d, Subsample2d)),
    (NORM, (BatchNorm2d, GroupNorm, LayerNorm, LocalResponseNorm)),
    (LINEAR, (Linear, RBF)),
)


def kind_of(layer: Layer) -> str:
    """The kind, which has a color."""
    return next((kind for kind, types in KINDS if isinstance(layer, types)), OTHER)


@singledispatch
def text_of(layer: Layer) -> str:
    """A layer in a few words; its class if it is not one of ours."""
    return type(layer).__name__


def _window(layer: Conv2d | ConvTranspose2d | Pool2d) -> str:
    return "x".join(map(str, layer.kernel_size))


def _stride(layer: Conv2d | ConvTranspose2d | Pool2d) -> str:
    return f", /{short(layer.stride)}" if layer.stride != (1, 1) else ""


def activation_suffix(activation: str | None) -> str:
    """The end of a text that names the activation, if there is one."""
    return f", {activation}" if activation else ""


@text_of.register
def _(layer: Conv2d) -> str:
    groups = f", {layer.groups} groups" if layer.groups > 1 else ""
    text = f"{_window(layer)} conv, {layer.out_channels}{_stride(layer)}{groups}"
    return text + activation_suffix(layer.activation)


@text_of.register
def _(layer: ConvTranspose2d) -> str:
    groups = f", {layer.groups} groups" if layer.groups > 1 else ""
    stride = f", x{short(layer.stride)}" if layer.stride != (1, 1) else ""
    return f"{_window(layer)} transposed conv, {layer.out_channels}{stride}{groups}"


@text_of.register
def _(layer: MaxPool2d) -> str:
    return f"{_window(layer)} max pool{_stride(layer)}"


@text_of.register
def _(layer: AvgPool2d) -> str:
    return f"{_window(layer)} avg pool{_stride(layer)}"


@text_of.register
def _(layer: AdaptivePool2d) -> str:
    kind = "max" if isinstance(layer, AdaptiveMaxPool2d) else "avg"
    return f"{kind} pool to {'x'.join(map(str, layer.output_size))}"


@text_of.register
def _(layer: GlobalAvgPool2d) -> str:
    return "global avg pool"


@text_of.register
def _(layer: GlobalMaxPool2d) -> str:
    return "global max pool"


@text_of.register
def _(layer: Upsample) -> str:
    if layer.scale is None:
        return f"{layer.mode} to {'x'.join(map(str, layer.size or ()))}"
    return f"{layer.mode} upsampling, x{short(layer.scale)}"


@text_of.register
def _(layer: Subsample2d) -> str:
    return f"{layer.size}x{layer.size} trained pool{activation_suffix(layer.activation)}"


@text_of.register
def _(layer: Linear) -> str:
    return f"fc, {layer.out_features}{activation_suffix(layer.activation)}"


@text_of.register
def _(layer: RBF) -> str:
    return f"RBF, {len(layer.codes)}"


@text_of.register
def _(layer: BatchNorm2d) -> str:
    return f"batch norm{activation_suffix(layer.activation)}"


@text_of.register
def _(layer: LocalResponseNorm) -> str:
    return f"LRN over {layer.size}{f'x{layer.size} pixels' if layer.within_channel else ''}"


@text_of.register
def _(layer: Dropout) -> str:
    return f"dropout {layer.p:g}"


@text_of.register
def _(layer: Activation) -> str:
    return layer.text or "identity"


@text_of.register
def _(layer: PReLU) -> str:
    return "PReLU" if layer.channels > 1 else "PReLU, one slope"


@text_of.register
def _(layer: Softmax) -> str:
    return "softmax"


@text_of.register
def _(layer: GroupNorm) -> str:
    return f"group norm, {layer.groups} groups"


@text_of.register
def _(layer: LayerNorm) -> str:
    return "layer norm"


@text_of.register
def _(layer: Flatten) -> str:
    return "flatten"


@text_of.register
def _(layer: PadShortcut) -> str:
    return f"pad with zeros, /{layer.stride}"


@text_of.register
def _(layer: Add) -> str:
    return f"{ADD}{activation_suffix(layer.activation)}"


@text_of.register
def _(layer: Concatenate) -> str:
    return CONCAT


@text_of.register
def _(layer: Multiply | Maximum) -> str:
    return type(layer).__name__.lower()


@text_of.register
def _(layer: Slice) -> str:
    return f"channels {layer.start} to {layer.stop - 1}"
