"""Lists of images, and what the network got wrong."""

import numpy as np

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
