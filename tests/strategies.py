"""Random geometry for every operation, awkward on purpose: odd sizes, batch 1, single channels, asymmetric padding, strided inputs."""

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

small = st.integers(1, 4)
side = st.integers(1, 11)
# Fewer than a vector holds, and one more or less than one, two, three vectors of 8 or 16 numbers.
channels = st.one_of(st.integers(1, 9), st.sampled_from([15, 16, 17, 24, 31, 33, 50]))
seeds = st.integers(0, 2**31)
activations = st.sampled_from([None, "relu", "sigmoid", "tanh", "scaled_tanh"])


@st.composite
def conv2d(draw, dtype):
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    case = {
        "dtype": dtype,
        "seed": draw(seeds),
        "n": draw(st.integers(1, 3)),
        "h": draw(side),
        "w": draw(side),
        "groups": groups,
        "c": groups * draw(channels),
        "k": groups * draw(channels),
        "kernel": (draw(st.integers(1, 5)), draw(st.integers(1, 5))),
        "stride": (draw(st.integers(1, 3)), draw(st.integers(1, 3))),
        "dilation": (draw(st.integers(1, 2)), draw(st.integers(1, 3))),
        "padding": tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(2)),
        "activation": draw(activations),
        "bias": draw(st.booleans()),
        "contiguous": draw(st.booleans()),
    }
    for axis, size in enumerate((case["h"], case["w"])):
        assume(
            size + sum(case["padding"][axis])
            >= case["dilation"][axis] * (case["kernel"][axis] - 1) + 1
        )
    return case


@st.composite
def pool2d(draw, dtype, symmetric):
    kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    even = symmetric or draw(st.booleans())
    side_by_side = draw(st.booleans())  # what most networks do, and what has a path of its own
    padding = []
    for size in kernel:
        before = 0 if side_by_side else draw(st.integers(0, size // 2))
        padding.append((before, before if even or side_by_side else draw(st.integers(0, size - 1))))
    case = {
        "dtype": dtype,
        "seed": draw(seeds),
        "n": draw(st.integers(1, 3)),
        "h": draw(side),
        "w": draw(side),
        "c": draw(channels),
        "kernel": kernel,
        "stride": kernel if side_by_side else (draw(small), draw(small)),
        "padding": tuple(padding),
        "ceil_mode": even and draw(st.booleans()),
        "count_include_pad": draw(st.booleans()),
        "negative": draw(st.booleans()),
        "contiguous": draw(st.booleans()),
    }
    for axis, size in enumerate((case["h"], case["w"])):
        assume(size + sum(padding[axis]) >= kernel[axis])
    return case


@st.composite
def images(draw, dtype, **more):
    case = {
        "dtype": dtype,
        "seed": draw(seeds),
        "n": draw(small),
        "h": draw(side),
        "w": draw(side),
        "c": draw(channels),
    }
    case["contiguous"] = draw(st.booleans())
    return case | {key: draw(strategy) for key, strategy in more.items()}


@st.composite
def rows(draw, dtype, **more):
    case = {
        "dtype": dtype,
        "seed": draw(seeds),
        "n": draw(st.integers(1, 9)),
        "c": draw(channels),
        "k": draw(channels),
    }
    case["contiguous"] = draw(st.booleans())
    return case | {key: draw(strategy) for key, strategy in more.items()}


def subsample2d(dtype):
    return images(dtype, size=st.integers(1, 3), rest=st.just(0))


def local_response_norm(dtype):
    return images(
        dtype,
        size=st.integers(1, 7),
        alpha=st.sampled_from([1e-4, 0.5, 1.0]),
        beta=st.sampled_from([0.5, 0.75, 1.0]),
        k_lrn=st.sampled_from([1.0, 2.0]),
        alpha_div_n=st.booleans(),
    )


@st.composite
def batch_norm(draw, dtype):
    case = draw(
        images(
            dtype,
            training=st.booleans(),
            momentum=st.sampled_from([0.1, 0.01, 1.0]),
            eps=st.sampled_from([1e-5, 1e-3]),
            activation=activations,
            fused=st.booleans(),
        )
    )
    # With two or three values per channel the variance can be tiny, and torch's own rounding is then what one would measure.
    assume(case["n"] * case["h"] * case["w"] >= 4)
    return case


NAMES = {
    "conv2d": conv2d,
    "conv2d_affine": conv2d,
    "conv2d_grad_input_relu": conv2d,
    "fold_batch_norm": conv2d,
    "max_pool2d": lambda dtype: pool2d(dtype, symmetric=False),
    "avg_pool2d": lambda dtype: pool2d(dtype, symmetric=True),
    "global_avg_pool2d": images,
    "adaptive_avg_pool2d": lambda dtype: images(
        dtype, size=st.tuples(st.integers(1, 8), st.integers(1, 8))
    ),
    "subsample2d": subsample2d,
    "local_response_norm": local_response_norm,
    "batch_norm": batch_norm,
    "batch_norm_add": batch_norm,
    "linear": lambda dtype: rows(dtype, activation=activations, bias=st.booleans()),
    "rbf": rows,
    "activation": lambda dtype: images(
        dtype,
        activation=st.sampled_from(["relu", "sigmoid", "tanh", "scaled_tanh"]),
        scale=st.sampled_from([0.1, 1.0, 30.0]),
    ),
    "softmax_cross_entropy": lambda dtype: rows(dtype, scale=st.sampled_from([0.1, 1.0, 100.0])),
    "map_loss": lambda dtype: rows(
        dtype, scale=st.sampled_from([0.1, 1.0, 50.0]), j=st.sampled_from([0.1, 1.0])
    ),
}
DTYPES = [np.float64, np.float32]
