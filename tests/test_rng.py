"""One seed determines all random numbers."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import minicnn
from minicnn import rng
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


def draws(number: int) -> list[float]:
    """`number` numbers from seed 3, with time for other threads between them."""
    minicnn.seed(3)
    found = []
    for _ in range(number):
        found.append(rng.generator().random())
        time.sleep(0.001)
    return found


def test_threads_that_seed_do_not_disturb_each_other():
    alone = draws(20)
    position = rng.state()
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(draws, [20, 20])) == [alone, alone]
    assert rng.state() == position


def test_a_thread_without_a_seed_goes_on_with_the_main_ones():
    alone = draws(3)
    minicnn.seed(3)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(lambda: rng.generator().random(2).tolist()).result()
    assert [*second, rng.generator().random()] == alone
