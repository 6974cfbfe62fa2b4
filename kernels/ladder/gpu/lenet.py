"""LeNet-5's training step as nine kernels, and as one: what a small network costs when nothing but arithmetic is left. See lenet.cu."""

import functools
from pathlib import Path

import numpy as np

from ...cuda.arrays import contiguous
from ...cuda.device import THREADS, launch, runtime

SOURCE = Path(__file__).with_name("lenet.cu")
SHAPES = ((5, 5, 1, 6), (6,), (5, 5, 6, 16), (16,), (5, 5, 16, 120), (120,), (120, 84), (84,), (84, 10), (10,))
PARTS = ["c1_s2", "c3_s4", "c5_f6_output", "cross_entropy", "c5_f6_output_back", "c3_s4_back", "c1_s2_back", "gradients", "update"]
STEP = np.dtype(
    [("images", np.uint64), ("labels", np.uint64), ("w", np.uint64, 10), ("v", np.uint64, 10)]
    + [(name, np.uint64) for name in ("activations", "scratch", "totals")]
    + [("lr", np.float32), ("momentum", np.float32), ("weight_decay", np.float32), ("count", np.int32)]
)
ACTIVATIONS, SCRATCH = 10900, 3392  # floats of an image
BLOCKS = 4  # on a multiprocessor at the same time, if its shared memory has room for as many images' activations, 43 KB each


@functools.lru_cache(maxsize=4)
def _room(run, images: int, persistent: bool):
    """Memory that a step uses: activations, unless they are in shared memory; what images leave for the weights; the barrier's counters."""
    activations = None if persistent else run.empty((images * ACTIVATIONS,), np.float32)
    return activations, run.empty((images * SCRATCH,), np.float32), run.upload(np.zeros(2, np.uint32))


def train_step(
    parameters, velocities, x, labels, totals, lr: float, momentum: float = 0.9, weight_decay: float = 0.0, persistent: bool = True
) -> None:
    """One step of SGD on the mean cross-entropy, in place: by one kernel, or by nine, whose CUDA graph one may capture.

    parameters, velocities: ten float32 arrays each, of `SHAPES` (the order of `lenet5`'s `parameters()`). x: `(N, 32, 32, 1)` float32.
    labels: `(N,)` int64. totals: two float64, to which the sum of the losses and the number of right answers are added.
    Raises ValueError for other shapes, and for one kernel if there are more images than blocks that run at the same time.
    """
    for arrays in (parameters, velocities):
        if tuple(a.shape for a in arrays) != SHAPES or any(a.dtype != np.float32 or not a.flags.c_contiguous for a in arrays):
            raise ValueError(f"train_step is for lenet5: expected float32 parameters of the shapes {SHAPES}")
    if x.shape[1:] != (32, 32, 1) or x.dtype != np.float32 or labels.shape != x.shape[:1] or labels.dtype != np.int64:
        raise ValueError(
            f"train_step: images are {x.dtype} {x.shape}, labels {labels.dtype} {labels.shape}; expected (N, 32, 32, 1) and (N,)"
        )
    run = runtime()
    blocks = run.processors * min(BLOCKS, run.shared_memory_of_processor // (4 * ACTIVATIONS + 1024))  # CUDA takes a KB of each
    if persistent and len(x) > blocks:
        raise ValueError(f"train_step: {len(x)} images; {blocks} blocks run at the same time on this GPU")
    activations, scratch, counters = _room(run, len(x), persistent)
    x, labels = contiguous(x), contiguous(labels)
    places = run.address(x), run.address(labels), [run.address(a) for a in parameters], [run.address(a) for a in velocities]
    places += 0 if persistent else run.address(activations), run.address(scratch), run.address(totals)
    step = np.array([(*places, lr, momentum, weight_decay, len(x))], STEP)
    if persistent:
        launch(SOURCE, "step", len(x), THREADS, step, counters, shared=4 * ACTIVATIONS, together=True)
    else:
        for part in PARTS:
            launch(SOURCE, part, len(x), THREADS, step)
