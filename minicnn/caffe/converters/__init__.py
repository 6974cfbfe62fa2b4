"""One function per type of Caffe's layers: what ours computes the same.

Each takes the builder, Caffe's layer and the arrays that it reads, adds layers of ours to the
builder, and returns the arrays that Caffe's layer writes. It raises ValueError, or CheckpointError,
for what minicnn cannot compute.
"""

from collections.abc import Callable

from ..builder import Blob, Builder
from ..net import CaffeLayer
from .joins import concat, eltwise, slice_
from .maps import convolution, lrn, pooling
from .norms import batch_norm, scale
from .pointwise import dropout, relu, sigmoid, tanh
from .vectors import flatten, inner_product, reshape

Convert = Callable[[Builder, CaffeLayer, list[Blob]], list[Blob]]

# By `CaffeLayer.key`.
CONVERTERS: dict[str, Convert] = {
    "batchnorm": batch_norm,
    "concat": concat,
    "convolution": convolution,
    "dropout": dropout,
    "eltwise": eltwise,
    "flatten": flatten,
    "innerproduct": inner_product,
    "lrn": lrn,
    "pooling": pooling,
    "relu": relu,
    "reshape": reshape,
    "scale": scale,
    "sigmoid": sigmoid,
    "slice": slice_,
    "tanh": tanh,
}
