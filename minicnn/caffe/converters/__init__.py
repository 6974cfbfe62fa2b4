"""One function per type of Caffe's layers: what ours computes the same.

Each takes the builder, Caffe's layer and the arrays that it reads, adds layers of ours to the
builder, and returns the arrays that Caffe's layer writes. It raises ValueError, or CheckpointError,
for what minicnn cannot compute.
"""

from collections.abc import Callable

from ..builder import Blob, Builder
from ..net import CaffeLayer
from .joins import concat, eltwise, slice_
from .maps import convolution, deconvolution, lrn, pooling
from .norms import batch_norm, scale
from .pointwise import absval, bias, dropout, elu, power, prelu, relu, sigmoid, softmax, tanh
from .vectors import flatten, inner_product, reshape

Convert = Callable[[Builder, CaffeLayer, list[Blob]], list[Blob]]

CONVERTERS: dict[str, Convert] = {
    "AbsVal": absval,
    "BatchNorm": batch_norm,
    "Bias": bias,
    "Concat": concat,
    "Convolution": convolution,
    "Deconvolution": deconvolution,
    "Dropout": dropout,
    "Eltwise": eltwise,
    "ELU": elu,
    "Flatten": flatten,
    "InnerProduct": inner_product,
    "LRN": lrn,
    "Pooling": pooling,
    "Power": power,
    "PReLU": prelu,
    "ReLU": relu,
    "Reshape": reshape,
    "Scale": scale,
    "Sigmoid": sigmoid,
    "Slice": slice_,
    "Softmax": softmax,
    "TanH": tanh,
}
BY_KEY = {name.lower(): convert for name, convert in CONVERTERS.items()}  # `CaffeLayer.key`
