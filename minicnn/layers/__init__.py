"""Layers with state, and the containers that compose them.

Every layer works by itself: `y = layer.forward(x); dx = layer.backward(dy)`.
"""

from ..kernels.thread_state import inference_mode, no_grad
from . import init
from .activation import (
    ELU,
    GELU,
    Activation,
    Clip,
    HardSigmoid,
    HardSwish,
    LeakyReLU,
    PReLU,
    ReLU,
    ReLU6,
    ScaledTanh,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from .affine import Affine
from .branches import Concat, Residual
from .conv import Conv2d
from .conv_transpose import ConvTranspose2d
from .convolutional_form import fully_convolutional
from .dropout import Dropout
from .function import Function
from .fusion import fuse
from .graph import Graph
from .hooks import observe
from .join import Add, Concatenate, Maximum, Multiply, Slice
from .layer import Layer
from .linear import RBF, Linear
from .network import AuxiliaryNetwork, Metadata, Network, metadata
from .norm import BatchNorm2d, GroupNorm, LayerNorm, LocalResponseNorm
from .parameter import Parameter
from .pool import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    MaxPool2d,
    Subsample2d,
)
from .rearrange import FlipChannels, Pad2d, Permute, Reshape
from .resample import Resample2d, Upsample
from .scale import Scale
from .sequential import Sequential
from .shape import Flatten, Identity, PadShortcut

__all__ = [
    "ELU",
    "GELU",
    "RBF",
    "Activation",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "Add",
    "Affine",
    "AuxiliaryNetwork",
    "AvgPool2d",
    "BatchNorm2d",
    "Clip",
    "Concat",
    "Concatenate",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Flatten",
    "FlipChannels",
    "Function",
    "GlobalAvgPool2d",
    "GlobalMaxPool2d",
    "Graph",
    "GroupNorm",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "MaxPool2d",
    "Maximum",
    "Metadata",
    "Multiply",
    "Network",
    "PReLU",
    "Pad2d",
    "PadShortcut",
    "Parameter",
    "Permute",
    "ReLU",
    "ReLU6",
    "Resample2d",
    "Reshape",
    "Residual",
    "Scale",
    "ScaledTanh",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Subsample2d",
    "Tanh",
    "Upsample",
    "fully_convolutional",
    "fuse",
    "inference_mode",
    "init",
    "metadata",
    "no_grad",
    "observe",
]
