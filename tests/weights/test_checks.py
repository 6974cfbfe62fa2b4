"""Arrays that cannot be weights are rejected by name."""

import numpy as np
import pytest

from minicnn.errors import CheckpointError
from minicnn.weights.checks import check_weights

OWN = {"conv.weight": np.zeros((3, 3), np.float32), "conv.bias": np.zeros(3, np.float32)}


def with_value(value):
    array = np.linspace(-1, 1, 9).reshape(3, 3)
    array[1, 2] = value
    return array


@pytest.mark.parametrize(
    ("array", "fault"),
    [
        (np.ones((3, 3), np.int64), "conv.weight is int64; expected floating-point weights"),
        (np.ones((3, 3), np.uint8), "conv.weight is uint8"),
        (np.ones((3, 3), bool), "conv.weight is bool"),
        (np.ones((3, 3), complex), "conv.weight is complex128"),
        (with_value(np.nan), "conv.weight holds NaN; expected finite weights"),
        (with_value(np.nan).astype(np.float16), "conv.weight holds NaN"),
        (with_value(np.inf), "conv.weight holds Inf; expected finite weights"),
        (with_value(-np.inf).astype(np.float32), "conv.weight holds Inf"),
        (with_value(-1e39), r"conv.weight holds -1e\+39; float32 ends at 3.4e\+38"),
    ],
)
def test_refused(array, fault):
    with pytest.raises(CheckpointError, match=fault):
        check_weights({"conv.weight": array, "conv.bias": OWN["conv.bias"]}, OWN)


@pytest.mark.parametrize(
    "array",
    [
        with_value(3.4e38),
        with_value(1e-300),
        np.ones((3, 3), np.float16),
        np.zeros((0, 3), np.float32),
    ],
)
def test_allowed(array):
    check_weights({"conv.weight": array}, OWN)


def test_bfloat16_is_allowed():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    check_weights({"conv.weight": np.ones((3, 3), bfloat16)}, OWN)
    with pytest.raises(CheckpointError, match="holds NaN"):
        check_weights({"conv.weight": with_value(np.nan).astype(bfloat16)}, OWN)


def test_only_weights_of_the_model_are_judged():
    check_weights({"num_batches_tracked": np.array(3)}, OWN)


def test_a_long_list_is_cut():
    own = {f"{i}.weight": np.ones(2, np.float32) for i in range(20)}
    state = {name: np.full(2, np.nan) for name in own}
    with pytest.raises(CheckpointError, match=r"0\.weight holds NaN.*; 15 more like these$") as e:
        check_weights(state, own)
    assert str(e.value).count("NaN") == 5
