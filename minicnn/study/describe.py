"""Counts and table columns of each kind of layer."""

from functools import singledispatch

from ..kernels.geometry import window
from ..kernels.types import Shape
from ..layers import (
    RBF,
    Activation,
    Add,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Function,
    GroupNorm,
    Layer,
    LayerNorm,
    Linear,
    LocalResponseNorm,
    PadShortcut,
    PReLU,
    Resample2d,
    Slice,
    Softmax,
    Subsample2d,
    Upsample,
)
from ..layers.layer import short
from ..layers.pool import AdaptivePool2d, Pool2d


@singledispatch
def macs(layer: Layer, output: Shape) -> int:
    """Multiply-accumulates for one image; convolutions and linear layers count.

    output: the shape of the layer's output, with the batch.
    """
    return 0


@macs.register
def _(layer: Conv2d, output: Shape) -> int:
    return output[1] * output[2] * layer.weight.trainable


@macs.register
def _(layer: ConvTranspose2d, output: Shape) -> int:
    """Every pixel of the input is multiplied by all weights of its channel."""
    size = layer.kernel_size, layer.stride, layer.padding, layer.dilation
    height, width = window(output[1:3], *size).output
    return height * width * layer.weight.trainable


@macs.register
def _(layer: Linear, output: Shape) -> int:
    return layer.in_features * layer.out_features


@macs.register
def _(layer: RBF, output: Shape) -> int:
    return layer.codes.size


@singledispatch
def connections(layer: Layer, output: Shape) -> int:
    """LeCun's count for one image: multiply-accumulates plus one per biased output unit."""
    return 0


@connections.register
def _(layer: Conv2d, output: Shape) -> int:
    biases = layer.out_channels if layer.bias else 0
    return output[1] * output[2] * (layer.weight.trainable + biases)


@connections.register
def _(layer: ConvTranspose2d, output: Shape) -> int:
    biases = layer.out_channels if layer.bias else 0
    return macs(layer, output) + output[1] * output[2] * biases


@connections.register
def _(layer: Linear, output: Shape) -> int:
    return macs(layer, output) + (layer.out_features if layer.bias else 0)


@connections.register
def _(layer: RBF, output: Shape) -> int:
    return layer.codes.size


@connections.register
def _(layer: Subsample2d, output: Shape) -> int:
    return output[1] * output[2] * output[3] * (layer.size * layer.size + 1)


@singledispatch
def columns(layer: Layer) -> dict[str, str]:
    """Columns for a layer's row: any of kernel, stride, padding, activation, note."""
    return {}


@columns.register
def _(layer: Conv2d) -> dict[str, str]:
    note = _groups_and_dilation(layer)
    note += ["partial connections"] if layer.connections is not None else []
    return {
        "kernel": "x".join(map(str, layer.kernel_size)),
        "stride": short(layer.stride),
        "padding": short(layer.padding),
        "activation": layer.activation or "",
        "note": ", ".join(note),
    }


@columns.register
def _(layer: ConvTranspose2d) -> dict[str, str]:
    added = layer.output_padding
    note = _groups_and_dilation(layer)
    note += [f"output padding {short(added)}"] if any(added) else []
    return {
        "kernel": "x".join(map(str, layer.kernel_size)),
        "stride": short(layer.stride),
        "padding": short(layer.padding),
        "note": ", ".join(note),
    }


def _groups_and_dilation(layer: Conv2d | ConvTranspose2d) -> list[str]:
    note = [f"groups {layer.groups}"] if layer.groups > 1 else []
    return note + ([f"dilation {short(layer.dilation)}"] if layer.dilation != (1, 1) else [])


@columns.register
def _(layer: AdaptivePool2d) -> dict[str, str]:
    return {"note": f"to {'x'.join(map(str, layer.output_size))}"}


@columns.register
def _(layer: Upsample) -> dict[str, str]:
    return {"note": f"{layer.mode}, {_enlargement(layer)}"}


@columns.register
def _(layer: Resample2d) -> dict[str, str]:
    sides = ("rows", layer.rows), ("columns", layer.columns)
    return {"note": ", ".join(f"{len(m)} {name}" for name, m in sides if m is not None)}


@columns.register
def _(layer: Function) -> dict[str, str]:
    return {"note": layer.name if layer.exponent is None else f"x^{layer.exponent:g}"}


def _enlargement(layer: Upsample) -> str:
    if layer.scale is None:
        return f"to {'x'.join(map(str, layer.size or ()))}"
    return f"scale {'x'.join(f'{s:g}' for s in layer.scale)}"


@columns.register
def _(layer: Pool2d) -> dict[str, str]:
    return {
        "kernel": "x".join(map(str, layer.kernel_size)),
        "stride": short(layer.stride),
        "padding": short(layer.padding),
        "note": "ceil" if layer.ceil_mode else "",
    }


@columns.register
def _(layer: Subsample2d) -> dict[str, str]:
    return {
        "kernel": f"{layer.size}x{layer.size}",
        "stride": str(layer.size),
        "padding": "0",
        "activation": layer.activation or "",
        "note": "trainable",
    }


@columns.register
def _(layer: Linear) -> dict[str, str]:
    return {"activation": layer.activation or ""}


@columns.register
def _(layer: Add) -> dict[str, str]:
    return {"activation": layer.activation or ""}


@columns.register
def _(layer: Activation) -> dict[str, str]:
    return {"activation": layer.text}


@columns.register
def _(layer: PReLU) -> dict[str, str]:
    return {"activation": "prelu", "note": "" if layer.channels > 1 else "one slope"}


@columns.register
def _(layer: Softmax) -> dict[str, str]:
    return {"activation": "softmax"}


@columns.register
def _(layer: GroupNorm) -> dict[str, str]:
    return {"note": f"{layer.groups} groups eps={layer.eps:g}"}


@columns.register
def _(layer: LayerNorm) -> dict[str, str]:
    return {"note": f"eps={layer.eps:g}"}


@columns.register
def _(layer: BatchNorm2d) -> dict[str, str]:
    return {"activation": layer.activation or "", "note": f"eps={layer.eps:g}"}


@columns.register
def _(layer: LocalResponseNorm) -> dict[str, str]:
    alpha = f"{layer.alpha:g}{'/n' * layer.alpha_div_n}"
    n = f"{layer.size}x{layer.size}" if layer.within_channel else layer.size
    return {"note": f"n={n} alpha={alpha} beta={layer.beta:g} k={layer.k:g}"}


@columns.register
def _(layer: Dropout) -> dict[str, str]:
    return {"note": f"p={layer.p:g}"}


@columns.register
def _(layer: RBF) -> dict[str, str]:
    return {"note": f"{layer.codes.size} fixed weights"}


@columns.register
def _(layer: PadShortcut) -> dict[str, str]:
    added = layer.out_channels - layer.in_channels
    return {"stride": str(layer.stride), "note": f"zeros for {added} channels"}


@columns.register
def _(layer: Slice) -> dict[str, str]:
    return {"note": f"channels {layer.start} to {layer.stop - 1}"}
