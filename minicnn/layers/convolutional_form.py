"""`fully_convolutional`: a classifier that reads images of any size, at every position at once.

A fully connected layer on a map of kH x kW x C is a convolution with a kernel of that size; a
fully connected layer after it is a convolution with a 1x1 kernel; a mean over the whole map is a
pooling with a window of its size. On a larger image they give one prediction per position, as if
the network had been applied to every window (Sermanet et al. 2013, section 3.5; Simonyan &
Zisserman 2014, section 3.2).
"""

from typing import Any

from ..errors import ShapeError
from ..kernels.types import Shape
from .activation import Activation, PReLU, Softmax
from .checks import inside
from .conv import Conv2d
from .dropout import Dropout
from .init import skip_init
from .layer import Layer
from .linear import Linear
from .network import Network, metadata
from .norm import LayerNorm
from .parameter import Parameter
from .pool import (
    AdaptiveMaxPool2d,
    AdaptivePool2d,
    AvgPool2d,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    MaxPool2d,
)
from .resample import Upsample
from .sequential import Sequential
from .shape import Flatten, Identity

ANY_SHAPE = (Activation, Dropout, Identity, LayerNorm, PReLU, Softmax)
CONVERTED = (AdaptivePool2d, Flatten, GlobalAvgPool2d, GlobalMaxPool2d, Linear)


def fully_convolutional(model: Sequential) -> Sequential:
    """The network with convolutions in place of its fully connected layers.

    `(N, H, W, C)` -> `(N, h, w, classes)`: the scores of the network for every window of its own
    input size, in steps of its total stride. Images of that size have one.

    | the network has               | the form has                                       |
    |-------------------------------|----------------------------------------------------|
    | `Flatten` and `Linear`        | `Conv2d`, its kernel as large as the map           |
    | `Linear` after another one    | `Conv2d` with a 1x1 kernel                         |
    | `GlobalAvgPool2d`             | `AvgPool2d`, its window as large as the map, stride 1 |
    | `AdaptiveAvgPool2d`           | nothing where it is the identity, else `AvgPool2d` |
    | `GlobalMaxPool2d`, `AdaptiveMaxPool2d` | the same with `MaxPool2d`                 |

    "As large" refers to the map for an image of the model's `input_shape`.

    The scores equal those of the network on every window if no layer pads. A layer that pads has
    zeros around a window that was cut out, and the neighborhood of the window here; group norm has
    the mean of the window there, and of the image here: then only the scores for an image of the
    network's own size are equal.

    The form shares the layers and the memory of the weights: training one trains both. `to` and
    `astype` give the model memory of its own, so call them first.
    Auxiliary classifiers are left out, as in evaluation.
    Raises ValueError for a model without `input_shape`, or a layer that has no such form.
    """
    shape = metadata(model).input_shape
    if not shape:
        raise ValueError(
            f"fully_convolutional: {type(model).__name__} has no input_shape; "
            "expected a network that says which (H, W, C) it reads"
        )
    layers, _ = _converted(model, (1, *shape), None)
    if not isinstance(model, Network):
        form = Sequential(**layers, input_shape=shape)
    else:
        form = Network(**layers, input_shape=shape)
        for name in ("recipe", "loss", "classes", "preprocess", "trained_on"):
            setattr(form, name, getattr(model, name))
    form.training = model.training
    return form


def _converted(
    model: Sequential, shape: Shape, kernel: Shape | None
) -> tuple[dict[str, Any], Shape | None]:
    """The layers of the form.

    kernel: the (kH, kW, C) of a map that was flattened and not read yet; (1, 1, C) for vectors;
        None for images. Returned for what follows.
    """
    layers: dict[str, Any] = {}
    for name, layer in model._layers.items():
        with inside(name):
            after = layer.output_shape(shape)
        is_same = not any(map(_depends_on_size, (inner for _, inner in layer.named_layers())))
        if is_same and (isinstance(layer, ANY_SHAPE) or (kernel is None and len(after) == 4)):
            layers[name] = layer
        elif isinstance(layer, Sequential):
            inner, kernel = _converted(layer, shape, kernel)
            layers |= {name: Sequential(**inner)} if inner else {}
        elif isinstance(layer, Flatten):
            kernel = shape[1:] if len(shape) == 4 else kernel
        elif isinstance(layer, Linear) and kernel is not None:
            layers[name], kernel = _as_convolution(layer, kernel), (1, 1, layer.out_features)
        elif isinstance(layer, GlobalAvgPool2d):
            layers[name], kernel = AvgPool2d(shape[1:3], stride=1), (1, 1, shape[3])
        elif isinstance(layer, GlobalMaxPool2d):
            layers[name], kernel = MaxPool2d(shape[1:3], stride=1), (1, 1, shape[3])
        elif isinstance(layer, AdaptivePool2d):
            pool = _as_pool(name, layer, shape)
            layers |= {name: pool} if pool else {}
        else:
            raise ValueError(
                f"fully_convolutional: {name} is {layer!r}, which turns {shape} into {after}; "
                "expected convolutions, poolings, Flatten and Linear"
            )
        shape = after
    return layers, kernel


def _depends_on_size(layer: Layer) -> bool:
    """True for a layer whose form is another one: its output does not grow with its input."""
    return isinstance(layer, CONVERTED) or (isinstance(layer, Upsample) and layer.size is not None)


def _as_convolution(layer: Linear, kernel: Shape) -> Conv2d:
    """The layer as a convolution, whose weights are the same memory.

    `Flatten` and the weights of a convolution both count row, column, channel.
    """
    *size, channels = kernel
    with skip_init():
        conv = Conv2d(
            channels, layer.out_features, tuple(size), bias=False, activation=layer.activation
        )
    weight = layer.weight
    conv.weight = Parameter(
        weight.value.reshape(*kernel, layer.out_features), weight.fan_in, weight.fan_out
    )
    conv.bias = layer.bias
    return conv


def _as_pool(name: str, layer: AdaptivePool2d, shape: Shape) -> Layer | None:
    """The pooling whose windows are those of the adaptive one; None for the identity."""
    size, output = shape[1:3], layer.output_size
    if size == output:
        return None
    if any(n % m for n, m in zip(size, output, strict=True)):
        raise ShapeError(
            f"fully_convolutional: {name} makes a map of {output[0]}x{output[1]} of one of "
            f"{size[0]}x{size[1]}; expected a multiple of its size"
        )
    window = size[0] // output[0], size[1] // output[1]
    pool = MaxPool2d if isinstance(layer, AdaptiveMaxPool2d) else AvgPool2d
    return pool(window, stride=window)
