"""`minicnn export`: the file that it writes, and errors."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

import minicnn
from minicnn import cli, data, models, training

OWN = """
from minicnn.layers import Conv2d, Flatten, Graph, Linear, Add

def make(num_classes=3):
    return Graph(
        a=Conv2d(1, 1, 3, padding=1), add=Add(), flatten=Flatten(), fc=Linear(16, num_classes),
        inputs={"add": ("a", "input")}, input_shape=(4, 4, 1),
    )
"""


def test_a_checkpoint(run, tmp_path, capsys):
    minicnn.save(models.create("lenet5", seed=0), tmp_path / "best.safetensors")
    said = run("export", "best.safetensors", "net.onnx", "--softmax", "--input-layout", "NHWC")
    size = f"{(tmp_path / 'net.onnx').stat().st_size:,} bytes"
    assert said == (
        f"net.onnx: opset 17, {size}, input float32 (N, 32, 32, 1) -> output float32 (N, 10)\n"
    )
    assert onnx.load("net.onnx").graph.node[-1].op_type == "Softmax"
    said = run(
        *("export", "best.safetensors", "net.onnx", "--with-preprocessing", "uint8"),
        *("--batch", 2, "--opset", 21),
    )
    assert "opset 21" in said
    assert "bytes, input uint8 (2, 1, 28, 28) -> output float32 (2, 10)" in said


def test_onnxruntime_answers_as_predict_does(run, tmp_path):
    """The pixels of image files, without any arithmetic outside of the exported graph."""
    train, test = data.digits()
    model = models.create("lenet5", recipe="digits", seed=0)
    training.fit(model, train[:256], epochs=1)
    minicnn.save(model, tmp_path / "digits.safetensors")
    for i, image in enumerate(test.images[:20]):
        Image.fromarray(image[:, :, 0]).save(tmp_path / f"{i:02}.png")
    options = ("--softmax", "--with-preprocessing", "uint8", "--input-layout", "NHWC")
    run("export", "digits.safetensors", "digits.onnx", *options)
    expected = json.loads(run("predict", "digits.safetensors", "*.png", "--top", 10, "--json", "-"))
    session = onnxruntime.InferenceSession("digits.onnx")
    classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    for row in expected:
        with Image.open(row["path"]) as image:
            pixels = np.asarray(image)[None, :, :, None]
        (found,) = session.run(None, {"input": pixels})[0]
        assert classes[found.argmax()] == row["class"]
        for answer in row["top"]:
            probability = found[classes.index(answer["class"])]
            assert probability == pytest.approx(answer["probability"], abs=2e-6)
    assert len({row["class"] for row in expected}) > 3


def test_a_name_and_a_network_of_ones_own(run, tmp_path):
    (tmp_path / "net.py").write_text(OWN)
    assert "(N, 1, 4, 4) -> output float32 (N, 7)" in run(
        "export", "net.py:make", "own.onnx", "-o", "num_classes=7"
    )
    run("export", "resnet20_cifar", "a.onnx", "--fold", "--input", 16)
    run("export", "resnet20_cifar", "b.onnx", "--fold", "--input", 16)
    a, b = onnx.load("a.onnx"), onnx.load("b.onnx")
    assert a == b  # the initial weights have one seed
    assert np.isfinite(onnx.numpy_helper.to_array(a.graph.initializer[0])).all()


def test_a_network_without_a_file_is_said_to_be_untrained(run, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["minicnn", "export", "lenet5", "a.onnx"])
    with pytest.raises(SystemExit, match="^0$"):
        cli.main()
    assert "lenet5 is not trained: the file has its initial weights" in capsys.readouterr().err


def test_wrong_arguments(run, tmp_path):
    assert "a.txt: expected a name that ends in .onnx" in run("export", "lenet5", "a.txt", code=2)
    assert "did you mean lenet5" in run("export", "lenet", "a.onnx", code=2)
    assert "opset=5: expected 13" in run("export", "lenet5", "a.onnx", "--opset", 5, code=2)
    assert "no.safetensors: cannot be read" in run("export", "no.safetensors", "a.onnx", code=2)
    assert "C3: Conv2d" in run("export", "lenet5", "a.onnx", "--input", 8, code=2)
    assert "x/a.onnx: cannot be written: No such" in run("export", "lenet5", "x/a.onnx", code=2)
    assert not list(tmp_path.iterdir())


def test_caffe(run, tmp_path):
    """A .caffemodel and its prototxt, which convert reads again; options of ONNX are not for it."""
    minicnn.save(models.create("lenet_caffe", seed=0), tmp_path / "best.safetensors")
    said = run("export", "best.safetensors", "net.caffemodel")
    assert said.startswith("net.caffemodel (1,724,")
    assert "net.prototxt (" in said
    run("convert", "net.caffemodel", "again.safetensors", "--prototxt", "net.prototxt")
    assert minicnn.load("again.safetensors").name == "lenet_caffe"
    for options, text in (
        (["net.caffemodel", "--fold"], "--fold is for an ONNX file; net.caffemodel is a .caffem"),
        (["net.onnx", "--channels", "rgb"], "--channels rgb is for a .caffemodel; net.onnx is no"),
    ):
        with pytest.raises(ValueError, match=text):
            cli.app(["export", "best.safetensors", *options], standalone_mode=False)
