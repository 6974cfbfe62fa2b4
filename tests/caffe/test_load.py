"""from_caffe: whole networks against torch twins that compute as Caffe's source does."""

import numpy as np
import pytest
import torch
import torch.nn.functional as T

import minicnn
from minicnn import data
from minicnn.caffe import from_caffe, to_caffe
from minicnn.caffe.message import read_binary
from minicnn.errors import CheckpointError

from . import nets

SHAPE = "input_param { shape { dim: 2 dim: %d dim: %d dim: %d } }"
INPUT = 'name: "small"\nlayer { name: "data" type: "Input" top: "data" ' + SHAPE + " }\n"
CONV = "convolution_param { num_output: %d kernel_size: 3 pad: 1 }"
POOL = "pooling_param { pool: %s kernel_size: 3 stride: 2 %s }"
IP = "inner_product_param { num_output: 4 }"


def layer(kind, name, bottom, top=None, more=""):
    """A layer in the text format; bottom and top may be several names."""
    bottoms = " ".join(f'bottom: "{b}"' for b in bottom.split())
    tops = " ".join(f'top: "{t}"' for t in (top or name).split())
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} {tops} {more} }}\n'


def both(tmp_path, text, blobs, channels=3, size=(9, 8), order="bgr", **options):
    """Our network, and the outputs of ours and of the twin for the same images."""
    text = INPUT % (channels, *size) + text
    prototxt = tmp_path / "net.prototxt"
    prototxt.write_text(text)
    model = nets.write(tmp_path / "net.caffemodel", text, blobs)
    network = from_caffe(model, prototxt, channels=order, **options)
    x = np.random.default_rng(1).standard_normal((2, channels, *size)).astype(np.float32)
    ours = x[:, ::-1] if channels == 3 and order == "bgr" else x
    y = network(np.ascontiguousarray(ours.transpose(0, 2, 3, 1)))
    *_, expected = nets.run(text, blobs, x).values()
    return network, y, expected.transpose(0, 2, 3, 1) if expected.ndim == 4 else expected


def conv(out, channels, kernel=3, groups=1):
    return [nets.array(out, channels // groups, kernel, kernel), nets.array(out)]


def ip(inputs, outputs=4):
    return [nets.array(outputs, inputs), nets.array(outputs)]


CHAINS = {
    "in place": (
        layer("Convolution", "conv", "data", more=CONV % 6)
        + layer("ReLU", "relu", "conv", "conv")
        + layer("Pooling", "pool", "conv", more=POOL % ("AVE", ""))
        + layer("Dropout", "drop", "pool", "pool")
        + layer("InnerProduct", "ip", "pool", more=IP),
        {"conv": conv(6, 3), "ip": ip(6 * 4 * 4)},
    ),
    "padded means": (
        layer("Pooling", "pool", "data", more=POOL % ("AVE", "pad: 1"))
        + layer("InnerProduct", "ip", "pool", more=IP),
        {"ip": ip(3 * 5 * 5)},
    ),
    "padded maxima": (
        layer("Pooling", "pool", "data", more=POOL % ("MAX", "pad: 2"))
        + layer("Convolution", "conv", "pool", more=CONV % 5),
        {"conv": conv(5, 3)},
    ),
    "rectangles": (
        layer(
            "Convolution",
            "conv",
            "data",
            more="convolution_param { num_output: 4 kernel_h: 3 kernel_w: 2 stride_h: 2 "
            "stride_w: 1 pad_h: 1 pad_w: 0 bias_term: false }",
        )
        + layer("Pooling", "pool", "conv", more="pooling_param { kernel_h: 2 kernel_w: 3 }"),
        {"conv": [nets.array(4, 3, 3, 2)]},
    ),
    "dilation": (
        layer(
            "Convolution",
            "conv",
            "data",
            more="convolution_param { num_output: 4 kernel_size: 3 dilation: 2 }",
        ),
        {"conv": conv(4, 3)},
    ),
    "groups": (
        layer("Convolution", "conv1", "data", more=CONV % 6)
        + layer(
            "Convolution",
            "conv2",
            "conv1",
            more="convolution_param { num_output: 9 kernel_size: 3 group: 3 }",
        ),
        {"conv1": conv(6, 3), "conv2": conv(9, 6, groups=3)},
    ),
    "LRN": (
        layer("LRN", "norm", "data", more="lrn_param { local_size: 3 alpha: 2.5 beta: 0.6 k: 1.5 }")
        + layer("Convolution", "conv", "norm", more=CONV % 4),
        {"conv": conv(4, 3)},
    ),
    "batch norm of the image": (
        layer("BatchNorm", "bn", "data", "bn")
        + layer("Scale", "scale", "bn", "bn", "scale_param { bias_term: true }")
        + layer("Convolution", "conv", "bn", more=CONV % 4),
        {
            "bn": [nets.array(3), nets.array(3, offset=9), nets.array(1, scale=0, offset=5)],
            "scale": [nets.array(3), nets.array(3)],
            "conv": conv(4, 3),
        },
    ),
    "batch norm without a count": (
        layer("Convolution", "conv", "data", more=CONV % 4)
        + layer("BatchNorm", "bn", "conv", more="batch_norm_param { eps: 0.25 }"),
        {
            "conv": conv(4, 3),
            "bn": [nets.array(4), nets.array(4, offset=9), nets.array(1, scale=0)],
        },
    ),
    "image to vector": (
        layer("Flatten", "flat", "data")
        + layer("InnerProduct", "ip1", "flat", more=IP)
        + layer("Sigmoid", "s", "ip1")
        + layer(
            "InnerProduct",
            "ip2",
            "s",
            more="inner_product_param { num_output: 3 transpose: true bias_term: false }",
        )
        + layer("TanH", "t", "ip2"),
        {"ip1": ip(3 * 9 * 8), "ip2": [nets.array(4, 3)]},
    ),
    "reshape": (
        layer("Reshape", "flat", "data", more="reshape_param { shape { dim: 0 dim: -1 } }")
        + layer("InnerProduct", "ip", "flat", more=IP),
        {"ip": ip(3 * 9 * 8)},
    ),
    "global": (
        layer("Convolution", "conv", "data", more=CONV % 5)
        + layer("Pooling", "pool", "conv", more="pooling_param { pool: AVE global_pooling: true }")
        + layer("InnerProduct", "ip", "pool", more=IP),
        {"conv": conv(5, 3), "ip": ip(5)},
    ),
}
CHAINS |= {
    "activations": (
        layer("PReLU", "prelu", "data", "data")
        + layer("ReLU", "leaky", "data", more="relu_param { negative_slope: 0.2 }")
        + layer("ELU", "elu", "leaky", more="elu_param { alpha: 0.6 }")
        + layer("Power", "power", "elu", more="power_param { scale: -2 shift: 0.5 }")
        + layer("PReLU", "shared", "power", more="prelu_param { channel_shared: true }")
        + layer("Softmax", "softmax", "shared")
        + layer("Convolution", "conv", "softmax", more=CONV % 4),
        {"prelu": [nets.array(3)], "shared": [nets.array(1)], "conv": conv(4, 3)},
    ),
    "factors and biases": (
        layer("Scale", "scale", "data")
        + layer("Bias", "bias", "scale")
        + layer("Scale", "both", "bias", more="scale_param { bias_term: true }")
        + layer("InnerProduct", "ip", "both", more=IP)
        + layer("Scale", "last", "ip", more="scale_param { bias_term: true }"),
        {
            "scale": [nets.array(3)],
            "bias": [nets.array(3)],
            "both": [nets.array(3), nets.array(3)],
            "ip": ip(3 * 9 * 8),
            "last": [nets.array(4), nets.array(4)],
        },
    ),
    "deconvolution": (
        layer(
            "Deconvolution",
            "up",
            "data",
            more="convolution_param { num_output: 5 kernel_size: 4 stride: 2 pad: 1 }",
        )
        + layer(
            "Deconvolution",
            "groups",
            "up",
            more="convolution_param { num_output: 5 kernel_size: 4 stride: 2 pad: 1 group: 5 "
            "bias_term: false }",
        ),
        {"up": [nets.array(3, 5, 4, 4), nets.array(5)], "groups": [nets.array(5, 1, 4, 4)]},
    ),
    "LRN within a channel": (
        layer(
            "LRN",
            "norm",
            "data",
            more="lrn_param { local_size: 3 alpha: 2.5 norm_region: WITHIN_CHANNEL }",
        )
        + layer("Convolution", "conv", "norm", more=CONV % 4),
        {"conv": conv(4, 3)},
    ),
    "batch norm of vectors": (
        layer("InnerProduct", "ip", "data", more=IP)
        + layer("BatchNorm", "bn", "ip", "ip")
        + layer("ReLU", "relu", "ip", "ip"),
        {
            "ip": ip(3 * 9 * 8),
            "bn": [nets.array(4), nets.array(4, offset=9), nets.array(1, scale=0, offset=2)],
        },
    ),
}
GRAPHS = {
    "absolute values and powers": (
        layer("Convolution", "conv", "data", more=CONV % 4)
        + layer("AbsVal", "abs", "conv")
        + layer("Power", "cube", "abs", more="power_param { power: 3 scale: 0.5 shift: -1 }"),
        {"conv": conv(4, 3)},
    ),
    "inception": (
        layer("Split", "split", "data", "a b")
        + layer("Convolution", "left", "a", more=CONV % 3)
        + layer("Pooling", "right", "b", more="pooling_param { kernel_size: 3 stride: 1 pad: 1 }")
        + layer("Concat", "joined", "left right")
        + layer("LRN", "norm", "left", more="lrn_param { local_size: 3 alpha: 0.5 }")
        + layer("Concat", "all", "joined norm")
        + layer("InnerProduct", "ip", "all", more=IP),
        {"left": conv(3, 3), "ip": ip(9 * 9 * 8)},
    ),
    "residual": (
        layer("Convolution", "conv1", "data", more=CONV % 4)
        + layer("Convolution", "conv2", "conv1", more=CONV % 4)
        + layer("Eltwise", "sum", "conv1 conv2", more="eltwise_param { coeff: 1 coeff: -0.5 }")
        + layer("ReLU", "relu", "sum", "sum")
        + layer("Eltwise", "max", "sum conv2", more="eltwise_param { operation: MAX }")
        + layer("Eltwise", "prod", "max conv1", more="eltwise_param { operation: PROD }"),
        {"conv1": conv(4, 3), "conv2": conv(4, 4)},
    ),
    "vectors": (
        layer("Flatten", "all", "data")
        + layer("Pooling", "pool", "data", more=POOL % ("MAX", ""))
        + layer("Flatten", "few", "pool")
        + layer("Concat", "both", "all few", more="concat_param { axis: 1 }")
        + layer("InnerProduct", "ip", "both", more=IP),
        {"ip": ip(3 * 9 * 8 + 3 * 4 * 4)},
    ),
    "slices": (
        layer("Slice", "cut", "data", "b g r")
        + layer("Convolution", "conv1", "b", more=CONV % 6)
        + layer("Convolution", "conv2", "r", more=CONV % 6)
        + layer("Slice", "halves", "conv1", "x y", "slice_param { slice_point: 2 axis: 1 }")
        + layer("Concat", "again", "y g conv2 x")
        + layer("Convolution", "conv3", "again", more=CONV % 2),
        {"conv1": conv(6, 1), "conv2": conv(6, 1), "conv3": conv(2, 13)},
    ),
}


NETS = CHAINS | GRAPHS
NOT_WRITTEN = ("batch norm of vectors", "vectors", "slices")


@pytest.mark.parametrize("order", ["bgr", "rgb"])
@pytest.mark.parametrize("name", NETS)
def test_every_layer(tmp_path, name, order):
    """The outputs of the twin, for images in either order; the network saves and trains."""
    network, y, expected = both(tmp_path, *NETS[name], order=order)
    np.testing.assert_allclose(y, expected, rtol=2e-5, atol=2e-5)
    minicnn.save(network, tmp_path / "net.safetensors")
    again = minicnn.load(tmp_path / "net.safetensors")
    x = np.random.default_rng(2).standard_normal((2, *network.input_shape)).astype(np.float32)
    np.testing.assert_array_equal(again(x), network(x))
    if name not in NOT_WRITTEN:
        again = from_caffe(*to_caffe(network, tmp_path / "again.caffemodel", "rgb"), channels="rgb")
        np.testing.assert_allclose(again(x), network(x), rtol=1e-5, atol=1e-5)
    assert network.backward(np.ones_like(y)).shape == x.shape


SLICED = layer("Convolution", "conv", "data", more=CONV % 6) + layer(
    "Slice", "cut", "conv", "a b", "slice_param { slice_point: 2 }"
)


def test_a_scale_behind_an_alias(tmp_path):
    """Another layer reads the batch norm itself, which must not have the factors."""
    text = (
        layer("Convolution", "conv", "data", more=CONV % 4)
        + layer("BatchNorm", "bn", "conv")
        + layer("Concat", "alias", "bn")
        + layer("Scale", "scale", "alias")
        + layer("Eltwise", "sum", "scale bn")
    )
    norm = [nets.array(4), nets.array(4, offset=5), nets.array(1, offset=2)]
    blobs = {"conv": conv(4, 3), "bn": norm, "scale": [nets.array(4)]}
    _, y, expected = both(tmp_path, text, blobs)
    np.testing.assert_allclose(y, expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("output", ["a", "b", "relu"])
def test_a_part_that_nothing_reads(tmp_path, output):
    text = SLICED + layer("ReLU", "relu", "a")
    prototxt = tmp_path / "net.prototxt"
    prototxt.write_text(INPUT % (1, 9, 8) + text)
    blobs = {"conv": conv(6, 1)}
    network = from_caffe(
        nets.write(tmp_path / "net.caffemodel", prototxt.read_text(), blobs),
        prototxt,
        output=output,
    )
    x = np.random.default_rng(1).standard_normal((2, 1, 9, 8)).astype(np.float32)
    expected = nets.run(prototxt.read_text(), blobs, x)[output].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(network(x.transpose(0, 2, 3, 1)), expected, rtol=2e-5, atol=2e-5)


def test_what_silence_reads_is_no_output(tmp_path):
    silence = layer("Silence", "silence", "b", "").replace('top: ""', "")
    text = INPUT % (1, 9, 8) + SLICED + layer("ReLU", "relu", "a") + silence
    network = from_caffe(nets.write(tmp_path / "net.caffemodel", text, {"conv": conv(6, 1)}))
    assert [name for name, _ in network.children()] == ["conv", "cut_0", "relu"]


@pytest.mark.parametrize("method", ["MAX", "AVE"])
@pytest.mark.parametrize(
    ("size", "window"),
    [
        ((2, 4), "kernel_size: 3 stride: 2"),  # the window is larger than the map
        ((2, 2), "kernel_size: 5 stride: 2 pad: 1"),
        ((9, 9), "kernel_size: 2 stride: 3 pad_h: 0 pad_w: 1"),  # one pad clips both axes
        ((7, 7), "kernel_size: 1 stride: 2 round_mode: FLOOR"),
        ((8, 8), "kernel_size: 1 stride: 2 round_mode: FLOOR"),
    ],
)
def test_windows(tmp_path, size, window, method):
    pool = layer("Pooling", "pool", "data", more=f"pooling_param {{ pool: {method} {window} }}")
    _, y, expected = both(tmp_path, pool, {}, channels=2, size=size)
    np.testing.assert_allclose(y, expected.reshape(y.shape), rtol=1e-5)


def test_maps_of_one_pixel_at_the_end_are_classes(tmp_path):
    text = (
        layer("Convolution", "conv", "data", more=CONV % 5)
        + layer("Pooling", "pool", "conv", more="pooling_param { pool: AVE global_pooling: true }")
        + layer("Softmax", "prob", "pool")
    )
    _, y, _ = both(tmp_path, text, {"conv": conv(5, 3)})
    assert y.shape == (2, 5)


@pytest.mark.parametrize("name", ["self", "training", "name", "loss", "inputs", "input", "a.b", ""])
def test_names_that_a_network_has_itself(tmp_path, name):
    text = layer("Convolution", name, "data", "conv", CONV % 4) + layer("ReLU", "relu", "conv")
    _, y, expected = both(tmp_path, text, {name: conv(4, 3)})
    np.testing.assert_allclose(y, expected, rtol=2e-5, atol=2e-5)


def test_a_loss_of_weight_0(tmp_path):
    """It counts less than one of weight 0.3."""
    ends = [layer("InnerProduct", name, "data", more=IP) for name in ("main", "aux")]
    for end, weight in (("main", 0.3), ("aux", 0)):
        ends.append(layer("SoftmaxWithLoss", f"loss_{end}", end, more=f"loss_weight: {weight}"))
    text = INPUT % (1, 3, 3) + "".join(ends)
    blobs = {"main": ip(9), "aux": ip(9)}
    network = from_caffe(nets.write(tmp_path / "net.caffemodel", text, blobs))
    assert [name for name, _ in network.children()] == ["main_flatten", "main"]


def test_a_mean_image_of_a_name_that_is_too_long(tmp_path):
    transform = f'transform_param {{ crop_size: 3 mean_file: "{"x" * 300}" }}'
    text = f'layer {{ name: "data" type: "Data" top: "data" {transform} }}'
    text += layer("Convolution", "conv", "data", more=CONV % 4)
    said = []
    from_caffe(
        nets.write(tmp_path / "net.caffemodel", text, {"conv": conv(4, 3)}), report=said.append
    )
    assert "the mean image xxx" in said[0]


def test_doubles_count_if_there_are_both(tmp_path):
    blob = nets.array(4, 9)
    blob.add("double_data", blob.get("data").astype(np.float64) * 2)
    text = INPUT % (1, 3, 3) + layer("InnerProduct", "ip", "data", more=IP)
    model = nets.write(tmp_path / "net.caffemodel", text, {"ip": [blob, nets.array(4)]})
    network = from_caffe(model)
    expected = blob.numbers("double_data").reshape(4, 9).T
    np.testing.assert_allclose(network.ip.weight.value, expected, rtol=1e-6)


def test_old_format(tmp_path):
    """The V1 format: `layers`, words in capitals, arrays of four axes, in text and in binary."""
    text = """input: "data" input_dim: 1 input_dim: 3 input_dim: 9 input_dim: 8
        layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv" blobs_lr: 1 blobs_lr: 2
          convolution_param { num_output: 5 kernel_size: 3 pad: 1
            weight_filler { type: "xavier" } } }
        layers { name: "pool" type: POOLING bottom: "conv" top: "pool"
          pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
        layers { name: "ip" type: INNER_PRODUCT bottom: "pool" top: "ip"
          inner_product_param { num_output: 4 } }
        layers { name: "prob" type: SOFTMAX bottom: "ip" top: "prob" }"""
    blobs = {"conv": conv(5, 3), "ip": ip(5 * 4 * 4)}
    prototxt = tmp_path / "net.prototxt"
    prototxt.write_text(text)
    new = (INPUT % (3, 9, 8)) + CHAINS["in place"][0].replace("num_output: 6", "num_output: 5")
    x = np.random.default_rng(1).standard_normal((2, 3, 9, 8)).astype(np.float32)
    old = {name: [nets.old(blob) for blob in found] for name, found in blobs.items()}
    model = nets.write(tmp_path / "net.caffemodel", text, old)
    expected = nets.run(new.replace('"ReLU"', '"Dropout"'), blobs, x)["ip"]
    for description in (prototxt, None):
        network = from_caffe(model, description)
        y = network(np.ascontiguousarray(x[:, ::-1].transpose(0, 2, 3, 1)))
        np.testing.assert_allclose(y, expected, rtol=2e-5, atol=2e-5)


def test_format_v0(tmp_path):
    path = tmp_path / "old.prototxt"
    path.write_text('layers { layer { name: "conv1" type: "conv" } bottom: "data" top: "conv1" }')
    text, blobs = CHAINS["dilation"]
    model = nets.write(tmp_path / "net.caffemodel", (INPUT % (3, 9, 8)) + text, blobs)
    with pytest.raises(CheckpointError, match=r"old\.prototxt: it is in Caffe's format V0"):
        from_caffe(model, path)


TRAIN = """
layer { name: "cifar" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { scale: 0.5 crop_size: 9 mirror: true
    mean_value: 10 mean_value: 20 mean_value: 30 }
  data_param { source: "somewhere" batch_size: 64 backend: LMDB } }
layer { name: "cifar" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { scale: 0.25 crop_size: 9 mean_value: 10 mean_value: 20 mean_value: 30 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 1 }
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 1e-4 } } }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 4 } }
layer { name: "aux" type: "InnerProduct" bottom: "conv" top: "aux"
  inner_product_param { num_output: 4 } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy"
  include { phase: TEST } }
layer { name: "loss1" type: "SoftmaxWithLoss" bottom: "aux" bottom: "label" top: "loss1"
  loss_weight: 0.3 }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
TRAINED = {"conv": conv(4, 3), "ip": ip(4 * 7 * 7), "aux": ip(4 * 7 * 7)}


@pytest.mark.parametrize("described", [True, False])
def test_training_file(tmp_path, described):
    """A train_val file: data, losses and lesser outputs go, the preprocessing of TEST stays."""
    prototxt = tmp_path / "train_val.prototxt"
    prototxt.write_text(TRAIN)
    model = nets.write(tmp_path / "net.caffemodel", TRAIN, TRAINED, described)
    network = from_caffe(model, prototxt)
    assert [name for name, _ in network.children()] == ["conv", "ip_flatten", "ip"]
    assert network.input_shape == (9, 9, 3)
    assert not network.training
    preprocess = network.preprocess
    assert preprocess.size == (9, 9)
    assert preprocess.crop
    pixels = np.full((1, 9, 9, 3), (33, 24, 11), np.uint8)
    np.testing.assert_allclose(preprocess(pixels)[0, 0, 0], (0.75, 1, 0.25), rtol=1e-5)


def test_weights_alone(tmp_path):
    """A .caffemodel describes its own layers, with the rules of training."""
    only = TRAIN.replace("phase: TEST", "phase: TRAIN")
    model = nets.write(tmp_path / "net.caffemodel", only, TRAINED)
    network = from_caffe(model)
    assert network.input_shape == (9, 9, 3)
    assert [name for name, _ in network.children()] == ["conv", "ip_flatten", "ip"]
    assert from_caffe(model, output="aux")["aux"].out_features == 4


def test_faults_are_named(tmp_path):
    """One sentence names the file, Caffe's layer and what is wrong."""
    text, blobs = CHAINS["in place"]
    text = (INPUT % (3, 9, 8)) + text
    prototxt, model = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    prototxt.write_text(text)
    nets.write(model, text, blobs)

    def fails(match, change=None, source=prototxt, **options):
        if change:
            prototxt.write_text(text.replace(*change))
        with pytest.raises(CheckpointError, match=match) as caught:
            from_caffe(model, source, **options)
        assert "\n" not in str(caught.value)
        prototxt.write_text(text)

    fails(
        r"net\.prototxt: layer 'conv' \(Convolution\) has weights of shape \(6, 3, 3, 3\); "
        r"expected \(7, 3, 3, 3\)",
        ("num_output: 6", "num_output: 7"),
    )
    fails(
        r"layer 'conv2' \(Convolution\): the file of weights has none",
        ('"conv" type', '"conv2" type'),
    )
    fails(
        r"layer 'relu' \(Sigmund\): this type is not read; known are AbsVal, ",
        ("ReLU", "Sigmund"),
    )
    fails(
        r"its convolution_param has the field axes, which is not known",
        ("pad: 1 }", "pad: 1 axes: 2 }"),
    )
    fails(r"reads 'dato', which no layer before it writes", ('bottom: "data"', 'bottom: "dato"'))
    fails(r"line 2: BlobShape\.dim is true; expected int", ("dim: 2", "dim: true"))
    fails(r"it has no array 'prob'; its outputs are 'ip'", output="prob")
    fails(r"its method is STOCHASTIC", ("pool: AVE", "pool: STOCHASTIC"))
    fails(r"missing\.prototxt: cannot be read: No such file", source=tmp_path / "missing.prototxt")
    fails(
        r"layer 'relu' \(ReLU\) has the field relu_parm",
        ('top: "conv"  }', 'top: "conv" relu_parm { } }'),
    )
    fails(
        r"net\.prototxt: it has the field layr, which",
        ('layer { name: "relu"', 'layr { name: "relu"'),
    )
    fails(r"in two formats, `layer` and `layers`", ("layer {", "layers { type: RELU } layer {"))
    fails(
        r"layer 'conv' \(Convolution\): it has pad and also pad_h or pad_w; expected one of them",
        ("pad: 1 }", "pad: 1 pad_h: 0 }"),
    )
    fails(
        r"layer 'conv' \(Convolution\): it has stride_h without stride_w; expected both",
        ("pad: 1 }", "pad: 1 stride_h: 2 }"),
    )
    fails(
        r"layer 'pool' \(Pooling\): it has kernel_w without kernel_h; expected both",
        ("AVE kernel_size: 3", "AVE kernel_w: 3"),
    )
    fails(
        r"layer 'pool' \(Pooling\): global_pooling is true; expected no size of a kernel",
        ("AVE kernel_size: 3", "AVE global_pooling: true kernel_size: 3"),
    )
    fails(r"it has 3 values of input_dim; expected 4", ("name:", "input_dim: [1, 3, 9] name:"))
    fails(
        r"it has input_dim and also input_shape; expected one of them",
        ("name:", "input_dim: [1, 3, 9, 8] input_shape { dim: 1 } name:"),
    )
    fails(
        r"layer 'data' \(Input\) has 2 shapes for 1 arrays",
        ("input_param {", "input_param { shape { dim: 1 }"),
    )
    fails(
        r"layer 'pool' \(Pooling\): kernel_size=\(0, 0\)",
        ("AVE kernel_size: 3", "AVE kernel_size: 0"),
    )
    fails(
        r"layer 'drop' \(Bias\): num_axes is 0; only 1, the channels, is known",
        ('"Dropout"', '"Bias" bias_param { num_axes: 0 }'),
    )
    fails(r"2 layers with weights are called 'ip'; expected one", ('"drop"', '"ip"'))
    fails(r"layer 'drop' \(Eltwise\): it reads 1 array; expected at", ("Dropout", "Eltwise"))
    fails(
        r"layer 'ip' \(Softmax\): axis is 2; only 1",
        ('"InnerProduct"', '"Softmax" softmax_param { axis: 2 }'),
    )
    fails(r"it describes no layers", (text, "# nothing\n"))
    fails(r"it does not give the size of its input", (SHAPE % (3, 9, 8), ""))
    with pytest.raises(ValueError, match="channels='gbr': expected 'bgr' or 'rgb'"):
        from_caffe(model, prototxt, channels="gbr")
    model.write_bytes(b"GIF89a" + bytes(40))
    fails(r"net\.caffemodel: not a Caffe network, or damaged: ")


def real(name):
    """A file that somebody trained with Caffe; skips where it is not."""
    path = data.cache_folder() / "caffe" / name
    if not path.is_file():
        pytest.skip(f"{path} is not on this machine")
    return path


def test_a_strangers_lenet(mnist):
    """LeNet in the new format, without a prototxt: a network of the zoo, which reads digits."""
    network = from_caffe(real("lenet_iter_10000.caffemodel"))
    assert network.name == "lenet_caffe"
    assert network.input_shape == (28, 28, 1)
    _, test = mnist
    images, labels = test.images[:500], test.labels[:500]
    outputs = network(network.preprocess(images))
    assert (outputs.argmax(axis=1) == labels).mean() > 0.98


def test_cifar10_quick():
    """A file in the V1 format gives an independent twin's logits; both read CIFAR's RGB."""
    path = real("cifar10_quick_iter_5000.caffemodel")
    with pytest.warns(UserWarning, match=r"the mean image mean\.binaryproto is not in"):
        network = from_caffe(path, input_shape=(32, 32, 3))
    parsed = read_binary(path.read_bytes(), "NetParameter")
    w = {}
    for found in parsed.all("layers"):
        for blob, kind in zip(found.all("blobs"), "wb", strict=False):
            shape = [blob.get(name) for name in ("num", "channels", "height", "width")]
            w[found.get("name") + kind] = torch.from_numpy(
                blob.numbers("data").reshape(shape).copy()
            )
    x = np.random.default_rng(0).uniform(-120, 130, (4, 3, 32, 32)).astype(np.float32)
    y = T.conv2d(torch.from_numpy(x), w["conv1w"], w["conv1b"].flatten(), padding=2)
    y = T.max_pool2d(y, 3, 2, ceil_mode=True).relu()
    y = T.conv2d(y, w["conv2w"], w["conv2b"].flatten(), padding=2).relu()
    y = T.avg_pool2d(y, 3, 2, ceil_mode=True)  # its divisor is Caffe's: the overhang does not count
    y = T.conv2d(y, w["conv3w"], w["conv3b"].flatten(), padding=2).relu()
    y = T.avg_pool2d(y, 3, 2, ceil_mode=True).flatten(1)
    y = T.linear(y, w["ip1w"][0, 0], w["ip1b"].flatten())
    y = T.linear(y, w["ip2w"][0, 0], w["ip2b"].flatten())
    ours = network(np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
    np.testing.assert_allclose(ours, y.numpy(), atol=1e-4, rtol=1e-5)
