"""Messages about wrong values: one line of readable length, whatever the value is."""

import numpy as np
import pytest

from minicnn import data, models, save, training
from minicnn.errors import brief

LARGE = np.arange(3000.0).reshape(30, 100)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5"),
        ("adam  w", "'adam  w'"),
        ((3, 4), "(3, 4)"),
        (None, "None"),
        ("a\nb", "'a\\nb'"),
        (range(3), "range(0, 3)"),
        (list(range(9)), "[0, 1, 2, 3, 4, 5, ...]"),
        (np.ones((2, 2)), "array([[1., 1.], [1., 1.]])"),
    ],
)
def test_a_value_is_shown_as_python_writes_it(value, text):
    assert brief(value) == text


@pytest.mark.parametrize(
    "value",
    [LARGE, {f"layer{i}": LARGE for i in range(20)}, "x" * 1000, [LARGE] * 9, b"x" * 10**5],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize(
    "function",
    [
        lambda value: save(value, "model.safetensors"),
        lambda value: models.create("lenet5", num_classes=value),
        lambda value: training.EarlyStopping(patience=value),
        lambda value: training.SGD(models.create("lenet5").parameters(), lr=value),
        lambda value: data.augment.Mixup(alpha=value),
        lambda value: data.Decode((32, 32), channels=value),
        lambda value: data.hold_out(None, value),
    ],
    ids=["save", "option", "callback", "optimizer", "augmentation", "pixels", "share"],
)
def test_a_large_value_takes_one_line(function, value):
    with pytest.raises(ValueError, match="expected") as error:
        function(value)
    assert len(str(error.value)) < 600
    assert "\n" not in str(error.value)
