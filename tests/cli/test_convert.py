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
        (["net.pth"], "net.pth: expected a .caffemodel file"),
        (["missing.caffemodel"], "missing.caffemodel: cannot be read"),
        (["net.caffemodel", "--mean", "1,2"], "--mean 1,2: expected 1 or 3 gray levels"),
        (["net.caffemodel", "--mean", "1,2,300"], "expected 1 or 3 gray levels from 0 to 255"),
        (["net.caffemodel", "--channels", "gbr"], "expected 'bgr' or 'rgb'"),
    ],
)
def test_wrong_arguments(model, arguments, text):
    done = convert(model.parent / arguments[0], *arguments[1:])
    assert text in str(done.exception)
