"""The number of windows of Caffe's pooling, which rounds it up."""

from ..kernels.types import Pair


def windows(size: Pair, kernel: Pair, stride: Pair, pad: Pair, down: bool = False) -> Pair:
    """(vertical, horizontal) for maps of `size` pixels.

    o = ceil((i + 2 pad - k) / s) + 1. If any pad is above 0, it is one less along each axis on
    which the last window starts beyond i + pad.
    down: round down, as the last version of Caffe can.
    """
    counts = []
    for n, k, s, p in zip(size, kernel, stride, pad, strict=True):
        span = n + 2 * p - k
        count = (span // s if down else -(-span // s)) + 1
        counts.append(count - (max(pad) > 0 and (count - 1) * s >= n + p))
    return counts[0], counts[1]
