"""Layers with state, and the containers that compose them. Every layer works alone: `y = layer.forward(x); dx = layer.backward(dy)`."""

from . import init
from .activation import Activation, ReLU, ScaledTanh, Sigmoid, Tanh
from .base import Layer, Parameter, no_grad, observe
from .compose import AuxiliarySequential, Concat, Residual, Sequential
from .conv import Conv2d
from .dropout import Dropout
from .linear import RBF, Linear
from .norm import BatchNorm2d, LocalResponseNorm
from .pool import AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool2d, MaxPool2d, Subsample2d
from .shape import Flatten, PadShortcut

__all__ = [
    "RBF",
    "Activation",
    "AdaptiveAvgPool2d",
    "AuxiliarySequential",
    "AvgPool2d",
    "BatchNorm2d",
    "Concat",
    "Conv2d",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2d",
    "Layer",
    "Linear",
    "LocalResponseNorm",
    "MaxPool2d",
    "PadShortcut",
    "Parameter",
    "ReLU",
    "Residual",
    "ScaledTanh",
    "Sequential",
    "Sigmoid",
    "Subsample2d",
    "Tanh",
    "init",
    "no_grad",
    "observe",
]
