"""Layers that only change the shape."""

from minicnn.layers import Flatten, PadShortcut

from .contract import IMAGES, LayerContract


class TestShape(LayerContract):
    cases = {
        "flatten": (Flatten, IMAGES),
        "padded shortcut": (lambda: PadShortcut(4, 7, stride=2), IMAGES),
        "padded shortcut, both ends": (
            lambda: PadShortcut(4, 8, stride=3, pad_both_ends=True),
            IMAGES,
        ),
    }
