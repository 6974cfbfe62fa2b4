"""What kernels are told of arrays and tiles: records of integers, see `engine.launch`."""

from typing import NamedTuple

from ..engine.arrays import Image
from ..engine.gemm import PLAIN, Epilogue

__all__ = ["PLAIN", "Epilogue", "Image", "Panels", "Stack", "Tiles"]


class Tiles(NamedTuple):
    """rows x columns tiles cover an image; the first one's input starts at (-top, -left)."""

    rows: int
    columns: int
    top: int
    left: int


class Stack(NamedTuple):
    """One matrix per position, `step` floats apart; `row_step` floats between rows."""

    data: int
    row_step: int
    step: int


class Panels(NamedTuple):
    """One matrix per position, `step` floats apart, as packed panels `depth` rows deep."""

    data: int
    depth: int
    step: int
