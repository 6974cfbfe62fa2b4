"""LeNet-5's training step as one persistent kernel: what a small network costs when nothing but arithmetic is left. See lenet.cu."""

import functools

import numpy as np

from .arrays import contiguous
from .device import launch, runtime

SHAPES = ((5, 5, 1, 6), (6,), (5, 5, 6, 16), (16,), (5, 5, 16, 120), (120,), (120, 84), (84,), (84, 10), (10,))
NETWORK = np.dtype([("w", np.uint64, 10), ("v", np.uint64, 10)])
SCRATCH, SHARED = 3392, 4 * (1024 + 4704 + 1176 + 1600 + 400 + 120 + 84 + 12 + 84 + 120 + 400 + 1176)
BLOCKS = 4  # that fit on a multiprocessor together: each image's activations are 43 KB


@functools.lru_cache(maxsize=4)
def _room(run, images: int):
    """Memory that a step uses: what images leave for the weights, and the barrier's counters, which every step leaves at 0."""
    return run.empty((images * SCRATCH,), np.float32), run.upload(np.zeros(2, np.uint32))


def train_step(parameters, velocities, x, labels, totals, lr: float, momentum: float = 0.9, weight_decay: float = 0.0) -> None:
    """One step of SGD on the mean cross-entropy, in place.

    parameters, velocities: ten float32 arrays each, of `SHAPES` (the order of `lenet5`'s `parameters()`). x: `(N, 32, 32, 1)` float32.
    labels: `(N,)` int64. totals: two float64, to which the sum of the losses and the number of right answers are added.
    Raises ValueError for other shapes, or for more images than there are blocks at the same time.
    """
    for arrays in (parameters, velocities):
        if tuple(a.shape for a in arrays) != SHAPES or any(a.dtype != np.float32 or not a.flags.c_contiguous for a in arrays):
            raise ValueError(f"train_step is for lenet5: expected float32 parameters of the shapes {SHAPES}")
    if x.shape[1:] != (32, 32, 1) or x.dtype != np.float32 or labels.shape != x.shape[:1] or labels.dtype != np.int64:
        raise ValueError(
            f"train_step: images are {x.dtype} {x.shape}, labels {labels.dtype} {labels.shape}; expected (N, 32, 32, 1) and (N,)"
        )
    run = runtime()
    if len(x) > BLOCKS * run.processors:
        raise ValueError(f"train_step: {len(x)} images; {BLOCKS * run.processors} blocks run at the same time on this GPU")
    scratch, counters = _room(run, len(x))
    network = np.array([([run.address(a) for a in parameters], [run.address(a) for a in velocities])], NETWORK)
    numbers = float(lr), float(momentum), float(weight_decay)
    batch = contiguous(x), contiguous(labels)
    launch("lenet.cu", "step", len(x), 256, *batch, network, scratch, counters, totals, *numbers, shared=SHARED, together=True)
