"""Profiles: every layer has a row, and the rows are the step."""

import json

import pytest
from matplotlib.figure import Figure
from PIL import Image

from minicnn import models, study
from minicnn.errors import ShapeError
from minicnn.layers import Conv2d, Flatten, Linear, MaxPool2d, Sequential


@pytest.fixture(scope="module")
def found():
    net = Sequential(
        conv=Conv2d(3, 8, 3, activation="relu"),
        pool=MaxPool2d(2),
        flatten=Flatten(),
        fc=Linear(72, 4),
    )
    return study.profile(net, (8, 8, 3), batch=2, steps=1)


def test_every_layer_has_a_row_and_the_sum_is_the_step(found):
    assert [row.name for row in found.rows] == [
        *("conv", "pool", "flatten", "fc", "loss", "update", "rest")
    ]
    conv, pool, *_, fc, loss, update, _rest = found.rows
    plain = 2 * 2 * 36 * 27 * 8
    assert conv.flops == 2 * plain, "forward and the weight gradient; nobody needs dx"
    assert conv.forward_floor >= plain / found.peak_flops > 0
    assert fc.flops == 3 * 2 * 2 * 72 * 4
    assert pool.flops == 0 < pool.bytes
    assert loss.backward == update.forward == 0 < min(loss.forward, update.backward)
    assert all(row.seconds > 0 for row in found.rows)
    assert found.seconds == pytest.approx(sum(row.seconds for row in found.rows))
    assert found.held == sum(row.held for row in found.rows) > conv.held > 0
    assert 0.02 < found.step / found.seconds < 50, "both are the same step"
    assert found.fastest <= found.step <= found.slowest
    assert list(found.operations.values()) == sorted(found.operations.values(), reverse=True)
    assert {"conv2d", "max_pool2d_grad", "sgd_update"} <= set(found.operations)


def test_a_profile_is_shown_as_text_numbers_and_picture(found, tmp_path):
    assert found.title == "Sequential, training step, 2 images of 8x8x3, layer by layer"
    assert found.footer().startswith("sum of the rows ")
    assert "; the fused network of fit " in found.footer()
    told = json.loads(found.to_json())
    assert len(told["rows"]) == len(found.rows)
    assert told["seconds"] == found.seconds
    assert isinstance(found.picture(), Figure)
    with Image.open(found.picture(tmp_path / "bars.png")) as image:
        assert min(image.size) > 300


def test_an_inference_has_no_backward_and_holds_nothing():
    found = study.profile(models.create("lenet5"), batch=1, train=False, steps=1)
    assert {row.backward for row in found.rows} == {0}
    assert found.held == 0
    assert "loss" not in [row.name for row in found.rows]


def test_the_fused_network_has_rows_of_several_layers():
    net = Sequential(a=Conv2d(1, 4, 3, activation="relu"), p=MaxPool2d(2), f=Flatten())
    found = study.profile(net, (6, 6, 1), batch=1, fused=True, steps=1)
    assert [row.name for row in found.rows[:2]] == ["a+p", "f"]
    assert found.step == found.fused_step
    assert found.rows[0].held > 0


def test_wrong_arguments_are_named():
    net = models.create("lenet5")
    with pytest.raises(ShapeError, match="expected \\(N, 32, 32, 1\\)|channels|expected"):
        study.profile(net, (32, 32, 3), steps=1)
    with pytest.raises(ValueError, match="steps=0: expected an integer >= 1"):
        study.profile(net, steps=0)
