"""The session: image, pass, explanations in plain values, one step and the way back."""

import json

import numpy as np
import pytest

from minicnn.errors import DataError
from minicnn.study import trace
from minicnn.study.explain import explain
from minicnn.study.explore.pages import Page
from minicnn.training import SGD, SoftmaxCrossEntropy

from .common import every_layer, session


def test_state_is_plain_and_complete():
    found = session()
    state = json.loads(json.dumps(found.state(), allow_nan=False))
    paths = [layer["path"] for layer in state["layers"]]
    assert paths[0] == "" and paths[-1] == "loss"
    assert paths[1:-1] == [record.path for record in found.trace.records[:-2]]
    assert state["data"] == {"name": "digits", "splits": {"test": 40, "train": 80}}
    assert state["image"] == {
        "text": "digits, test image 0",
        "label": state["loss_label"],
        "split": "test",
        "index": 0,
    }
    total = sum(one["p"] for one in state["top"])
    assert 0 < total <= 1 and len(state["top"]) == 5
    block = next(layer for layer in state["layers"] if layer["path"] == "block")
    assert block["container"] and block["arrays"]["y"] == [1, 6, 6, 4]


def test_explanations_are_those_of_the_engine():
    found = session()
    view = found.explain("block.body.conv", "y", (0, 2, 3, 1), Page(limit=1000))
    other = explain(found.trace, "block.body.conv", "y", (0, 2, 3, 1))
    assert view["sum"] == other.sum and view["engine"] == other.engine
    assert [term["value"] for term in view["terms"]] == [term.value for term in other.terms]


def test_images_change_the_pass_and_a_wrong_one_does_not():
    found = session()
    before, version = found.trace["fc"].y.copy(), found.version
    found.choose("train", 5)
    assert found.version == version + 1 and (found.trace["fc"].y != before).any()
    image, label = found.gallery.sets["train"][5]
    np.testing.assert_array_equal(found.picture.pixels, image)
    assert found.trace.labels == [label]
    with pytest.raises(DataError, match="test image 40: expected 0 to 39"):
        found.choose("test", 40)
    with pytest.raises(DataError, match="a.png: it cannot be read as an image"):
        found.open("a.png", b"no image")
    np.testing.assert_array_equal(found.picture.pixels, image)
    assert found.trace.labels == [label]


def test_a_drawing_has_the_predicted_class_until_one_is_chosen():
    found = session()
    found.draw(np.full((28, 28), 200, np.uint8))
    assert found.picture.label is None
    assert found.state()["loss_label"] == found.state()["top"][0]["class"]
    found.relabel(3)
    assert found.state()["loss_label"] == 3
    with pytest.raises(ValueError, match="class 10: expected 0 to 9"):
        found.relabel(10)


def test_one_step_is_that_of_sgd_and_can_be_undone():
    found = session()
    twin = every_layer()
    twin.load_state_dict(found.model.state_dict())
    x, labels = found.trace[""].x, found.trace.labels
    loss = SoftmaxCrossEntropy()
    optimizer = SGD(twin.parameters(), lr=0.1)
    value, gradient = loss(twin.eval()(x), labels)
    twin.backward(gradient)
    optimizer.step()
    result = found.step(0.1)
    assert result["before"]["loss"] == pytest.approx(float(value))
    after = float(loss(twin(x), labels)[0])
    assert result["after"]["loss"] == pytest.approx(after, rel=1e-4)
    assert after != pytest.approx(float(value), rel=1e-3)
    for name, array in twin.state_dict().items():
        np.testing.assert_allclose(found.model.state_dict()[name], array, rtol=1e-4, atol=1e-6)
    found.restore()
    assert found.state()["loss"] == result["before"]["loss"]
    with pytest.raises(ValueError, match="lr=-1"):
        found.step(-1.0)


def test_arrays_by_name():
    found = session()
    again = trace(found.model, found.trace[""].x, found.trace.labels)
    np.testing.assert_array_equal(found.array("conv", "dy"), again["conv"].dy)
    np.testing.assert_array_equal(found.array("conv", "value.w"), found.model.conv.weight.value)
    with pytest.raises(ValueError, match="there is no array 'value.z'"):
        found.array("conv", "value.z")
