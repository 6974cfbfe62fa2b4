"""Layers on single values: activations, Dropout."""

from ...layers import Dropout, Layer, ReLU, Sigmoid, Tanh
from ..builder import Blob, Builder
from ..net import CaffeLayer
from .common import only


def relu(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """ReLU, or with a negative_slope a leaky one."""
    slope = layer.parameters("relu_param").get("negative_slope", 0.0)
    if slope:
        raise ValueError(f"negative_slope is {slope:g}")
    return _add(builder, layer, bottoms, ReLU())


def sigmoid(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """Sigmoid."""
    return _add(builder, layer, bottoms, Sigmoid())


def tanh(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """TanH."""
    return _add(builder, layer, bottoms, Tanh())


def dropout(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """Dropout; Caffe, too, scales what is kept in training."""
    ratio = layer.parameters("dropout_param").get("dropout_ratio", 0.5)
    return _add(builder, layer, bottoms, Dropout(ratio))


def _add(builder: Builder, layer: CaffeLayer, bottoms: list[Blob], made: Layer) -> list[Blob]:
    return [builder.add(layer, made, only(bottoms))]
