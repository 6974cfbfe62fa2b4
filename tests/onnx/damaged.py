"""Damaged and lying ONNX files: a seeded generator.

    python -m tests.onnx.damaged [COUNT]

Each file must be read, or be rejected with a CheckpointError of one sentence.
"""

import sys
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import onnx

from minicnn.errors import CheckpointError
from minicnn.onnx.load import from_onnx
from tests.damage import damage

HUGE = (10**12, -1, 0, 2**31, 2**62, 7, 1)
MOST_BYTES = 2**28  # that reading a file of some kilobytes may take


def lie(contents, generator):
    """One fact of the model changed: a shape, a number, a name, an operator, or an edge."""
    model = onnx.ModelProto.FromString(contents)
    nodes, tensors = model.graph.node, model.graph.initializer
    node = nodes[generator.integers(len(nodes))]
    kind = generator.integers(9)
    number = int(HUGE[generator.integers(len(HUGE))])
    if kind == 0 and tensors:
        tensor = tensors[generator.integers(len(tensors))]
        tensor.dims[:] = [number, *tensor.dims[1:]]
    elif kind == 1 and node.attribute:
        attribute = node.attribute[generator.integers(len(node.attribute))]
        if attribute.ints:
            attribute.ints[generator.integers(len(attribute.ints))] = number
        else:
            attribute.i, attribute.f = number, float(number)
    elif kind == 2 and node.attribute:
        del node.attribute[generator.integers(len(node.attribute))]
    elif kind == 3:
        node.op_type = ("Gemm", "Concat", "Split", "Softmax", "Pad", "Loop")[generator.integers(6)]
    elif kind == 4 and node.input:
        other = nodes[generator.integers(len(nodes))]
        node.input[generator.integers(len(node.input))] = (*other.output, "", "x")[0]
    elif kind == 5 and tensors:
        tensor = tensors[generator.integers(len(tensors))]
        values = np.full(max(1, len(tensor.raw_data) // 8), number, np.int64)
        tensor.raw_data = values.tobytes()[: len(tensor.raw_data)]
    elif kind == 6 and tensors:
        tensor = tensors[generator.integers(len(tensors))]
        tensor.data_type = int(generator.integers(30))
    elif kind == 7:
        model.opset_import[0].version = int((0, 1, 5, 9, 14, 21, 99)[generator.integers(7)])
    elif tensors:
        tensor = tensors[generator.integers(len(tensors))]
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", ("/etc/passwd", "../x", "x")[generator.integers(3)]
    return model.SerializeToString()


def rejected(originals, folder, count, seed=0):
    """Read `count` damaged files; the number of those that were rejected."""
    generator = np.random.default_rng(seed)
    refused, path = 0, Path(folder) / "bad.onnx"
    for number in range(count):
        contents = originals[number % len(originals)]
        change = lie if number % 2 else damage
        path.write_bytes(change(contents, generator))
        tracemalloc.start()
        try:
            from_onnx(path)
        except CheckpointError as error:
            refused += 1
            assert str(error).startswith(f"{path}: "), error
            assert "\n" not in str(error), error
        finally:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak < MOST_BYTES, f"{peak:,} bytes"
    return refused


def main(count="1000"):
    from .test_load import NETWORKS, save

    with tempfile.TemporaryDirectory() as folder:
        originals = []
        for nodes, weights in NETWORKS.values():
            path = save(nodes, Path(folder) / "net.onnx", weights=weights)
            originals.append(path.read_bytes())
        print(f"{rejected(originals, folder, int(count))} of {count} files are rejected")


if __name__ == "__main__":
    main(*sys.argv[1:])
