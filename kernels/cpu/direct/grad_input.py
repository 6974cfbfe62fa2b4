"""The input gradient: a pixel of dy times the filters is a patch, which is added to its pixels.

No product is with a zero of padding or of a stride, unlike in a transposed convolution.
"""

import functools
import math

import numpy as np

from ...geometry import Pair, Window
from ...types import Array
from ..engine.arrays import Image, address, pixels
from ..engine.gemm import pack_filter
from ..engine.launch import kernel
from ..engine.memory import empty
from ..engine.records import Rows
from ..engine.rows import even_block
from ..engine.simd import FLOAT, LANES
from ..engine.threads import threads_for
from .forward import BLOCK, patch_products, products
from .patches import DEPTH, PatchGrid, Runs, forward_layout, tap_offsets
from .scatter import FLOATS, Canvas, Places, ScatterKernels, Work


def conv2d_grad_input(
    dy: Array,
    w: Array,
    geometry: Window,
    groups: int,
    dx: Array,
    run: kernel = patch_products,
    scatters: ScatterKernels = FLOATS,
) -> None:
    """dx from dy and w; dx is contiguous."""
    dy, step = pixels(dy)
    images, height, width, _ = dy.shape
    channels, filters = w.shape[2], w.shape[3] // groups
    in_place = geometry.kernel == geometry.stride == (1, 1) and not any(map(any, geometry.padding))
    for g in range(groups):
        grid = PatchGrid(
            address(dy) + FLOAT * g * filters, step, height, width, 1, 1, height, width
        )
        target = address(dx) + FLOAT * g * channels
        if in_place:  # a patch is one pixel: nothing to add up
            layout = forward_layout((1, 1), (1, 1), filters, step, dy.shape[2])
            offsets = tap_offsets(w.shape, g * filters)
            packed = pack_filter(w, offsets, filters, 1, w.shape[3], channels)
            rows = Rows(target, dx.shape[3], images * height * width, channels)
            products(grid, layout, packed, rows, run=run)
        else:
            image = Image(target, dx.shape[3], dx.shape[1], dx.shape[2], channels)
            scatter(grid, w, g * filters, filters, geometry, image, images, scatters)


@functools.lru_cache(maxsize=1024)
def _places(kernel: Pair, dilation: Pair, cells: int, width: int, channels: int) -> Array:
    """The distance in floats of every `cells`-th cell from the first, in images `width` wide."""
    (kh, kw), (down, across) = kernel, dilation
    corners = [(i * down * width + j * across) for i in range(kh) for j in range(0, kw, cells)]
    return np.array(corners) * channels


def scatter(
    dy: PatchGrid,
    w: Array,
    first: int,
    filters: int,
    geometry: Window,
    dx: Image,
    images: int,
    kernels: ScatterKernels = FLOATS,
) -> None:
    """The input gradient of `filters` filters from the first on."""
    kh, kw, channels, _ = w.shape
    (top, _), (left, right) = geometry.padding
    width = left + dx.width + right
    in_place = channels % LANES == 0
    # One row of the kernel at a time if its cells are neighbors and their results fit the buffer.
    has_rows = not in_place and geometry.dilation[1] == 1 and kw * channels <= 4 * DEPTH
    cells = kw if has_rows else 1
    floats = cells * channels
    places = _places((kh, kw), geometry.dilation, cells, width, channels)
    pixel = np.array([0, filters])
    offsets = np.ascontiguousarray(tap_offsets(w.shape, first)[::cells])
    packed = pack_filter(w, offsets, filters, 1, w.shape[3], floats)

    tasks = threads_for(flops=2 * images * dy.rows * dy.columns * filters * kh * kw * channels)
    bands = 1 if images >= 8 * tasks else tasks // math.gcd(images, tasks)
    bands = min(bands, dx.height)
    window = (kh - 1) * geometry.dilation[0] + 1
    block = even_block(dy.rows * dy.columns, 1, BLOCK)
    spare = 2 if in_place else floats  # an address takes 2 floats
    size = (-(-dx.height // bands) + 2 * window) * width * channels + LANES + block * (spare + 2)
    size = -(-size // LANES) * LANES
    scratch = empty(tasks * size)
    run = kernels.in_place if in_place else kernels.by_buffer
    run(
        tasks,
        dy,
        Runs(address(pixel), 1, filters),
        address(packed),
        Places(address(places), len(places), floats),
        Canvas(width, *geometry.stride, window, top, left),
        dx,
        images,
        Work(bands, address(scratch), size, block, spare),
    )
