"""Multiplication by a constant: the contract."""

from minicnn.layers import Scale

from .contract import IMAGES, LayerContract


class TestScale(LayerContract):
    cases = {"images": (lambda: Scale(0.25), IMAGES), "logits": (lambda: Scale(-3), (5, 3))}
