"""Containers: the paths that outputs come from and that gradients add up."""

import pytest

from minicnn.layers import BatchNorm2d, Concat, Conv2d, MaxPool2d, Residual, Sequential
from tests.study.explain.numbers import check_all


def body(stride=1):
    return Sequential(
        a=Conv2d(3, 2, 3, stride, 1, activation="relu"), b=Sequential(Conv2d(2, 3, 1))
    )


@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("shortcut", [None, "conv"])
def test_residual(activation, shortcut):
    block = Residual(body(), Conv2d(3, 3, 1) if shortcut else None, activation)
    found = check_all(Sequential(first=Conv2d(2, 3, 1), block=block), (2, 4, 5, 2), count=5)
    for what in ("y", "dx"):
        e = found["block", what]
        assert e.kind == "paths"
        second = "block.shortcut" if shortcut else "block"
        assert [t.factors[0].path for t in e.terms] == ["block.body", second]
    assert found["block.body.a", "x"].terms[0].factors[0].path == "first"
    assert found["block.body.b.0", "x"].terms[0].factors[0].path == "block.body.a"
    assert found["block.body.a", "dy"].terms[0].factors[0].path == "block.body.b.0"
    assert found["block.body.b.0", "dy"].terms[0].factors[0].path == "block"
    assert found["first", "dy"].terms[0].factors[0].path == "block"


def test_concat():
    join = Concat(a=Conv2d(3, 2, 1), b=body(), c=MaxPool2d(3, 1, 1))
    found = check_all(Sequential(join=join, bn=BatchNorm2d(8)), (2, 4, 5, 3), count=12)
    assert found["join", "y"].formula == "y[..., c] = c.y[..., c - 5]"
    assert found["join", "y"].note == "The channels 5 to 7 are those of c."
    assert [t.factors[0].path for t in found["join", "dx"].terms] == ["join.a", "join.b", "join.c"]
    assert found["join.c", "dy"].terms[0].factors[0].index == (1, 3, 4, 7)
    assert found["bn", "x"].terms[0].factors[0].path == "join"


def test_the_layers_alone():
    check_all(Concat(a=Conv2d(3, 2, 1), b=MaxPool2d(3, 1, 1)), (2, 4, 5, 3), count=4)
    check_all(Residual(body(), activation="relu"), (2, 4, 5, 3), count=4)
