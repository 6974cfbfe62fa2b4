"""MobileNet v1: the sizes of the paper's table 1, the counts of its tables 6 and 7."""

import pytest

from minicnn import models
from minicnn.layers.init import skip_init

from .starts import assert_loss_falls
from .tables import sizes, table


def test_sizes():
    found = sizes("mobilenet_v1")
    assert found["conv1"] == (112, 112, 32)
    assert [found[f"separable{n}.bn2"] for n in (1, 3, 5, 11, 13)] == [
        *((112, 112, 64), (56, 56, 128), (28, 28, 256), (14, 14, 512), (7, 7, 1024))
    ]


@pytest.mark.parametrize(
    ("alpha", "input_size", "macs", "parameters"),
    [
        (1.0, 224, 569, 4.2),
        (0.75, 224, 325, 2.6),
        (0.5, 224, 149, 1.3),
        (0.25, 224, 41, 0.5),
        (1.0, 192, 418, 4.2),
        (1.0, 160, 290, 4.2),
        (1.0, 128, 186, 4.2),
    ],
)
def test_multipliers(alpha, input_size, macs, parameters):
    """Tables 6 and 7, in millions; 290.7 is printed as 290."""
    found = table("mobilenet_v1", alpha=alpha, input_size=input_size)
    assert found.macs / 1e6 == pytest.approx(macs, abs=0.7)
    assert round(found.parameters / 1e6, 1) == parameters


def test_where_the_operations_are():
    """Table 2, in percent; its 1.19 of conv1 is 1.91, which completes the sum.

    Its parameters are the weights, without biases and batch norm.
    """
    kinds = {"pointwise": (94.86, 74.59), "depthwise": (3.06, 1.06), "conv1": (1.91, 0.02)}
    kinds |= {"fc": (0.18, 24.33)}
    found = table("mobilenet_v1")
    with skip_init():
        parameters = dict(models.create("mobilenet_v1").named_parameters())
    weights = {name: p.value.size for name, p in parameters.items() if p.value.ndim > 1}
    for kind, (of_macs, of_weights) in kinds.items():
        macs = sum(row.macs for row in found.rows if row.name.endswith(kind))
        count = sum(n for name, n in weights.items() if name.endswith(f"{kind}.weight"))
        assert round(100 * macs / found.macs, 2) == of_macs, kind
        assert round(100 * count / sum(weights.values()), 2) == of_weights, kind


def test_a_width_that_is_none():
    for name in ("mobilenet_v1", "mobilenet_v2"):
        for alpha in (0, -1, float("nan"), float("inf")):
            with pytest.raises(ValueError, match=f"alpha={alpha}: expected a number above 0"):
                models.create(name, alpha=alpha)


def test_depthwise_filters_do_not_decay():
    for name in ("mobilenet_v1", "mobilenet_v2"):
        with skip_init():
            model = models.create(name, alpha=0.25, recipe="paper")
        decay = {
            parameter.value.shape[2]: model.recipe.multiplier(path)[1]
            for path, parameter in model.named_parameters()
            if path.endswith("weight") and parameter.value.ndim == 4
        }
        assert decay.pop(1) == 0.0  # one channel per group
        assert set(decay.values()) == {1.0}


def test_loss_falls(photographs):
    assert_loss_falls("mobilenet_v1", photographs, lr=0.05, steps=60, alpha=0.25, input_size=32)
