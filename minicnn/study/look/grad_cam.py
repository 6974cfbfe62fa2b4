"""Grad-CAM: which regions of the image support a class, at the resolution of a layer's maps."""

from typing import Any

import numpy as np
from PIL import Image

from ...device import to_host
from ...errors import brief
from ...kernels.types import Array
from ...layers import (
    Activation,
    BatchNorm2d,
    Conv2d,
    GroupNorm,
    Layer,
    LayerNorm,
    PReLU,
    no_grad,
    observe,
)
from .gradients import class_gradient
from .rewriting import rewritten, tapped
from .target import Class, as_batch, unbatched

# Behind a convolution these belong to it.
FOLLOWERS = Activation, BatchNorm2d, GroupNorm, LayerNorm, PReLU


def grad_cam(
    model: Layer,
    x: Any,
    class_: Class = None,
    layer: str | None = None,
    *,
    enlarge: bool = True,
) -> np.ndarray:
    """The maps A of a layer, weighted by what they do for the score S of a class.

        a[k] = mean over i, j of dS/dA[i, j, k]
        L[i, j] = max(0, sum over k of a[k] A[i, j, k])

    x, class_: as in `saliency`.
    layer: the dotted name of a layer with maps `(N, h, w, K)`; by default `last_maps(model, x)`.
    enlarge: interpolate L linearly to the size of the image.
    Returns `(H, W)`, or `(N, H, W)` for a batch; without `enlarge` `(h, w)` or `(N, h, w)`.
    Source: Selvaraju et al. 2017, equations 1 and 2.
    """
    batch = as_batch(model, x)
    name = layer or last_maps(model, batch[:1])
    network, tap = tapped(model, name)
    class_gradient(model, network, batch, class_)
    maps, gradients = tap.output(), to_host(tap.dy)
    if maps.ndim != 4:
        raise ValueError(f"layer={brief(name)} returns {maps.shape}; expected maps (N, h, w, K)")
    weights = gradients.mean(axis=(1, 2), keepdims=True)
    found = np.maximum((weights * maps).sum(axis=3), 0)
    if enlarge:
        found = np.stack([enlarged(one, batch.shape[1:3]) for one in found])
    return unbatched(found, x)


def last_maps(model: Layer, x: Any) -> str:
    """The last layer that convolves and returns maps larger than a pixel; where Grad-CAM looks.

    It is a convolution or a whole module, such as an Inception module or the last stage of a
    ResNet. A norm or an activation directly behind it belongs to it.
    Raises ValueError if there is none.
    """
    network = rewritten(model)
    names = {id(one): name for name, one in network.named_layers()}
    chosen: list[tuple[str, Any]] = []

    def see(layer: Layer, x: Array, y: Any) -> None:
        if getattr(y, "ndim", 0) != 4 or y.shape[1] * y.shape[2] == 1 or not names[id(layer)]:
            return
        convolves = any(isinstance(one, Conv2d) for _, one in layer.named_layers())
        follows = isinstance(layer, FOLLOWERS) and chosen and x is chosen[-1][1]
        if convolves or follows:
            chosen[:] = [(names[id(layer)], y)]

    with no_grad(), observe(see):
        network(as_batch(model, x))
    if not chosen:
        raise ValueError("the network has no convolution with maps larger than a pixel; give layer")
    return chosen[0][0]


def enlarged(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map `(h, w)` interpolated linearly to `(H, W)`; both have the same outer edges."""
    image = Image.fromarray(array.astype(np.float32))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))
