"""Layers without arithmetic."""

from minicnn.layers import Flatten, Identity, PadShortcut

from .contract import IMAGES, LayerContract


class TestShape(LayerContract):
    cases = {
        "identity": (Identity, IMAGES),
        "flatten": (Flatten, IMAGES),
        "padded shortcut": (lambda: PadShortcut(4, 7, stride=2), IMAGES),
        "padded shortcut, both ends": (
            lambda: PadShortcut(4, 8, stride=3, pad_both_ends=True),
            IMAGES,
        ),
    }
