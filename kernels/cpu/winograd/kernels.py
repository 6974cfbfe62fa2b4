"""The kernels of one F(m x n, r x s)."""

import functools
import threading
from collections.abc import Callable

from ..engine.arrays import Image
from ..engine.gemm import multiply
from ..engine.launch import kernel, task_range
from ..engine.memory import CACHE_LINE_FLOATS
from ..engine.records import Epilogue, Rows, Strided
from ..engine.rows import fill_zeros, span
from ..engine.simd import COLUMNS, FLOAT, LANES, ROWS, Address, load, store
from .records import Batch, Filters, Gradient, Panels, Stack, Tiles
from .sizes import Sizes
from .transforms import (
    filter_scratch,
    filter_transform,
    gradient_transform,
    input_transform,
    inverse_scratch,
    products,
    weight_transform,
)

SUBBATCH = 48  # tiles whose products one task keeps in its cache
PAD = CACHE_LINE_FLOATS  # floats after a row of V
STRIP = 64  # channels whose sums one task of `accumulate_and_invert` keeps in its cache


def _named(function: Callable[..., None], name: str) -> kernel:
    """A kernel from a function that is defined once per F(m x n, r x s)."""
    function.__name__ = function.__qualname__ = name
    return kernel(function)


class Winograd:
    """F(m x n, r x s): its transforms and products as kernels, in which the sizes are constants.

    If the transformed filters are small, each task computes all steps of some tiles in its own
    cache (`fused_forward`, and `fused_sums` for weight gradients). Large filters should be read
    from memory only once: tiles are then processed in batches whose transforms stay in the
    last-level cache. The tasks first share the tiles of a batch (`transform_input`), then the
    panels of filters (`multiply_and_invert`).
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        name = "winograd_{}x{}_{}x{}".format(*sizes.results, *sizes.kernel)
        transform, finish = input_transform(sizes, name), products(sizes, name)
        filters = filter_transform(sizes, name)
        self.transform_filters = _named(self._filter_kernel(filters), f"{name}_filters")
        self.transform_input = _named(self._input_kernel(transform), f"{name}_input")
        self.multiply_and_invert = _named(self._product_kernel(filters, finish), f"{name}_products")
        self.fused_forward = _named(self._fused_kernel(transform, finish), f"{name}_fused")
        gradients = gradient_transform(sizes, name)
        self.transform_gradient = _named(self._dy_kernel(gradients), f"{name}_gradient")
        self.fused_sums = _named(self._sums_kernel(transform, gradients), f"{name}_fused_sums")
        invert = weight_transform(sizes, name)
        self.invert_sums = _named(self._inverse_kernel(invert), f"{name}_sums")
        self.accumulate_and_invert = _named(self._gradient_kernel(invert), f"{name}_weights")

    @property
    def input_scratch(self) -> int:
        """Floats per task that the transforms of the input and of dy need."""
        return LANES * 2 * self.sizes.positions

    def product_scratch(self, subbatch: int) -> int:
        """Floats per task that `multiply_and_invert` needs."""
        positions = self.sizes.positions
        products = positions * (subbatch * COLUMNS + CACHE_LINE_FLOATS)
        return filter_scratch(self.sizes) + inverse_scratch(self.sizes) + products

    def _filter_kernel(self, transform: Callable[..., None]) -> Callable[..., None]:
        floats = filter_scratch(self.sizes)

        def transform_filters(
            task: int, tasks: int, w: Filters, u: Panels, scratch: Address
        ) -> None:
            """U = G g G^T; tasks share the panels and the channels of each."""
            blocks = u.depth // LANES
            first, last = task_range((w.columns + COLUMNS - 1) // COLUMNS * blocks, task, tasks)
            mine = scratch + FLOAT * task * floats
            for unit in range(first, last):
                k = unit % blocks * LANES
                transform(w, unit // blocks * COLUMNS, k, k + LANES, u, mine)

        return transform_filters

    def _input_kernel(self, transform: Callable[..., None]) -> Callable[..., None]:
        floats = self.input_scratch

        def transform_input(
            task: int,
            tasks: int,
            x: Image,
            tiles: Tiles,
            first_tile: int,
            count: int,
            v: Stack,
            scratch: Address,
        ) -> None:
            """V = B^T d B of `count` tiles from first_tile on; tasks share the tiles."""
            first, last = task_range(count, task, tasks)
            mine = Stack(v.data + FLOAT * first * v.row_step, v.row_step, v.step)
            transform(
                x,
                tiles,
                first_tile + first,
                first_tile + last,
                mine,
                scratch + FLOAT * task * floats,
                True,
            )

        return transform_input

    def _product_kernel(
        self, transform: Callable[..., None], finish: Callable[..., None]
    ) -> Callable[..., None]:
        floats = filter_scratch(self.sizes)
        inverse, positions = inverse_scratch(self.sizes), self.sizes.positions

        def multiply_and_invert(
            task: int,
            tasks: int,
            v: Stack,
            w: Filters,
            u: Panels,
            batch: Batch,
            tiles: Tiles,
            y: Image,
            epilogue: Epilogue,
            scratch: Address,
        ) -> None:
            """y = A^T [V U] A; tasks share the panels of filters and the subbatches of each.

            Unless w is 0, u has room for one panel per task, transformed when it is needed.
            """
            count, subbatch = batch.tiles, batch.subbatch
            portions = (count + subbatch - 1) // subbatch
            panels = (y.channels + COLUMNS - 1) // COLUMNS
            first, last = task_range(panels * portions, task, tasks)
            step = subbatch * COLUMNS + CACHE_LINE_FLOATS
            mine = scratch + FLOAT * task * (floats + inverse + positions * step)
            square = mine + FLOAT * (inverse + positions * step)
            for unit in range(first, last):
                start, panel = unit % portions * subbatch, unit // portions * COLUMNS
                filters = u
                if w.data != 0:
                    place = task * positions * u.step - panel * u.depth
                    filters = Panels(u.data + FLOAT * place, u.depth, u.step)
                    if unit == first or start == 0:
                        transform(w, panel, 0, u.depth, filters, square)
                rows = Stack(v.data + FLOAT * start * v.row_step, v.row_step, v.step)
                finish(
                    rows,
                    filters,
                    panel,
                    batch.first + start,
                    batch.first + min(start + subbatch, count),
                    tiles,
                    y,
                    epilogue,
                    mine,
                    step,
                )

        return multiply_and_invert

    def _fused_kernel(
        self, transform: Callable[..., None], finish: Callable[..., None]
    ) -> Callable[..., None]:
        inverse, positions = inverse_scratch(self.sizes), self.sizes.positions

        def fused_forward(
            task: int,
            tasks: int,
            x: Image,
            u: Panels,
            batch: Batch,
            tiles: Tiles,
            y: Image,
            epilogue: Epilogue,
            scratch: Address,
        ) -> None:
            """y = A^T [(B^T d B) U] A; a task computes all steps of a subbatch in its own cache."""
            first, last = span(batch.tiles, task, tasks, ROWS)
            row_step = x.channels + PAD
            size = batch.subbatch * row_step
            v_step = size + (0 if size // CACHE_LINE_FLOATS % 2 else CACHE_LINE_FLOATS)
            step = batch.subbatch * COLUMNS + CACHE_LINE_FLOATS
            own = inverse + positions * (step + LANES * 2)
            v = Stack(scratch + FLOAT * task * ((positions + 1) * v_step + own), row_step, v_step)
            mine = v.data + FLOAT * (positions + 1) * v_step
            for start in range(first, last, batch.subbatch):
                end = min(start + batch.subbatch, last)
                transform(x, tiles, start, end, v, mine, False)
                for panel in range(0, y.channels, COLUMNS):
                    finish(v, u, panel, start, end, tiles, y, epilogue, mine, step)

        return fused_forward

    def _dy_kernel(self, transform: Callable[..., None]) -> Callable[..., None]:
        floats = self.input_scratch

        def transform_gradient(
            task: int,
            tasks: int,
            dy: Image,
            tiles: Tiles,
            first_tile: int,
            z: Panels,
            scratch: Address,
        ) -> None:
            """Z = G dy G^T of z.depth tiles from first_tile on; tasks share the tiles."""
            first, last = task_range(z.depth, task, tasks)
            mine = scratch + FLOAT * task * floats
            transform(dy, tiles, first_tile + first, first_tile + last, z, first, mine, True)

        return transform_gradient

    def _sums_kernel(
        self, transform: Callable[..., None], gradients: Callable[..., None]
    ) -> Callable[..., None]:
        positions = self.sizes.positions

        def fused_sums(
            task: int,
            tasks: int,
            x: Image,
            dy: Image,
            batch: Batch,
            tiles: Tiles,
            s: Stack,
            v: Stack,
            z: Panels,
            scratch: Address,
            room: int,
        ) -> None:
            """S = V^T Z of the task's tiles; a subbatch is transformed and added in its cache.

            s: that of the first task, and the others behind it. v, z, scratch: likewise, `room`
            floats from one task to the next.
            """
            first, last = span(batch.tiles, task, tasks, ROWS)
            sums, own = s.data + FLOAT * task * positions * s.step, FLOAT * task * room
            fill_zeros(sums, positions * s.step)
            mine = Stack(v.data + own, v.row_step, v.step)
            for start in range(first, last, batch.subbatch):
                end = min(start + batch.subbatch, last)
                panels = Panels(z.data + own, end - start, z.step)
                transform(x, tiles, start, end, mine, scratch + own, False)
                gradients(dy, tiles, start, end, panels, 0, scratch + own, False)
                for position in range(positions):
                    rows = Strided(mine.data + FLOAT * position * mine.step, 1, mine.row_step)
                    panel = panels.data + FLOAT * position * panels.step
                    to = sums + FLOAT * position * s.step
                    result = Rows(to, s.row_step, x.channels, dy.channels)
                    multiply(rows, panel, panels.depth, result, True, 0, False)

        return fused_sums

    @property
    def sums_scratch(self) -> int:
        """Floats per task that `accumulate_and_invert` needs."""
        sums = self.sizes.positions * (STRIP * COLUMNS + CACHE_LINE_FLOATS)
        return inverse_scratch(self.sizes.exchanged) + sums

    def _inverse_kernel(self, invert: Callable[..., None]) -> Callable[..., None]:
        floats, positions = inverse_scratch(self.sizes.exchanged), self.sizes.positions

        def invert_sums(
            task: int, tasks: int, sums: Stack, parts: int, dw: Gradient, scratch: Address
        ) -> None:
            """dw = A^T S A for the sum S of `parts` stacks; tasks share the channels."""
            first, last = task_range(dw.channels, task, tasks)
            mine = Stack(sums.data + FLOAT * first * sums.row_step, sums.row_step, sums.step)
            for part in range(1, parts):
                for position in range(positions):
                    to = mine.data + FLOAT * position * mine.step
                    other = part * positions * mine.step
                    for i in range(0, (last - first) * mine.row_step, LANES):
                        store(to, i, load(to, i) + load(to, other + i))
            half = scratch + FLOAT * task * floats
            invert(mine, last - first, dw.filters, dw, first, 0, half)

        return invert_sums

    def _gradient_kernel(self, invert: Callable[..., None]) -> Callable[..., None]:
        inverse, positions = inverse_scratch(self.sizes.exchanged), self.sizes.positions

        def accumulate_and_invert(
            task: int, tasks: int, v: Stack, z: Panels, dw: Gradient, scratch: Address
        ) -> None:
            """dw = A^T [V^T Z] A; tasks share the strips of V's columns, and the panels of Z."""
            panels = (dw.filters + COLUMNS - 1) // COLUMNS
            first, last = task_range((dw.channels + STRIP - 1) // STRIP * panels, task, tasks)
            step = STRIP * COLUMNS + CACHE_LINE_FLOATS
            half = scratch + FLOAT * task * (inverse + positions * step)
            sums = Stack(half + FLOAT * inverse, COLUMNS, step)
            for unit in range(first, last):
                c, k = unit // panels * STRIP, unit % panels * COLUMNS
                rows, columns = min(STRIP, dw.channels - c), min(COLUMNS, dw.filters - k)
                for position in range(positions):
                    transposed = Strided(v.data + FLOAT * (position * v.step + c), 1, v.row_step)
                    panel = z.data + FLOAT * (position * z.step + k * z.depth)
                    result = Rows(sums.data + FLOAT * position * step, COLUMNS, rows, columns)
                    multiply(transposed, panel, z.depth, result, False, 0, False)
                invert(sums, rows, columns, dw, c, k, half)

        return accumulate_and_invert


_variants_lock = threading.Lock()


_winograd = functools.cache(Winograd)


def winograd(sizes: Sizes) -> Winograd:
    """The only `Winograd(sizes)` of this process: the names of its kernels must be unique."""
    with _variants_lock:
        return _winograd(sizes)
