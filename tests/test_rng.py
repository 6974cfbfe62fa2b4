"""One seed determines all random numbers."""

import numpy as np
import pytest

import minicnn
from minicnn.layers import Conv2d


def test_one_seed_governs_the_weights():
    minicnn.seed(5)
    first = Conv2d(3, 4, 3).weight.value
    second = Conv2d(3, 4, 3).weight.value
    minicnn.seed(5)
    np.testing.assert_array_equal(Conv2d(3, 4, 3).weight.value, first)
    assert (first != second).any()
    with pytest.raises(ValueError, match="seed=-1"):
        minicnn.seed(-1)
