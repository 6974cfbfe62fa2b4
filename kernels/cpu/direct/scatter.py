"""The kernels of the input gradient: products of pixels of dy, added to the pixels of patches."""

from typing import NamedTuple

from ..engine.arrays import Image
from ..engine.launch import covering_windows, kernel, replaced, task_range
from ..engine.records import Epilogue, Rows
from ..engine.rows import copy_pixels
from ..engine.simd import (
    COLUMNS,
    FLOAT,
    LANES,
    ROWS,
    Address,
    load,
    load_index,
    load_part,
    store,
)
from ..engine.simd.functions import constant
from .patches import (
    PatchGrid,
    Runs,
    add_patches_times,
    always_inline,
    patch_addresses,
    patches_times,
)


class Work(NamedTuple):
    """Bands of rows per image, a buffer of `size` floats per task, and pixels per block.

    The buffer holds the sums, `spare` floats per pixel of a block, and the block's addresses.
    """

    bands: int
    scratch: Address
    size: int
    block: int
    spare: int


class Block(NamedTuple):
    """`pixels` pixels of dy from the first on, the table of their addresses, and the spare room."""

    first: int
    pixels: int
    table: Address
    spare: Address


class Places(NamedTuple):
    """The cells of a filter in a patch: `number` places of `floats` neighboring floats each."""

    data: Address
    number: int
    floats: int


class Canvas(NamedTuple):
    """The image with its padding in which a task sums patches; `window` rows per patch."""

    width: int
    stride_y: int
    stride_x: int
    window: int
    top: int
    left: int


@always_inline
def add_patches(
    results: Address,
    floats: int,
    image: Address,
    place: int,
    count: int,
    position: tuple[int, int],
    grid: PatchGrid,
    canvas: Canvas,
    channels: int,
) -> None:
    """Add rows of `results` to the image at `place` of patches from `position` = (p, q) on.

    A load must wait for an earlier store that has written only a part of what it reads. So patches
    whose floats overlap do not follow each other: every `apart`-th is added, then the ones between.
    """
    across = canvas.stride_x * channels  # floats from one patch to the next
    apart = (floats + LANES - 1) // LANES * LANES // across + 1 if across % LANES != 0 else 1
    for first in range(min(apart, count)):
        p, q = position[0], position[1] + first
        for r in range(first, count, apart):
            while q >= grid.columns:
                p, q = p + 1, q - grid.columns
            pixel = p * canvas.stride_y * canvas.width * channels + q * across
            to = image + FLOAT * (pixel + place)
            for c in range(0, floats, LANES):  # zeros are added to the floats that follow
                store(to, c, load(to, c) + load_part(results, r * floats + c, floats - c))
            q += apart


@always_inline
def cell_products(
    table: Address, pixel: Runs, b: Address, places: Places, k: int, count: int, results: Address
) -> None:
    """results[count, floats] = pixels of dy times the filters' cells at place k."""
    floats = places.floats
    # Constants, so that the compiler removes the code of the options.
    run, end = Runs(pixel.data, 1, pixel.depth), Epilogue(0, 0, 0, 0)
    for j in range(0, floats, COLUMNS):
        width = COLUMNS if floats - j > LANES else LANES
        panel = b + FLOAT * pixel.depth * (j * places.number + k * width)
        for r in range(0, count, ROWS):
            to = Rows(results + FLOAT * (r * floats + j), floats, count - r, floats - j)
            patches_times(table + 8 * r, run, panel, to, end)


@always_inline
def add_by_buffer(
    block: Block,
    dy: PatchGrid,
    pixel: Runs,
    b: Address,
    places: Places,
    canvas: Canvas,
    image: Image,
) -> None:
    """Add the block's patches to the image, from a buffer that holds a row of the kernel."""
    m, count, results = block.first, block.pixels, block.spare
    position = m // dy.columns % dy.rows, m % dy.columns
    for k in range(places.number):
        cell_products(block.table, pixel, b, places, k, count, results)
        place = load_index(places.data, k)
        add_patches(
            results, places.floats, image.data, place, count, position, dy, canvas, image.channels
        )


@always_inline
def add_in_place(
    block: Block,
    dy: PatchGrid,
    pixel: Runs,
    b: Address,
    places: Places,
    canvas: Canvas,
    image: Image,
) -> None:
    """Add the block's patches to the image, tile by tile, if channels fill whole vectors.

    A place is one cell of the kernel: the patches of a tile then have no pixel in common.
    """
    stride, run = (canvas.stride_y, canvas.stride_x), Runs(pixel.data, 1, pixel.depth)
    height = 0  # all images are summed at the same place
    grid = PatchGrid(image.data, image.step, height, image.width, *stride, dy.rows, dy.columns)
    patch_addresses(grid, block.first, block.pixels, block.spare)
    for k in range(places.number):
        place = load_index(places.data, k)
        for j in range(0, image.channels, COLUMNS):
            width = COLUMNS if image.channels - j > LANES else LANES
            panel = b + FLOAT * pixel.depth * (j * places.number + k * width)
            for r in range(0, block.pixels, ROWS):
                left, to = block.table + 8 * r, block.spare + 8 * r
                add_patches_times(left, run, panel, width, to, place + j, block.pixels - r)


@kernel
def scatter_products(
    task: int,
    tasks: int,
    dy: PatchGrid,
    pixel: Runs,
    b: Address,
    places: Places,
    canvas: Canvas,
    dx: Image,
    images: int,
    work: Work,
) -> None:
    """dx = the sum of dy[m, :] b over all pixels m of dy, each added to the pixels of patch m.

    A unit of work is a band of rows of an image: no two tasks add to the same pixel. The sums stay
    in the cache, as an image with its padding, and are then copied to dx without it.
    """
    first, last = task_range(images * work.bands, task, tasks)
    sums = work.scratch + FLOAT * task * work.size
    table = sums + FLOAT * (work.size - 2 * work.block)
    spare = table - FLOAT * work.block * work.spare
    line = canvas.width * dx.channels
    for unit in range(first, last):
        n, band = unit // work.bands, unit % work.bands
        h_first, h_last = task_range(dx.height, band, work.bands)
        p_first, _ = covering_windows(h_first, canvas.top, canvas.stride_y, canvas.window, dy.rows)
        _, p_last = covering_windows(
            h_last - 1, canvas.top, canvas.stride_y, canvas.window, dy.rows
        )
        base = min(p_first * canvas.stride_y, h_first + canvas.top)
        end = max((p_last - 1) * canvas.stride_y + canvas.window, h_last + canvas.top)
        for i in range(0, (end - base) * line, LANES):
            store(sums, i, constant(0.0))
        image = Image(sums - FLOAT * base * line, dx.channels, dx.height, canvas.width, dx.channels)
        m_last = (n * dy.rows + p_last) * dy.columns
        for m in range((n * dy.rows + p_first) * dy.columns, m_last, work.block):
            count = min(work.block, m_last - m)
            patch_addresses(dy, m, count, table)
            block = Block(m, count, table, spare)
            add_by_buffer(block, dy, pixel, b, places, canvas, image)
        for h in range(h_first, h_last):
            row = h + canvas.top - base
            source = sums + FLOAT * (row * canvas.width + canvas.left) * dx.channels
            target = dx.data + FLOAT * (n * dx.height + h) * dx.width * dx.step
            copy_pixels(source, dx.channels, target, dx.step, dx.width, dx.channels)


class ScatterKernels(NamedTuple):
    """Kernels with the arguments of `scatter_products`, for any channels and for whole vectors."""

    by_buffer: kernel
    in_place: kernel


FLOATS = ScatterKernels(
    scatter_products,
    kernel(replaced(scatter_products, "scatter_in_place", add_by_buffer=add_in_place)),
)
