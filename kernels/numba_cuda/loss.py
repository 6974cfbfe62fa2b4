"""Softmax cross-entropy in Numba-CUDA: one block per image, whose threads reduce in halving steps.

The threads find the largest logit, then the sum of exponentials.
"""

import math

import numpy as np
from numba import cuda, float32

from ..reference.arrays import array_module
from ..reference.loss import smoothed_targets
from ..types import Array
from .launch import contiguous

WIDTH = 32  # threads of a block


@cuda.jit
def _cross_entropy(logits: Array, targets: Array, losses: Array, dlogits: Array) -> None:
    shared = cuda.shared.array(WIDTH, float32)
    n, lane, classes = cuda.blockIdx.x, cuda.threadIdx.x, logits.shape[1]
    largest = float32(-math.inf)
    for i in range(lane, classes, WIDTH):
        largest = max(largest, logits[n, i])
    shared[lane] = largest
    cuda.syncthreads()
    half = WIDTH // 2
    while half:
        if lane < half:
            shared[lane] = max(shared[lane], shared[lane + half])
        cuda.syncthreads()
        half //= 2
    largest = shared[0]
    cuda.syncthreads()  # every thread has read it before the memory is used again
    total = float32(0)
    for i in range(lane, classes, WIDTH):
        total += math.exp(logits[n, i] - largest)
    shared[lane] = total
    cuda.syncthreads()
    half = WIDTH // 2
    while half:
        if lane < half:
            shared[lane] += shared[lane + half]
        cuda.syncthreads()
        half //= 2
    log_sum = math.log(shared[0])
    weight = product = float32(0)
    for i in range(classes):  # every thread adds all: few targets are not worth another reduction
        weight += targets[n, i]
        product += targets[n, i] * (logits[n, i] - largest)
    if lane == 0:
        losses[n] = weight * log_sum - product
    for i in range(lane, classes, WIDTH):
        p = math.exp(logits[n, i] - largest - log_sum)
        dlogits[n, i] = (p * weight - targets[n, i]) / logits.shape[0]


def softmax_cross_entropy(
    logits: Array,
    targets: Array,
    class_weights: Array | None = None,
    label_smoothing: float = 0.0,
) -> tuple[Array, Array]:
    """See `functional.softmax_cross_entropy`."""
    logits, xp = contiguous(logits), array_module(logits)
    targets = contiguous(smoothed_targets(logits, targets, class_weights, label_smoothing))
    losses, dlogits = xp.empty(len(logits), np.float32), xp.empty_like(logits)
    _cross_entropy[len(logits), WIDTH](logits, targets, losses, dlogits)
    return losses.mean(), dlogits
