"""LeNet-5's training step as nine kernels and as one, to study the cost of launches and of memory.

In one kernel nothing is left but the arithmetic, one barrier of the grid, and one launch. The
network is `models.lenet5` on 32x32x1 images. See lenet.cu.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...cuda.arrays import contiguous
from ...cuda.device import THREADS, launch, runtime
from ...types import Array

SOURCE = Path(__file__).with_name("lenet.cu")
SHAPES = (
    *((5, 5, 1, 6), (6,)),  # C1: weight and bias
    *((5, 5, 6, 16), (16,)),  # C3
    *((5, 5, 16, 120), (120,)),  # C5
    *((120, 84), (84,)),  # F6
    *((84, 10), (10,)),  # output
)
PARTS = [
    *("c1_s2", "c3_s4", "c5_f6_output", "cross_entropy"),
    *("c5_f6_output_back", "c3_s4_back", "c1_s2_back", "gradients", "update"),
]
STEP = np.dtype(
    [
        *(("images", np.uint64), ("labels", np.uint64)),
        *(("w", np.uint64, len(SHAPES)), ("v", np.uint64, len(SHAPES))),
        *((name, np.uint64) for name in ("activations", "scratch", "totals")),
        *((name, np.float32) for name in ("lr", "momentum", "weight_decay")),
        ("count", np.int32),
    ]
)
ACTIVATIONS, SCRATCH = 10900, 3392  # floats per image
BLOCKS = 4  # per multiprocessor, if its shared memory has room for the activations, 43 KB each
RESERVED = 1024  # bytes of shared memory that CUDA takes per block


def train_step(
    parameters: Sequence[Array],
    velocities: Sequence[Array],
    x: Array,
    labels: Array,
    totals: Array,
    lr: float,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    persistent: bool = True,
) -> None:
    """One step of SGD with momentum on the mean cross-entropy, in place.

    Args:
        parameters, velocities: ten float32 arrays each, of `SHAPES`, in the order of `lenet5`'s
            `parameters()`.
        x: `(N, 32, 32, 1)` float32.
        labels: `(N,)` int64.
        totals: two float64, to which the sum of the losses and the number of images with a right
            answer are added.
        persistent: one kernel instead of nine.

    Raises ValueError for other shapes, and in one kernel if there are more images than blocks that
    run at the same time.
    """
    _check(parameters, velocities, x, labels)
    run = runtime()
    room = run.shared_memory_of_processor // (4 * ACTIVATIONS + RESERVED)
    blocks = run.processors * min(BLOCKS, room)
    if persistent and len(x) > blocks:
        raise ValueError(
            f"train_step: {len(x)} images; {blocks} blocks run at the same time on this GPU"
        )
    activations, scratch, counters = _workspace(run, len(x), persistent)
    x, labels = contiguous(x), contiguous(labels)
    weights = [[run.address(a) for a in arrays] for arrays in (parameters, velocities)]
    work = 0 if persistent else run.address(activations), run.address(scratch), run.address(totals)
    rates = lr, momentum, weight_decay
    step = np.array([(run.address(x), run.address(labels), *weights, *work, *rates, len(x))], STEP)
    if persistent:
        shared = 4 * ACTIVATIONS
        launch(SOURCE, "step", len(x), THREADS, step, counters, shared=shared, together=True)
    else:
        for part in PARTS:
            launch(SOURCE, part, len(x), THREADS, step)


def _check(
    parameters: Sequence[Array], velocities: Sequence[Array], x: Array, labels: Array
) -> None:
    """Raises ValueError for arrays of other shapes or types than lenet5's."""
    for arrays in (parameters, velocities):
        fits = all(a.dtype == np.float32 and a.flags.c_contiguous for a in arrays)
        if tuple(a.shape for a in arrays) != SHAPES or not fits:
            raise ValueError(
                f"train_step is for lenet5: expected float32 parameters of the shapes {SHAPES}"
            )
    images_fit = x.shape[1:] == (32, 32, 1) and x.dtype == np.float32
    if not images_fit or labels.shape != x.shape[:1] or labels.dtype != np.int64:
        raise ValueError(
            f"train_step: images are {x.dtype} {x.shape}, labels {labels.dtype} {labels.shape}; "
            "expected float32 (N, 32, 32, 1) and int64 (N,)"
        )


@functools.lru_cache(maxsize=4)
def _workspace(run: Any, images: int, persistent: bool) -> tuple[Array | None, Array, Array]:
    """Activations, if not in shared memory; gradients per image; the barrier's counters."""
    activations = None if persistent else run.empty((images * ACTIVATIONS,), np.float32)
    return (
        activations,
        run.empty((images * SCRATCH,), np.float32),
        run.upload(np.zeros(2, np.uint32)),
    )
