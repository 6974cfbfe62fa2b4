"""Random arrays and geometry, their torch twins, and the comparison of results."""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

TOLERANCE = {np.float64: 1e-10, np.float32: 1e-5}


def assert_close(ours, theirs, dtype, what, at_least=1.0):
    """Require the largest difference, relative to the largest value of `theirs`, to be small.

    Both sides may be arrays in NHWC or scalars.
    at_least: the size of the summed terms. A sum of many terms that happens to be near zero is only
        as exact as the terms.
    """
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape, f"{what}: shape {ours.shape}, torch has {theirs.shape}"
    scale = max(abs(theirs).max(initial=0), at_least)
    error = abs(ours - theirs).max(initial=0) / scale
    assert error <= TOLERANCE[dtype], f"{what}: relative error {error:.2e}"


def draw(case, *shapes):
    """Arrays N(0, 1) of the case's dtype; strided views if it says so."""
    generator = np.random.default_rng(case["seed"])
    arrays = []
    for shape in shapes:
        if case.get("contiguous", True):
            arrays.append(generator.standard_normal(shape).astype(case["dtype"]))
        else:
            wide = generator.standard_normal((*shape[:-1], 2 * shape[-1])).astype(case["dtype"])
            arrays.append(wide[..., ::2])
    return arrays


def nchw(x, requires_grad=True):
    """Our image batch as a torch tensor.

    A copy, because with the strides of a view of one channel torch takes the tensor for
    channels-last, and torch 2.13 then gives wrong convolutions of one column.
    """
    return torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=requires_grad)


def oihw(w):
    return torch.tensor(np.ascontiguousarray(w.transpose(3, 2, 0, 1)), requires_grad=True)


def flat(x):
    return torch.tensor(np.ascontiguousarray(x), requires_grad=True)


def nhwc(t):
    return np.moveaxis(t.detach().numpy(), 1, -1)


ACTIVATE = {
    None: lambda t: t,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "scaled_tanh": lambda t: 1.7159 * torch.tanh(t * (2 / 3)),
    "gelu": F.gelu,
    "relu6": F.relu6,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "clip": torch.clone,  # without limits
    # In float64 the gradient of torch.hardsigmoid is off by 3e-8: its 1/6 is a float32.
    "hard_sigmoid": lambda t: F.relu6(t + 3) / 6,
    "hard_swish": F.hardswish,
    "silu": F.silu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
}


def pad(t, padding, value=0.0):
    (top, bottom), (left, right) = padding
    return F.pad(t, (left, right, top, bottom), value=value)


small = st.integers(1, 4)
side = st.integers(1, 11)
# Fewer than a vector holds, and one more or less than one, two, three vectors of 8 or 16 numbers.
channels = st.one_of(st.integers(1, 9), st.sampled_from([15, 16, 17, 24, 31, 33, 50]))
seeds = st.integers(0, 2**31)
activations = st.sampled_from(list(ACTIVATE))
DTYPES = [np.float64, np.float32]


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
