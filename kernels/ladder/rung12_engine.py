"""the engine: what kernels.cpu chooses for this shape.

The rungs below compute stride 1 and one group. The engine also has strides, dilation, groups and
asymmetric padding, and does more of what the rungs show:

* the tile of rungs 5 to 7 with half panels for few filters, and with several pixels per vector for
  fewer than a vector of filters (`kernels.cpu.direct`);
* Winograd's algorithm of rungs 9 and 10, with images read in place instead of copied onto a canvas,
  lines that are prefetched, and transformed filters that are kept until the weights change
  (`kernels.cpu.winograd`);
* a linear layer where the kernel is as large as the image.

`kernels.cpu.conv.cost` estimates the cycles of each algorithm from the shape: products at two FMAs
per cycle, and what the transforms take. The cheapest is used. No rung is best for each shape: with
few channels the transforms cost more than they save, and with few squares half of a tile is empty.
"""

from ..cpu import conv
from ..geometry import window
from ..types import Array, Shape


def algorithm(x_shape: Shape, w_shape: Shape, pad: int) -> str:
    """The engine's choice for this convolution."""
    geometry = window(x_shape[1:3], w_shape[:2], 1, pad)
    return conv.choose("auto", x_shape[0], geometry, *w_shape[2:], 1)


def forward(x: Array, w: Array, b: Array, pad: int) -> Array:
    """See `ladder`."""
    return conv.conv2d(x, w, b, padding=pad, activation="relu")


def grad_input(dy: Array, w: Array, pad: int) -> Array:
    """See `ladder`."""
    height, width = (s + len(w) - 1 - 2 * pad for s in dy.shape[1:3])
    return conv.conv2d_grad_input(dy, w, (len(dy), height, width, w.shape[2]), padding=pad)


def grad_weight(dy: Array, x: Array, size: int, pad: int) -> tuple[Array, Array | None]:
    """See `ladder`."""
    return conv.conv2d_grad_weight(dy, x, (size, size, x.shape[3], dy.shape[3]), padding=pad)
