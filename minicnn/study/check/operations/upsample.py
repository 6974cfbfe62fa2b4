"""Nearest-neighbor upsampling: definition and mistakes."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations

import numpy as np

from ....kernels.reference import resample2d, resample2d_grad
from ....kernels.resampling import upsampling
from ....kernels.types import Array
from ..case import Case, Fault, Operation, Results, integers, normal, number, with_dy
from .pool_reductions import Reduction, other_numbers

SHAPES = [((2, 3, 4, 2), 2), ((1, 2, 5, 3), 3), ((3, 4, 3, 1), 2)]
SMALL = [((1, 1, 1, 1), 2), ((1, 1, 2, 1), 2), ((1, 2, 3, 1), 2), ((2, 2, 2, 2), 3)]


def _forward(c: Case) -> Array:
    return resample2d(c.x, *_matrices(c))


def _truth(c: Case, observed: Results) -> Results:
    return {"y": _forward(c), "dx": resample2d_grad(c.dy, *_matrices(c))}


def _matrices(c: Case) -> tuple[Array, Array]:
    rows, columns = (upsampling(n, n * c.scale, "nearest") for n in c.x.shape[1:3])
    return rows, columns


def _cases(generator: np.random.Generator) -> list[Case]:
    draw = normal(generator)
    made = [Case({"x": draw(*shape)}, {"scale": scale}) for shape, scale in SHAPES]
    return [with_dy(c, _forward, generator) for c in made]


def _small() -> list[Case]:
    made = [Case({"x": integers(*shape)}, {"scale": scale}) for shape, scale in SMALL]
    return [c.but(dy=integers(*_forward(c).shape, start=3)) for c in made]


def _blocks(c: Case) -> Array:
    """dy as `(N, H, scale, W, scale, C)`."""
    n, height, width, channels = c.x.shape
    return c.dy.reshape(n, height, c.scale, width, c.scale, channels)


def _terms(c: Case, result: str, index: tuple[int, ...], right: Results) -> str:
    n, row, column, channel = index
    if result == "y":
        place = row // c.scale, column // c.scale
        return f"{number(right['y'][index])}, because it repeats row {place[0]}, column {place[1]}"
    return " + ".join(number(v) for v in _blocks(c)[n, row, :, column, :, channel].ravel())


def _of_blocks(reduction: Reduction, c: Case) -> Array:
    """dx as a number of each block."""
    return reduction(_blocks(c).transpose(0, 1, 3, 2, 4, 5))


ORDER = ("N", "C", "H", "scale", "W", "scale")


def _in_order(order: tuple[int, ...], c: Case) -> Array:
    """y of copies that are flattened in another order of axes."""
    n, height, width, channels = c.x.shape
    copies = np.broadcast_to(
        c.x.transpose(0, 3, 1, 2)[:, :, :, None, :, None],
        (n, channels, height, c.scale, width, c.scale),
    ).transpose(order)
    return copies.reshape(n, channels, height * c.scale, -1).transpose(0, 2, 3, 1)


def _orders() -> Iterator[Fault]:
    for order in list(permutations(range(6)))[1:]:
        says = (
            f"the copies are flattened in the order of axes ({', '.join(ORDER[a] for a in order)})"
        )
        advice = f"The order is ({', '.join(ORDER)})."
        yield Fault("order of the copies", says, advice, {"y": partial(_in_order, order)})


def _zeros_between(c: Case) -> Array:
    y = np.zeros_like(_forward(c))
    y[:, :: c.scale, :: c.scale] = c.x
    return y


def _tiled(c: Case) -> Array:
    return np.tile(c.x, (1, c.scale, c.scale, 1))


def _as_tiles(c: Case) -> Array:
    n, height, width, channels = c.x.shape
    return c.dy.reshape(n, c.scale, height, c.scale, width, channels).sum(axis=(1, 3))


def _of_pixels(source: Callable[[Array, int, int], Array], c: Case) -> Array:
    """y from other pixels, none beyond the border."""
    rows, columns = (
        np.clip(source(np.arange(n * c.scale), c.scale, n), 0, n - 1).astype(int)
        for n in c.x.shape[1:3]
    )
    return np.asarray(c.x[:, rows][:, :, columns])


UPSAMPLE2D = Operation(
    name="upsample2d",
    title="nearest-neighbor upsampling",
    source="minicnn.kernels.reference.resample",
    formulas={
        "y": "y[n, p, q, c] = x[n, p // scale, q // scale, c]",
        "dx": "dx[n, i, j, c] = sum of dy[n, p, q, c] over the copies of x[n, i, j, c]",
    },
    cases=_cases,
    small=_small,
    truth=_truth,
    terms=_terms,
    gradients=("dx",),
    images=("x", "y", "dy", "dx"),
    more=(
        *other_numbers("the sum", lambda r: partial(_of_blocks, r), "dx", "block"),
        *_orders(),
    ),
    faults=(
        Fault(
            "tiled",
            "the whole image is repeated side by side: np.tile instead of np.repeat",
            "Repeat each pixel: np.repeat(x, scale, axis=2), and the same along the columns.",
            {"y": _tiled, "dx": _as_tiles},
        ),
        Fault(
            "zeros between",
            "the pixels stand apart with zeros between them",
            "Each pixel fills a block of scale x scale.",
            {"y": _zeros_between},
        ),
        *(
            Fault(
                "source rounded",
                f"output p reads pixel {how}, not floor(p / scale)",
                "Each pixel fills a block: y[p, q] = x[p // scale, q // scale].",
                {"y": partial(_of_pixels, source)},
            )
            for how, source in (
                ("round(p / scale)", lambda p, s, n: np.round(p / s)),
                ("ceil(p / scale)", lambda p, s, n: np.ceil(p / s)),
                ("(p + 1) // scale", lambda p, s, n: (p + 1) // s),
                ("(p - 1) // scale", lambda p, s, n: (p - 1) // s),
                ("round(p * (H - 1) / (H_out - 1))", lambda p, s, n: np.round(p * (n - 1) / p[-1])),
            )
        ),
        Fault(
            "first copy only",
            "only the gradient of one copy counts: dy[::scale, ::scale]",
            "Every copy of a pixel adds to its gradient: sum dy over the block.",
            {"dx": lambda c: _blocks(c)[:, :, 0, :, 0]},
        ),
        Fault(
            "last copy only",
            "only the gradient of the last copy counts: `=` where `+=` is needed",
            "Every copy of a pixel adds to its gradient: sum dy over the block.",
            {"dx": lambda c: _blocks(c)[:, :, -1, :, -1]},
        ),
        Fault(
            "mean for sum",
            "dx is the mean over the block, not the sum",
            "A pixel that was copied gets the sum of its copies' gradients.",
            {"dx": lambda c: _blocks(c).mean(axis=(2, 4))},
        ),
    ),
)
