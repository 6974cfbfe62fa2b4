"""Output sizes by the rules of architectures' sources, and messages for what does not fit."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st

from minicnn.kernels.geometry import output_size, padding_pairs, pool_window, window


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "ceil", "expected"),
    [
        (227, 11, 4, 0, False, 55),  # AlexNet conv1
        (224, 7, 2, 3, False, 112),  # GoogLeNet and ResNet stems
        (112, 3, 2, 0, True, 56),  # GoogLeNet pool1: floor would give 55
        (112, 3, 2, 0, False, 55),
        (224, 7, 2, 1, False, 110),  # ZFNet conv1
        (110, 3, 2, 0, True, 55),  # ZFNet pool1
        (2, 2, 3, 1, True, 1),  # the second window would start in the right padding: clipped
    ],
)
def test_known_sizes(size, kernel, stride, padding, ceil, expected):
    assert output_size(size, kernel, stride, (padding, padding), 1, ceil) == expected


@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 5), st.integers(0, 2), st.booleans())
def test_like_torch(size, kernel, stride, padding, ceil):
    assume(padding <= kernel // 2 and size + 2 * padding >= kernel)
    theirs = F.max_pool2d(
        torch.zeros(1, 1, size, size), kernel, stride, padding, ceil_mode=ceil
    ).shape[-1]
    assert output_size(size, kernel, stride, (padding, padding), 1, ceil) == theirs


def test_forms_of_padding():
    assert padding_pairs(2) == ((2, 2), (2, 2))
    assert padding_pairs((1, 2)) == ((1, 1), (2, 2))
    assert padding_pairs(((0, 3), (1, 2))) == ((0, 3), (1, 2))


@pytest.mark.parametrize(
    "padding", [-1, (1, -2), ((0, -1), (0, 0)), 1.5, (1, 2, 3), "same", None, True]
)
def test_malformed_padding(padding):
    with pytest.raises(ValueError, match="padding="):
        padding_pairs(padding)


def test_too_large_a_kernel():
    with pytest.raises(ValueError, match="a window of 5 pixels does not fit into 3"):
        window((3, 3), 5)
    with pytest.raises(ValueError, match="a window of 9 pixels does not fit into 5 \\+ 2"):
        window((5, 5), 5, padding=1, dilation=2)


def test_pooling_never_looks_at_padding_alone():
    with pytest.raises(ValueError, match="must be smaller than kernel_size"):
        pool_window((8, 8), 2, 2, 2)
