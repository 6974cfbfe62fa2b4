"""The networks of the papers, one file per architecture: `create(name, **options)`, `names()`."""

import warnings
from contextlib import nullcontext
from os import PathLike
from typing import Any

from minicnn import registry
from minicnn.caffe import from_caffe, to_caffe
from minicnn.layers import Network
from minicnn.layers.init import skip_init
from minicnn.onnx import from_onnx, to_onnx
from minicnn.registry import names
from minicnn.weights.pretrained import load_into

from . import (
    airbench,
    alexnet,
    alexnet_2012,
    densenet,
    googlenet,
    inception_v4,
    lenet,
    mobilenet_v1,
    mobilenet_v2,
    nin,
    preresnet,
    resnet,
    squeezenet,
    vgg,
    zfnet,
)


def create(
    name: str,
    *,
    seed: int | None = None,
    recipe: str = "default",
    weights: str | PathLike[str] | None = None,
    sha256: str | None = None,
    **options: Any,
) -> Network:
    """Make a network with fresh weights, or with the weights of a file.

    seed: seeds the generator that draws the weights; None continues the current sequence.
    recipe: the recipe that `training.fit` will follow.
    weights: path or URL of a safetensors file, or of a torch checkpoint (.pth, .pt) that uses
        torchvision's names.
    sha256: the checksum of that file. A URL needs one, unless the file's name contains the first
        digits, as torchvision's do (resnet50-0676ba61.pth).
    options: arguments of the network's constructor, such as num_classes. If the file's weights are
        for another number of classes, the layers that depend on it start from new weights, and a
        warning says so.
    The result has `name`, `options`, `recipe`, `loss` and `input_shape`.
    Raises ValueError for an unknown name, recipe or option; CheckpointError or DataError for
    weights that cannot be read, do not fit or are not finite.
    """
    if weights is None:
        return registry.create(name, seed=seed, recipe=recipe, **options)
    # Nothing need be drawn, unless the head may be new.
    with nullcontext() if "num_classes" in options else skip_init():
        model = registry.create(name, seed=seed, recipe=recipe, **options)
    load_into(model, weights, sha256, report=lambda text: warnings.warn(text, stacklevel=4))
    return model


__all__ = [
    "airbench",
    "alexnet",
    "alexnet_2012",
    "create",
    "densenet",
    "from_caffe",
    "from_onnx",
    "googlenet",
    "inception_v4",
    "lenet",
    "mobilenet_v1",
    "mobilenet_v2",
    "names",
    "nin",
    "preresnet",
    "resnet",
    "squeezenet",
    "to_caffe",
    "to_onnx",
    "vgg",
    "zfnet",
]
