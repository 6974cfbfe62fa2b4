"""No two boxes overlap, and everything lies inside the picture."""

import itertools

import pytest

from minicnn import models
from minicnn.layers.init import skip_init
from minicnn.study.graph.layout import place
from minicnn.study.graph.tree import read

NAMES = ["lenet5", "googlenet", "resnet18", "resnet50", "inception_v4", "alexnet_2012_code"]
NAMES += ["densenet121", "airbench94"]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_overlaps(name):
    with skip_init():
        network = models.create(name)
    shapes, width, height = place(read(network, network.input_shape))
    solid = [box[:4] for box in (*shapes.boxes, *shapes.joints)]
    assert len(solid) > 5
    for (x, y, w, h), (left, top, wide, high) in itertools.combinations(solid, 2):
        apart = x + w <= left or left + wide <= x or y + h <= top or top + high <= y
        assert apart
    for x, y, w, h in (*solid, *(f[:4] for f in shapes.frames)):
        assert x >= 0 and y >= 0 and x + w <= width + 1e-6 and y + h <= height + 1e-6
    for points, _, _ in shapes.lines:
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            assert x0 == pytest.approx(x1) or y0 == pytest.approx(y1), "lines are level or upright"
    assert 0.6 < width / height < 4


def test_a_projection_shortcut_has_its_name():
    with skip_init():
        network = models.create("resnet20_cifar", option="B")
    shapes, _, _ = place(read(network, network.input_shape))
    assert [text[2] for text in shapes.texts].count("shortcut") == 2


def test_names_outside_of_frames_are_whole_and_those_of_folded_blocks_end_with_a_number():
    with skip_init():
        network = models.create("densenet121")
    shapes, _, _ = place(read(network, network.input_shape))
    texts = [text[2] for text in shapes.texts]
    for text in ("denseblock1.denselayer1 to 6", "x24", "concat  56x56x96 to 256"):
        assert text in texts
    assert "transition1.norm" in texts
    assert "transition1.conv" in texts
