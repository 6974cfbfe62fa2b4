"""Groups of nodes that are one operator."""

import numpy as np
import pytest

import minicnn
from minicnn.errors import CheckpointError
from minicnn.layers import GELU, Conv2d, Network
from minicnn.onnx import from_onnx, to_onnx

from .cases import run
from .test_load import C1, CONV, draw, runtime, save

F = np.float32
NUMBERS = {"r": F(2**0.5), "s": F(0.5**0.5), "one": np.ones(1, F), "half": F(0.5)}
FORMS = {
    "pytorch's": [
        ("Div", ["c", "r"], ["d"], {}),
        ("Erf", ["d"], ["e"], {}),
        ("Add", ["e", "one"], ["a"], {}),
        ("Mul", ["c", "a"], ["m"], {}),
        ("Mul", ["m", "half"], ["y"], {}),
    ],
    "half first": [
        ("Mul", ["half", "c"], ["h"], {}),
        ("Mul", ["c", "s"], ["d"], {}),
        ("Erf", ["d"], ["e"], {}),
        ("Add", ["one", "e"], ["a"], {}),
        ("Mul", ["a", "h"], ["y"], {}),
    ],
}


@pytest.mark.parametrize("form", FORMS)
def test_gelu(form, tmp_path):
    path = save([C1, *FORMS[form]], tmp_path / "net.onnx", weights=CONV | NUMBERS)
    graph, x = from_onnx(path), draw(2, 3, 8, 6)
    assert [type(layer) for layer in graph] == [Conv2d, GELU]
    with minicnn.use("reference"):
        np.testing.assert_allclose(run(graph, x), runtime(path, x), rtol=1e-5, atol=1e-6)


def test_our_own_gelu(tmp_path):
    network = Network(conv=Conv2d(3, 4, 3), f=GELU(), input_shape=(8, 6, 3)).eval()
    to_onnx(network, tmp_path / "net.onnx")
    graph, x = from_onnx(tmp_path / "net.onnx"), draw(2, 8, 6, 3)
    assert isinstance(graph[1], GELU)
    np.testing.assert_allclose(graph(x), network(x), rtol=1e-5, atol=1e-6)


def test_what_is_no_gelu(tmp_path):
    """Another constant, or a tensor that is read elsewhere: the operator is named."""
    for place, change in ((2, "half"), (0, "half")):
        nodes = [(op, list(i), list(o), a) for op, i, o, a in FORMS["pytorch's"]]
        nodes[place][1][1] = change
        path = save([C1, *nodes], tmp_path / "net.onnx", weights=CONV | NUMBERS)
        with pytest.raises(CheckpointError, match="Erf 'e': this operator is not known"):
            from_onnx(path)
    path = save([C1, *FORMS["pytorch's"]], tmp_path / "net.onnx", weights=CONV | NUMBERS,
                outputs=("e",))  # fmt: skip
    with pytest.raises(CheckpointError, match="output 'e'|Erf 'e'"):
        from_onnx(path)
