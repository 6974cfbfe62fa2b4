"""Some random results of a large convolution against float64: those of the calls that are timed."""

from itertools import product
from typing import Any

import numpy as np

from minicnn.device import to_host

from .correctness import LIMITS, Check, relative

PIXELS, FILTERS = 16, 16


def check(
    name: str,
    what: str,
    precision: str,
    x: Any,
    dy: Any,
    w: Any,
    geometry: dict[str, int],
    result: Any,
) -> Check:
    """Compare some numbers of `result`, which a pass computed from x, dy and w.

    All channels of PIXELS pixels, or of a weight gradient FILTERS filters at two taps and channels.
    """
    weights = _wide(w)
    if precision == "bf16":
        weights = _wide(_half(weights))
    passes = {"forward": _forward, "input gradient": _input, "weight gradient": _weight}
    ours, exact = passes.get(what, _weight_and_bias)(
        x,
        dy,
        _dense(weights, geometry.get("groups", 1)),
        geometry.get("stride", 1),
        geometry.get("padding", 0),
        result,
        np.random.default_rng(),
    )
    return Check(
        f"{name}, some results",
        precision,
        relative(np.array(ours), np.array(exact)),
        LIMITS[precision],
        True,
    )


def _dense(w: np.ndarray, groups: int) -> np.ndarray:
    """The weights `(kH, kW, C, K)` of one group that does the same: zeros between the groups."""
    channels, filters = w.shape[2], w.shape[3] // groups
    dense = np.zeros((*w.shape[:2], channels * groups, w.shape[3]))
    for g in range(groups):
        k = slice(g * filters, (g + 1) * filters)
        dense[:, :, g * channels : (g + 1) * channels, k] = w[..., k]
    return dense


def _half(array: np.ndarray) -> np.ndarray:
    from ml_dtypes import bfloat16

    return array.astype(np.float32).astype(bfloat16)


def _wide(array: Any) -> np.ndarray:
    return np.asarray(to_host(array)).astype(np.float64)


def _forward(x, dy, w, stride, padding, result, generator):
    ours, exact = [], []
    for n, p, q in zip(
        *(generator.integers(0, size, PIXELS) for size in result.shape[:3]), strict=True
    ):
        total = np.zeros(w.shape[3])
        for r, s in product(range(w.shape[0]), range(w.shape[1])):
            h, v = p * stride - padding + r, q * stride - padding + s
            if 0 <= h < x.shape[1] and 0 <= v < x.shape[2]:
                total += _wide(x[n, h, v]) @ w[r, s]
        ours.append(_wide(result[n, p, q]))
        exact.append(total)
    return ours, exact


def _input(x, dy, w, stride, padding, result, generator):
    ours, exact = [], []
    for n, h, v in zip(
        *(generator.integers(0, size, PIXELS) for size in result.shape[:3]), strict=True
    ):
        total = np.zeros(w.shape[2])
        for r, s in product(range(w.shape[0]), range(w.shape[1])):
            (p, rest_p), (q, rest_q) = (
                divmod(h + padding - r, stride),
                divmod(v + padding - s, stride),
            )
            if rest_p == rest_q == 0 and 0 <= p < dy.shape[1] and 0 <= q < dy.shape[2]:
                total += w[r, s] @ _wide(dy[n, p, q])
        ours.append(_wide(result[n, h, v]))
        exact.append(total)
    return ours, exact


def _weight(x, dy, w, stride, padding, result, generator):
    """Two taps and channels of a group, each with some filters: sums over all pixels."""
    ours, exact = [], []
    first = int(generator.integers(0, max(1, w.shape[3] - FILTERS + 1)))
    some = _wide(dy[..., first : first + FILTERS])
    channels = result.shape[2]
    filters = result.shape[3] * channels // x.shape[3]  # per group
    for _ in range(2):
        r, s, c = (int(generator.integers(0, size)) for size in result.shape[:3])
        groups = np.arange(first, first + some.shape[3]) // filters
        begin, end = groups[0] * channels + c, groups[-1] * channels + c + 1
        border = (0, 0), (padding, padding), (padding, padding), (0, 0)
        maps = np.pad(_wide(x[..., begin:end])[..., (groups - groups[0]) * channels], border)
        rows, columns = (
            slice(at, at + stride * (size - 1) + 1, stride)
            for at, size in ((r, dy.shape[1]), (s, dy.shape[2]))
        )
        exact.append((maps[:, rows, columns] * some).sum(axis=(0, 1, 2)))
        ours.append(_wide(result[r, s, c, first : first + FILTERS]))
    return ours, exact


def _weight_and_bias(x, dy, w, stride, padding, result, generator):
    ours, exact = _weight(x, dy, w, stride, padding, result[0], generator)
    ours.append(_wide(result[1][:FILTERS]))
    exact.append(_wide(dy[..., :FILTERS]).sum(axis=(0, 1, 2)))
    return ours, exact
