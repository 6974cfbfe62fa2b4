"""`to_onnx`: whole networks, options, names and errors."""

import os
import re

import numpy as np
import onnx
import pytest

import minicnn
from minicnn import layers as L
from minicnn import models
from minicnn.errors import CheckpointError
from minicnn.layers.init import skip_init
from minicnn.onnx import to_onnx
from minicnn.onnx.export_graph import has_rule

from .runtime import check, distance, images, ours, randomized, run, to_nchw

CHEAP = ("lenet5", "lenet5_sigmoid", "lenet5_1998", "lenet_caffe", "resnet20_cifar")


def small(**layers):
    """A network for images of 6 x 5 pixels."""
    net = L.Network(
        conv=L.Conv2d(3, 4, 3, activation="relu"),
        flatten=L.Flatten(),
        fc=L.Linear(48, 5),
        **layers,
        input_shape=(6, 5, 3),
    )
    return randomized(net)


@pytest.mark.parametrize("name", CHEAP)
def test_networks(name, tmp_path):
    model = randomized(models.create(name, seed=0))
    check(model, tmp_path, model.input_shape)


def test_every_layer_of_every_network_has_a_rule():
    for name in models.names():
        with skip_init():
            model = models.create(name)
        names = [n for n, layer in model.named_layers() if not has_rule(layer)]
        assert not names, name


def test_a_folded_network(tmp_path):
    model = randomized(models.create("resnet20_cifar", seed=0))
    proto = check(model, tmp_path, model.input_shape, fold_batch_norm=True)
    assert "BatchNormalization" not in {node.op_type for node in proto.graph.node}


def test_the_number_of_images_is_open_unless_it_is_fixed(tmp_path):
    model = small()
    check(model, tmp_path, (6, 5, 3), batch=7)
    proto = to_onnx(model, tmp_path / "a.onnx")
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"
    to_onnx(model, tmp_path / "a.onnx", batch=3)
    x = images((6, 5, 3), 3)
    assert distance(run(str(tmp_path / "a.onnx"), to_nchw(x)), ours(model, x)) < 1e-5
    with pytest.raises(Exception, match="Got: 2 Expected: 3"):
        run(str(tmp_path / "a.onnx"), to_nchw(x)[:2])


def test_nhwc_adds_one_transpose(tmp_path):
    model, path, x = small(), tmp_path / "a.onnx", images((6, 5, 3))
    proto = to_onnx(model, path, input_layout="NHWC")
    assert [node.op_type for node in proto.graph.node].count("Transpose") == 1
    assert distance(run(str(path), x), ours(model, x)) < 1e-5


def test_another_input_shape(tmp_path):
    model = models.create("nin_cifar10", seed=0)
    check(model, tmp_path, (24, 40, 3), batch=1)


def test_the_file_is_what_is_returned(tmp_path):
    proto = to_onnx(small(), tmp_path / "a.onnx")
    assert onnx.load(tmp_path / "a.onnx") == proto
    assert proto.opset_import[0].version == 17
    assert proto.ir_version == 8
    assert os.listdir(tmp_path) == ["a.onnx"]


def test_every_value_has_a_shape(tmp_path):
    """Netron shows the shapes that the file has."""
    model = models.create("lenet5_1998")
    graph = to_onnx(model, tmp_path / "a.onnx").graph
    shown = {info.name for info in (*graph.value_info, *graph.input, *graph.output)}
    assert {name for node in graph.node for name in node.output} <= shown
    dims = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim[1:]] for v in graph.value_info
    }
    assert dims["S2"] == [6, 14, 14]
    assert dims["flatten"] == [120]


def test_the_mode_and_the_weights_of_the_model_stay(tmp_path):
    model = small().train()
    before = {name: array.copy() for name, array in model.state_dict().items()}
    to_onnx(model, tmp_path / "a.onnx")
    assert model.training
    assert all(np.array_equal(before[n], a) for n, a in model.state_dict().items())


def test_flattened_maps_at_the_end_are_in_our_order(tmp_path):
    net = L.Network(conv=L.Conv2d(2, 3, 2), flatten=L.Flatten(), input_shape=(4, 4, 2))
    check(net, tmp_path, (4, 4, 2))


def test_a_network_that_does_nothing(tmp_path):
    proto = check(L.Sequential(L.Dropout(), L.Flatten()), tmp_path, (1, 1, 4))
    assert proto.graph.output[0].name == "output"
    check(L.Sequential(L.Dropout()), tmp_path, (2, 2, 3))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"batch": 0}, "batch=0: expected at least 1, or None for any number"),
        ({"batch": "2"}, "batch='2': expected at least 1, or None for any number"),
        ({"opset": "17"}, "opset='17': expected 13 to"),
        ({"opset": 12}, "opset=12: expected 13 to"),
        ({"opset": 1000}, "opset=1000: expected 13 to"),
        ({"input_layout": "HWC"}, "input_layout='HWC': expected one of NCHW, NHWC"),
        ({"input_shape": (6, 5)}, "input_shape=(6, 5): expected the (H, W, C) of the images"),
        ({"with_preprocessing": "bytes"}, "with_preprocessing='bytes': expected None or one of"),
    ],
)
def test_wrong_arguments(options, sentence, tmp_path):
    with pytest.raises(ValueError, match="^" + re.escape(sentence)):
        to_onnx(small(), tmp_path / "a.onnx", **options)
    assert not os.listdir(tmp_path)


def test_wrong_names_and_folders(tmp_path):
    with pytest.raises(ValueError, match="a.caffe: expected a name that ends in .onnx"):
        to_onnx(small(), tmp_path / "a.caffe")
    with pytest.raises(CheckpointError, match="a.onnx: cannot be written: No such file"):
        to_onnx(small(), tmp_path / "missing" / "a.onnx")
    (tmp_path / "a.onnx").mkdir()
    with pytest.raises(CheckpointError, match="a.onnx: cannot be written: it is not a regular"):
        to_onnx(small(), tmp_path / "a.onnx")


def test_an_input_that_does_not_fit(tmp_path):
    with pytest.raises(minicnn.errors.ShapeError, match="^fc: Linear"):
        to_onnx(small(), tmp_path / "a.onnx", input_shape=(7, 5, 3))


def test_weights_that_are_not_finite(tmp_path):
    model = small()
    model.fc.weight.value[0, 0] = np.nan
    with pytest.raises(CheckpointError, match="not written: fc.weight holds NaN"):
        to_onnx(model, tmp_path / "a.onnx")
    model = small().astype(np.float64)
    model.fc.weight.value[0, 0] = 1e300
    with pytest.raises(CheckpointError, match="not written: fc.weight holds 1e.300; float32 ends"):
        to_onnx(model, tmp_path / "a.onnx")
    assert not os.listdir(tmp_path)
