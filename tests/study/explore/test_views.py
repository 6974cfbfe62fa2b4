"""Lists of images, and what the network got wrong."""

import numpy as np
import pytest

from minicnn.study import look
from minicnn.study.explore.views import Views

from .common import session


def test_pages_of_images():
    own = session()
    found = Views(own).images("test", 38, 10)
    assert found["count"] == 40
    labels = own.gallery.sets["test"].labels
    assert [(one["index"], one["label"]) for one in found["images"]] == [
        (38, str(labels[38])),
        (39, str(labels[39])),
    ]


def test_mistakes_are_those_of_the_network():
    own = session()
    found = Views(own).mistakes("test")
    test = own.gallery.sets["test"]
    outputs = own.model.eval()(own.gallery.preprocess(test.images))
    wrong = np.flatnonzero(outputs.argmax(axis=1) != test.labels)
    assert found["count"] == len(wrong) > 0 and found["tested"] == 40
    assert {one["index"] for one in found["images"]} == set(wrong.tolist())
    certainty = [one["p"] for one in found["images"]]
    assert certainty == sorted(certainty, reverse=True)


def test_what_matters_is_that_of_study_look():
    own = session()
    x, views = own.trace[""].x[0], Views(own)
    for method in ("saliency", "guided_backprop", "grad_cam", "occlusion"):
        found, about = views.look(method, 3, "", 0)
        expected = getattr(look, method)(own.model, x, 3).reshape(12, 12)
        np.testing.assert_array_equal(found, expected)
        assert about["high"] == expected.max() and about["text"] == "for class 3"
    found, about = views.look("deconvnet", -1, "block.body.conv", 1)
    expected = look.deconvnet(own.model, x, "block.body.conv", 1)[..., 0]
    np.testing.assert_array_equal(found, expected)
    best = own.state()["top"][0]["class"]
    np.testing.assert_array_equal(
        views.look("saliency", -1, "", 0)[0], look.saliency(own.model, x, best)
    )
    for layer, name in (("", "the image"), ("loss", "loss")):
        with pytest.raises(ValueError, match=f"the layer in view is {name}; expected a layer of"):
            views.look("deconvnet", -1, layer, 0)
    with pytest.raises(ValueError, match="method 'x': expected one of saliency, guided_backprop"):
        views.look("x", 0, "", 0)
