"""`minicnn convert`: a network of Caffe becomes a file that the other commands read."""

import pytest
from typer.testing import CliRunner

import minicnn
from minicnn.cli import app
from minicnn.layers import Graph
from tests.caffe import nets

TEXT = """name: "digits"
input: "data" input_dim: 1 input_dim: 1 input_dim: 8 input_dim: 8
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 10 } }
"""


def convert(*arguments):
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


@pytest.fixture
def model(tmp_path):
    """A .caffemodel without a description, and its prototxt."""
    (tmp_path / "net.prototxt").write_text(TEXT)
    blobs = {"ip": [nets.array(10, 64), nets.array(10)]}
    return nets.write(tmp_path / "net.caffemodel", TEXT, blobs, described=False)


def test_convert(model):
    done = convert(model, "--prototxt", model.with_suffix(".prototxt"), "--mean", "digits")
    assert done.exit_code == 0, done.output
    out = model.with_suffix(".safetensors")
    assert f"{out}: a graph of 2 layers, 650 parameters, input 8x8x1" in done.output.replace(
        "\n", ""
    )
    network = minicnn.load(out)
    assert isinstance(network, Graph)
    assert network.name == "digits"
    assert network.preprocess.mean.values.shape == (32, 32, 1)
    assert network.preprocess.crop


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["net.pth"], "net.pth: expected a .onnx or .caffemodel file"),
        (["missing.caffemodel"], "missing.caffemodel: cannot be read"),
        (["net.caffemodel", "--mean", "1,2"], "--mean 1,2: expected 1 or 3 gray levels"),
        (["net.caffemodel", "--mean", "1,2,300"], "expected 1 or 3 gray levels from 0 to 255"),
        (["net.caffemodel", "--mean", "1,nan,3"], "--mean 1,nan,3: expected 1 or 3 gray levels"),
        (["net.caffemodel", "--mean", "1.2.3"], "'1.2.3' is neither a data set nor a folder"),
        (["net.caffemodel", "net.txt"], "net.txt: expected a name that ends in .safetensors"),
        (["net.caffemodel", "--channels", "gbr"], "expected 'bgr' or 'rgb'"),
    ],
)
def test_wrong_arguments(model, arguments, text):
    done = convert(model.parent / arguments[0], *arguments[1:])
    assert text in str(done.exception)


def test_convert_onnx(tmp_path):
    """A network that was exported comes back; what the file does not say can be given."""
    pytest.importorskip("onnx")
    network = minicnn.models.create("lenet5", seed=0)
    network.recipe = None
    path, names = tmp_path / "net.onnx", tmp_path / "names.txt"
    minicnn.models.to_onnx(network, path)
    names.write_text("\n".join("abcdefghij") + "\n")
    done = convert(path, "--mean", "102", "--std", "51", "--classes", names)
    assert done.exit_code == 0, done.output
    assert "61,706 parameters, input 32x32x1" in done.output.replace("\n", " ")
    found = minicnn.load(path.with_suffix(".safetensors"))
    assert (found.preprocess.mean, found.preprocess.std) == (0.4, 0.2)
    assert found.classes == tuple("abcdefghij")
    assert found.output_shape((3, 32, 32, 1)) == (3, 10)
    for arguments, message in (
        ((path, "--prototxt", "x"), "--prototxt and --channels are for a .caffemodel"),
        ((path, "--mean", "dark"), "--mean dark: expected gray levels"),
        ((path, "--input", "28x28x1"), "input_shape=28x28x1: the images of the file are 32x32x1"),
        ((path, "--output", "z"), "it has no output 'z'"),
        ((tmp_path / "x.onnx",), "cannot be read: No such file"),
        ((tmp_path / "x.pt",), "expected a .onnx or .caffemodel file"),
    ):
        done = convert(*arguments)
        assert done.exit_code != 0
        assert message in str(done.exception), done.exception
    names.write_bytes(b"\xff\xfe")
    assert "expected text in UTF-8" in str(convert(path, "--classes", names).exception)
    names.write_text("a\n")
    assert "1 names; the network has 10 outputs" in str(convert(path, "--classes", names).exception)
