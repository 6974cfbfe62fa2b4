"""Occlusion against loops over the squares."""

import numpy as np
import pytest

from minicnn.kernels import functional as F
from minicnn.study import look
from minicnn.study.look.occlusion import positions

from .twins import branched, chain, network


def loops(model, image, class_, size, stride, fill):
    """The drop of the probability per pixel, and the probability per place of the square."""
    model.eval()
    p = lambda x: F.softmax(model(x[None]))[0, class_]  # noqa: E731
    height, width = image.shape[:2]
    rows = sorted({*range(0, height - size + 1, stride), height - size})
    columns = sorted({*range(0, width - size + 1, stride), width - size})
    places = np.empty((len(rows), len(columns)))
    own = [[[] for _ in range(width)] for _ in range(height)]
    for i, top in enumerate(rows):
        for j, left in enumerate(columns):
            covered = image.copy()
            covered[top : top + size, left : left + size] = fill
            places[i, j] = p(covered)
            for row in range(top, top + size):
                for column in range(left, left + size):
                    own[row][column].append(places[i, j])
    means = np.array([[np.mean(cell) for cell in line] for line in own])
    return p(image) - means, places


@pytest.mark.parametrize("make", [chain, branched])
@pytest.mark.parametrize(
    ("size", "stride", "fill"), [(5, 3, 0.0), (4, 4, 2.5), (3, 2, (1.0, -2.0, 3.0))]
)
def test_it_is_a_loop(make, size, stride, fill):
    model, x = network(make)
    options = {"size": size, "stride": stride, "fill": fill}
    expected = [loops(model, image, 2, size, stride, fill) for image in x]
    found = look.occlusion(model, x, 2, **options)
    np.testing.assert_allclose(found, [drop for drop, _ in expected], atol=1e-6)
    assert np.abs(found).max() > 1e-4
    np.testing.assert_array_equal(look.occlusion(model, x[1], 2, **options), found[1])
    found = look.occluded_probabilities(model, x, 2, **options)
    np.testing.assert_allclose(found, [places for _, places in expected], rtol=1e-5)


def test_defaults_and_classes():
    model, x = network(chain)
    scores = F.softmax(model.eval()(x))
    found = look.occluded_probabilities(model, x)
    for image, own, class_ in zip(x, found, scores.argmax(axis=1), strict=True):
        _, places = loops(model, image, class_, size=3, stride=1, fill=0)
        np.testing.assert_allclose(own, places, rtol=1e-5)


def test_positions_end_at_the_edge():
    assert positions(10, 4, 3) == [0, 3, 6]
    assert positions(11, 4, 3) == [0, 3, 6, 7]
    assert positions(4, 4, 1) == [0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 0}, "size=0: expected 1 to 14 pixels"),
        ({"size": 2.5}, "size=2.5: expected 1 to 14 pixels"),
        ({"size": 15}, "size=15: expected 1 to 14 pixels"),
        ({"size": 4, "stride": 5}, "stride=5: expected 1 to 4"),
        ({"stride": 0}, "stride=0: expected 1 to 3"),
        ({"fill": np.nan}, "fill=nan: expected finite numbers"),
        ({"fill": (1, 2)}, r"fill=\(1, 2\): expected a number, or one for each of 3 channels"),
    ],
)
def test_what_does_not_fit_is_named(options, words):
    model, x = network(chain)
    with pytest.raises(ValueError, match=words):
        look.occlusion(model, x, **options)
