"""Activation layers: the contract."""

from minicnn.layers import GELU, ReLU, ScaledTanh, Sigmoid, Tanh

from .contract import IMAGES, LayerContract


class TestActivation(LayerContract):
    cases = {
        "ReLU": (ReLU, IMAGES),
        "sigmoid": (Sigmoid, IMAGES),
        "tanh": (Tanh, (5, 3)),
        "scaled tanh": (ScaledTanh, IMAGES),
        "GELU": (GELU, IMAGES),
    }
