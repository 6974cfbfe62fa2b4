"""Gradients at the input image: saliency, guided backpropagation, the deconvnet."""

from typing import Any

import numpy as np

from ...device import array_device, to_device, to_host
from ...errors import brief
from ...kernels.types import Array
from ...layers import Layer
from .rewriting import Change, deconvolved, guided, rewritten, tapped
from .target import (
    Class,
    Unit,
    as_batch,
    class_indices,
    probabilities,
    score_sign,
    unbatched,
    unit_places,
)


def saliency(
    model: Layer,
    x: Any,
    class_: Class = None,
    *,
    layer: str | None = None,
    unit: Unit | None = None,
) -> np.ndarray:
    """How much each pixel changes the score of a class: `M[i, j] = max_c |dS/dx[i, j, c]|`.

    S is the score of the class before the softmax.

    x: a preprocessed image `(H, W, C)`, or a batch `(N, H, W, C)`.
    class_: a name or a position, one for all images or one per image; by default the most probable
        class of each image.
    layer, unit: in place of a class, a unit inside the network: see `deconvnet`.
    Returns `(H, W)`, or `(N, H, W)` for a batch. The model is not changed.
    Source: Simonyan et al. 2013, section 3.1.
    """
    dx = _input_gradient(model, x, None, class_, layer, unit)
    return unbatched(np.abs(dx).max(axis=3), x)


def guided_backprop(
    model: Layer,
    x: Any,
    class_: Class = None,
    *,
    layer: str | None = None,
    unit: Unit | None = None,
) -> np.ndarray:
    """The gradient of a class score at the image, without the paths that lower it.

    Backward through ReLU is `dx = dy [x > 0] [dy > 0]`. Other activations pass `f'(x) max(dy, 0)`.

    The arguments are those of `saliency`. Returns the shape of x: signed, per channel.
    Source: Springenberg et al. 2014, section 3.4.
    """
    return unbatched(_input_gradient(model, x, guided, class_, layer, unit), x)


def deconvnet(model: Layer, x: Any, layer: str, unit: Unit) -> np.ndarray:
    """The pattern in each image that caused the activation of a unit, projected to the pixels.

    All other activations of the layer are set to 0. Then the layers below run backwards:

    * max pooling puts each value where the maximum was (the switches of the forward pass); where
      overlapping windows have the same maximum, their values are added
    * ReLU rectifies the signal itself, `max(dy, 0)`; so do sigmoid, GELU and the like. tanh, leaky
      ReLU, PReLU, ELU and clip, whose maps have both signs, pass it on
    * a convolution applies its transposed filters, without the bias; what falls into the padding
      is cut off
    * local response normalization passes the signal on; the paper has no step for it
    * batch norm multiplies by its factor; average pooling and a linear layer are transposed
    * Concat and Residual add the signals of their branches

    Layers that minicnn does not define run their own backward.

    x: a preprocessed image `(H, W, C)`, or a batch `(N, H, W, C)`.
    layer: its dotted name. unit: `k`, the strongest place in map k of each image, or
        `(row, column, k)`; of a linear layer, `k`.
    Returns the shape of x: signed, per channel.
    Source: Zeiler & Fergus 2013, section 2.1.
    """
    batch = as_batch(model, x)
    return unbatched(unit_gradient(model, batch, layer, unit, deconvolved, own_value=True), x)


def _input_gradient(
    model: Layer,
    x: Any,
    change: Change | None,
    class_: Class,
    layer: str | None,
    unit: Unit | None,
) -> np.ndarray:
    """`(N, H, W, C)`: the gradient of a class score, or of a unit."""
    if (layer is None) != (unit is None):
        raise ValueError(f"layer={brief(layer)}, unit={brief(unit)}: expected both or neither")
    batch = as_batch(model, x)
    if layer is None or unit is None:
        return class_gradient(model, rewritten(model, change), batch, class_)
    if class_ is not None:
        raise ValueError(
            f"class_={brief(class_)}, layer={brief(layer)}: expected a class or a unit"
        )
    return unit_gradient(model, batch, layer, unit, change)


def class_gradient(model: Layer, network: Layer, batch: Array, class_: Class) -> np.ndarray:
    """The gradient of the score of a class at the images. network: `model`, rewritten."""
    outputs = network(batch)
    chosen = class_indices(model, class_, probabilities(model, outputs))
    dy = np.zeros(outputs.shape, outputs.dtype)
    dy[np.arange(len(chosen)), chosen] = score_sign(model, outputs)
    return to_host(network.backpropagate(to_device(dy, array_device(outputs))))


def unit_gradient(
    model: Layer,
    batch: Array,
    name: str,
    unit: Unit,
    change: Change | None,
    own_value: bool = False,
) -> np.ndarray:
    """The gradient of a unit at the images; times its activation with `own_value`.

    The backward of the whole network runs with 0 down to the layer, so that any composition of
    layers can be around it.
    """
    network, tap = tapped(model, name, change)
    outputs = network(batch)
    y = tap.output()
    dy = np.zeros(y.shape, y.dtype)
    for i, place in enumerate(unit_places(name, y, unit)):
        dy[i, *place] = y[i, *place] if own_value else 1
    device = array_device(outputs)
    tap.inject = to_device(dy, device)
    return to_host(network.backpropagate(to_device(np.zeros(outputs.shape, y.dtype), device)))
