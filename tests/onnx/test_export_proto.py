"""The protobuf message: its limit, and what the checker finds."""

import onnx
import pytest

from minicnn.onnx.export_graph import INPUT, GraphWriter, Value
from minicnn.onnx.export_proto import Ends, model_proto


def test_more_than_two_gigabytes():
    class Huge:
        nbytes = 2**31

    graph = GraphWriter(constants={"w": Huge()})
    with pytest.raises(ValueError, match="the weights have 2.1 GB, and a single ONNX file"):
        model_proto(onnx, graph, None, {})


@pytest.mark.parametrize(
    ("operator", "shape", "found"),
    [("Relux", (1, 3), "No Op registered for Relux"), ("Relu", (1, 4), "existing shape differ")],
)
def test_a_graph_that_is_not_valid(operator, shape, found):
    graph = GraphWriter()
    x = Value(INPUT, (1, 3))
    y = graph.add("Relu", graph.add(operator, x, shape=shape))
    ends = Ends(x, graph.finish(y), None)
    with pytest.raises(ValueError, match=f"^the exported graph is not valid: .*{found}"):
        model_proto(onnx, graph, ends, {"network": "net"})
