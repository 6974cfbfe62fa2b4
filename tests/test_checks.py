"""Numbers that users give."""

import math

import numpy as np
import pytest

from minicnn.checks import checked_flag, is_function, is_number, is_one_of, is_whole, plain


@pytest.mark.parametrize("value", [0, 1.5, np.int64(2), np.float32(0.5)])
def test_numbers(value):
    assert is_number(value, 0, 2)
    assert type(plain(value)) in (int, float)


@pytest.mark.parametrize("value", ["1", None, True, math.nan, math.inf, 1j, -1, 3, np.ones(1)])
def test_what_is_no_number_from_0_to_2(value):
    assert not is_number(value, 0, 2)


def test_integers():
    assert is_whole(np.uint8(2), 0, 2)
    assert not any(is_whole(value, 0, 2) for value in (True, 1.0, "1", 3, np.ones(1, int)))


def test_names():
    assert is_one_of("a", ["a", "b"])
    assert not any(is_one_of(value, {"a": 1}) for value in ("b", None, [], {}, np.ones(2)))


@pytest.mark.parametrize("value", [True, np.True_, 1, np.int8(1)])
def test_flags(value):
    assert checked_flag("bias", value) is True


@pytest.mark.parametrize("value", ["no", "True", None, 2, 1.0, [], np.ones(2, bool), np.ones(1)])
def test_what_is_no_flag(value):
    with pytest.raises(ValueError, match=r"^bias=.*: expected True or False$"):
        checked_flag("bias", value)


def test_functions():
    assert all(is_function(f, 2) for f in (lambda x, y: 0, lambda *a: 0, max, np.add, "ab".count))
    assert not any(is_function(f, 2) for f in (None, dict, lambda x: 0, lambda x, y, *, z: 0))
