"""Numbers that users give."""

import math

import numpy as np
import pytest

from minicnn.checks import is_number, plain


@pytest.mark.parametrize("value", [0, 1.5, np.int64(2), np.float32(0.5)])
def test_numbers(value):
    assert is_number(value, 0, 2)
    assert type(plain(value)) in (int, float)


@pytest.mark.parametrize("value", ["1", None, True, math.nan, math.inf, 1j, -1, 3, np.ones(1)])
def test_what_is_no_number_from_0_to_2(value):
    assert not is_number(value, 0, 2)
