"""Files that are damaged, that lie, or that refer to other files."""

import struct

import numpy as np
import onnx
import pytest
from onnx import TensorProto

import minicnn
from minicnn.errors import CheckpointError
from minicnn.onnx.load import from_onnx

from .cases import run
from .damaged import rejected
from .test_load import C1, CONV, NETWORKS, draw, save


def test_damaged_files(tmp_path):
    """A sample of what `python -m tests.onnx.damaged` reads."""
    originals = []
    for nodes, weights in list(NETWORKS.values())[:4]:
        originals.append(save(nodes, tmp_path / "net.onnx", weights=weights).read_bytes())
    assert 30 <= rejected(originals, tmp_path, 60, seed=1) < 60


@pytest.mark.parametrize("contents", [b"", b"PK\x03\x04 no model", b"\xff" * 100])
def test_what_is_no_onnx_file(contents, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(contents)
    with pytest.raises(CheckpointError, match=r"net\.onnx: it is not an ONNX file, or damaged"):
        from_onnx(path)


def test_a_constant_is_not_larger_than_its_limit(tmp_path):
    """Neither one that the file fills with a number, nor one that it claims to hold."""
    nodes = [("ConstantOfShape", ["n"], ["w"], {}), ("Conv", ["x", "w"], ["y"], {})]
    path = tmp_path / "net.onnx"
    save(nodes, path, weights={"n": np.array([10**6, 10**6, 1, 1])})
    with pytest.raises(CheckpointError, match="ConstantOfShape 'w': it makes an array of shape"):
        from_onnx(path)
    model = onnx.load(save([C1], path, weights=CONV, outputs=("c",)))
    model.graph.initializer[0].dims[0] = 10**12
    onnx.save(model, path)
    with pytest.raises(CheckpointError, match="the constant 'w' has the shape .* the file has"):
        from_onnx(path)


def test_results_that_are_much_larger_than_the_file(tmp_path):
    """Sizes that a small file claims, in place of constants that it holds."""
    means = [("ReduceMean", [i], [o], {"axes": [1]}) for i, o in (("x", "m"), ("p", "v"))]
    norm = [
        means[0],
        ("Sub", ["x", "m"], ["d"], {}),
        ("Mul", ["d", "d"], ["p"], {}),
        means[1],
        ("Add", ["v", "eps"], ["e"], {}),
        ("Sqrt", ["e"], ["s"], {}),
        ("Div", ["d", "s"], ["y"], {}),
    ]
    weights = {"eps": np.array(1e-5, np.float32), "k": np.array([2, 2**30, 10**9, 4])}
    weights |= {"one": np.array([1]), "many": np.array([10**12])}
    for nodes, message in (
        (norm, "it normalizes 1,073,741,824 numbers; expected at most"),
        (
            [("Resize", ["x", "", "", "k"], ["y"], {})],
            r"1000000000, 4\] pixels; expected",
        ),
        (
            [("Tile", ["one", "many"], ["t"], {}), ("Reshape", ["x", "t"], ["y"], {})],
            "Tile 't': it makes 1,000,000,000,000 numbers",
        ),
    ):
        path = save(nodes, tmp_path / "net.onnx", weights=weights, shape=(2, 2**30, 4, 4))
        with pytest.raises(CheckpointError, match=message):
            from_onnx(path)


def test_a_file_whose_nodes_depend_on_each_other(tmp_path):
    nodes = [("Neg", ["a"], ["b"], {}), ("Neg", ["b"], ["a"], {}), ("Add", ["a", "x"], ["y"], {})]
    path = save(nodes, tmp_path / "net.onnx")
    with pytest.raises(CheckpointError, match="it reads 'a', which is computed by no node before"):
        from_onnx(path)


def external(path, location, offset=0):
    """A model whose weights are in a file beside it."""
    model = onnx.load(save([C1], path, weights=CONV, outputs=("c",)))
    tensor = next(t for t in model.graph.initializer if t.name == "w")
    raw, tensor.raw_data = tensor.raw_data, b""
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", str(offset))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    path.write_bytes(model.SerializeToString())
    return raw


def test_external_data(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    path, x = folder / "net.onnx", draw(2, 3, 8, 6)
    raw = external(path, "weights.bin", 8)
    (folder / "weights.bin").write_bytes(b"-" * 8 + raw)
    with minicnn.use("reference"):
        graph = from_onnx(path)
        plain = from_onnx(save([C1], folder / "plain.onnx", weights=CONV, outputs=("c",)))
        np.testing.assert_array_equal(run(graph, x), run(plain, x))
    (tmp_path / "secret.bin").write_bytes(b"-" * 8 + raw)
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    for location in ("../secret.bin", str(tmp_path / "secret.bin"), "link.bin", "nothing.bin", ""):
        external(path, location, 8)
        with pytest.raises(CheckpointError, match="expected a file in the folder of the model"):
            from_onnx(path)
    for offset in (struct.calcsize("q") + 1, -1, 10**15):
        external(path, "weights.bin", offset)
        with pytest.raises(CheckpointError, match=r"'w' is damaged: weights\.bin ends before it"):
            from_onnx(path)
