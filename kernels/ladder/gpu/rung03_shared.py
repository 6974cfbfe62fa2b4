"""shared tile: what a block's threads all need is read from global memory once, and kept in shared memory.

16x16 threads make 16 pixels of 16 filters: each number that they bring serves 16 times. The kernel is `numba_cuda/conv.py`'s.
"""

from ...numba_cuda.conv import TILE, tiled
from ...numba_cuda.launch import blocks
from ...reference.arrays import array_module, empty


def forward(x, w, b):
    """See `ladder.gpu`."""
    y = empty(x, (*x.shape[:3], w.shape[3]))
    pad = w.shape[0] // 2
    grid = blocks(y.size // w.shape[3], TILE), blocks(w.shape[3], TILE)
    tiled[grid, (TILE, TILE)](x, w, b, y, (1, 1), (pad, pad), (1, 1))
    return array_module(y).maximum(y, 0)
