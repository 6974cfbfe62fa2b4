"""Every layer as ONNX: onnxruntime gives the numbers of its definition."""

import numpy as np
import pytest

import minicnn
from minicnn import layers as L
from minicnn import models
from minicnn.kernels.reference.activation import ACTIVATIONS
from minicnn.layers.fused import ConvNorm
from minicnn.onnx import to_onnx
from minicnn.onnx.export_graph import has_rule
from minicnn.onnx.export_rules import activations

from .runtime import check, distance, images, randomized


def filled(conv):
    """The convolution with weights also where it is not connected, which must not count."""
    conv.weight.value[:] = np.random.default_rng(3).standard_normal(conv.weight.value.shape)
    return conv


# Name: the input (H, W, C), and a function that makes a layer or a small network.
CASES = {
    "conv": ((7, 9, 3), lambda: L.Conv2d(3, 4, 3)),
    "conv_geometry": (
        (9, 8, 4),
        lambda: L.Conv2d(
            4, 6, (3, 2), stride=(2, 1), padding=((0, 2), (1, 0)), dilation=(1, 2), groups=2
        ),
    ),
    "conv_no_bias": ((5, 5, 2), lambda: L.Conv2d(2, 3, 1, bias=False, activation="tanh")),
    "conv_connections": (
        (6, 6, 2),
        lambda: filled(L.Conv2d(2, 3, 3, connections=[[1, 0, 1], [0, 1, 1]])),
    ),
    "max_pool": ((7, 8, 2), lambda: L.MaxPool2d(3, 2, padding=1)),
    "max_pool_asymmetric": ((7, 8, 2), lambda: L.MaxPool2d((3, 2), 2, padding=((0, 1), (1, 0)))),
    "max_pool_ceil": ((8, 7, 2), lambda: L.MaxPool2d(3, 2, ceil_mode=True)),
    "max_pool_ceil_clipped": ((4, 6, 2), lambda: L.MaxPool2d(2, 3, padding=1, ceil_mode=True)),
    "avg_pool": ((7, 8, 2), lambda: L.AvgPool2d(3, 2)),
    "avg_pool_counted": ((7, 8, 2), lambda: L.AvgPool2d(3, 2, padding=((1, 0), (1, 2)))),
    "avg_pool_not_counted": (
        (7, 8, 2),
        lambda: L.AvgPool2d(3, 2, padding=1, count_include_pad=False),
    ),
    "avg_pool_ceil": ((8, 6, 2), lambda: L.AvgPool2d(3, 2, ceil_mode=True)),
    "avg_pool_ceil_counted": (
        (7, 8, 2),
        lambda: L.AvgPool2d(3, 2, padding=((1, 0), (1, 1)), ceil_mode=True),
    ),
    "avg_pool_ceil_not_counted": (
        (8, 6, 2),
        lambda: L.AvgPool2d(3, 2, padding=1, ceil_mode=True, count_include_pad=False),
    ),
    "conv_transpose": ((3, 4, 4), lambda: L.ConvTranspose2d(4, 3, 3, 2, 1, (1, 0))),
    "conv_transpose_grouped": (
        (3, 2, 4),
        lambda: L.ConvTranspose2d(4, 6, (3, 2), (2, 3), ((0, 1), (1, 0)), groups=2, dilation=2),
    ),
    "nearest": ((3, 4, 2), lambda: L.Upsample(2)),
    "nearest_fractional": ((5, 7, 2), lambda: L.Upsample((1.5, 2.25))),
    "nearest_rounded": ((10, 6, 2), lambda: L.Upsample(1.3)),
    "nearest_to_size": ((3, 6, 2), lambda: L.Upsample(size=(7, 9))),
    "bilinear": ((3, 4, 2), lambda: L.Upsample(2, "bilinear")),
    "bilinear_fractional": ((5, 7, 2), lambda: L.Upsample((1.5, 0.75), "bilinear")),
    "bilinear_to_size": ((3, 6, 2), lambda: L.Upsample(size=(7, 9), mode="bilinear")),
    "adaptive_max_even": ((6, 8, 2), lambda: L.AdaptiveMaxPool2d((3, 2))),
    "adaptive_max_odd": ((7, 5, 2), lambda: L.AdaptiveMaxPool2d((3, 4))),
    "global_max": ((4, 5, 3), L.GlobalMaxPool2d),
    "adaptive_same": ((3, 4, 2), lambda: L.AdaptiveAvgPool2d((3, 4))),
    "adaptive_even": ((6, 8, 2), lambda: L.AdaptiveAvgPool2d((3, 2))),
    "adaptive_odd": ((7, 5, 2), lambda: L.AdaptiveAvgPool2d((3, 4))),
    "adaptive_up": ((3, 2, 2), lambda: L.AdaptiveAvgPool2d(5)),
    "global_avg": ((4, 5, 3), L.GlobalAvgPool2d),
    "subsample": ((7, 6, 3), lambda: L.Subsample2d(3, 2, activation="scaled_tanh")),
    "batch_norm": ((4, 5, 3), lambda: L.BatchNorm2d(3, eps=1e-3, activation="relu")),
    "batch_norm_no_scale": (
        (4, 5, 3),
        lambda: L.BatchNorm2d(3, scale=False, activation="gelu"),
    ),
    "lrn": ((3, 4, 7), lambda: L.LocalResponseNorm(5, alpha=0.9, beta=0.6, k=1.5)),
    "lrn_divided": ((3, 4, 7), lambda: L.LocalResponseNorm(3, alpha=0.9, alpha_div_n=True)),
    "lrn_even": ((3, 4, 7), lambda: L.LocalResponseNorm(4, alpha=0.9)),
    "lrn_groups": ((3, 4, 6), lambda: L.LocalResponseNorm(3, alpha=0.9, groups=2)),
    "lrn_within": (
        (4, 5, 3),
        lambda: L.LocalResponseNorm(3, 0.9, k=1.0, alpha_div_n=True, within_channel=True),
    ),
    "lrn_within_even": ((4, 5, 3), lambda: L.LocalResponseNorm(4, 0.9, within_channel=True)),
    "lrn_even_groups": ((3, 4, 6), lambda: L.LocalResponseNorm(2, alpha=0.9, groups=2)),
    "linear": ((1, 1, 5), lambda: L.Sequential(L.Flatten(), L.Linear(5, 3, activation="sigmoid"))),
    "linear_after_maps": (
        (3, 2, 4),
        lambda: L.Sequential(
            L.Flatten(), L.ReLU(), L.Dropout(0.5), L.Linear(24, 5, bias=False), L.Linear(5, 2)
        ),
    ),
    "identity": (
        (3, 2, 4),
        lambda: L.Concat(old=L.Identity(), new=L.Conv2d(4, 2, 1)),
    ),
    "flatten": ((3, 2, 4), L.Flatten),
    "flatten_twice": ((3, 2, 4), lambda: L.Sequential(L.Flatten(), L.Flatten(), L.Linear(24, 2))),
    "rbf": (
        (2, 3, 2),
        lambda: L.Sequential(L.Flatten(), L.RBF(np.random.default_rng(0).normal(size=(4, 12)))),
    ),
    "pad_shortcut": ((5, 6, 2), lambda: L.PadShortcut(2, 5, stride=2)),
    "pad_shortcut_both_ends": ((4, 4, 2), lambda: L.PadShortcut(2, 5, pad_both_ends=True)),
    "pad_shortcut_same": ((4, 4, 2), lambda: L.PadShortcut(2, 2)),
    "scale": ((2, 2, 3), lambda: L.Scale(-1 / 9)),
    "scaled_tanh": ((2, 2, 3), L.ScaledTanh),
    "dropout": ((2, 2, 3), L.Dropout),
    "concat": (
        (4, 4, 2),
        lambda: L.Concat(one=L.Conv2d(2, 3, 1), two=L.Sequential(L.MaxPool2d(3, 1, padding=1))),
    ),
    "concat_flattened": (
        (2, 3, 2),
        lambda: L.Sequential(
            L.Concat(L.Flatten(), L.Sequential(L.Flatten(), L.Linear(12, 3))), L.Linear(15, 2)
        ),
    ),
    "residual": (
        (4, 4, 2),
        lambda: L.Residual(L.Conv2d(2, 2, 3, padding=1), activation="relu"),
    ),
    "residual_flattened": ((2, 3, 2), lambda: L.Residual(L.Flatten(), L.Flatten())),
    "residual_shortcut": (
        (4, 4, 2),
        lambda: L.Residual(L.Conv2d(2, 3, 3, padding=1), L.Conv2d(2, 3, 1), "tanh"),
    ),
    "graph": (
        (4, 4, 2),
        lambda: L.Graph(
            a=L.Conv2d(2, 4, 1),
            b=L.Slice(1, 3),
            c=L.Conv2d(2, 2, 1),
            sum=L.Add("relu"),
            d=L.Multiply(),
            e=L.Maximum(),
            f=L.Concatenate(),
            flatten=L.Flatten(),
            inputs={
                "c": "input",
                "sum": ("b", "c", "input"),
                "d": ("sum", "b", "c"),
                "e": ("d", "sum"),
                "f": ("e", "a"),
            },
        ),
    ),
    "graph_of_flattened": (
        (2, 3, 2),
        lambda: L.Graph(
            one=L.Flatten(),
            two=L.Linear(12, 12),
            add=L.Add(),
            join=L.Concatenate(),
            slice=L.Slice(5, 20),
            inputs={"add": ("one", "two"), "join": ("add", "one")},
        ),
    ),
}
CASES |= {
    f"activation_{name}": (
        (2, 3, 3),
        lambda name=name: L.Sequential(L.Scale(4), L.Activation(name)),
    )
    for name in ACTIVATIONS
}
CASES |= {
    **{
        f"function_{name}": ((2, 2, 3), lambda name=name: L.Function(name))
        for name in ("abs", "erf", "exp", "softplus")
    },
    "function_log": ((2, 2, 3), lambda: L.Sequential(L.Softmax(), L.Function("log"))),
    "function_power": ((2, 2, 3), lambda: L.Function("power", 3)),
    "resample": (
        (3, 4, 2),
        lambda: L.Resample2d(np.arange(15).reshape(5, 3) - 7, np.eye(2, 4)),
    ),
    "resample_rows": ((3, 4, 2), lambda: L.Resample2d(np.arange(6).reshape(2, 3))),
    "resample_columns": ((3, 4, 2), lambda: L.Resample2d(columns=np.arange(8).reshape(2, 4))),
    "scale_and_shift": ((2, 2, 3), lambda: L.Scale(0.5, -3)),
    "affine": ((2, 3, 4), lambda: L.Affine(4)),
    "affine_bias": ((2, 3, 4), lambda: L.Affine(4, scale=False)),
    "affine_flattened": (
        (2, 3, 4),
        lambda: L.Sequential(L.Flatten(), L.Affine(24, bias=False)),
    ),
    "reshape": ((2, 3, 4), lambda: L.Sequential(L.Reshape(6, 2, 2), L.Conv2d(2, 3, 2))),
    "reshape_to_features": ((2, 3, 4), lambda: L.Sequential(L.Reshape(24), L.Linear(24, 3))),
    "reshape_to_images": (
        (2, 3, 4),
        lambda: L.Sequential(L.Flatten(), L.Reshape(3, 4, 2), L.Conv2d(2, 3, 2)),
    ),
    "permute": (  # a Transpose at the input would mean an input in NHWC
        (2, 3, 4),
        lambda: L.Sequential(L.Scale(2), L.Permute(0, 3, 1, 2), L.Conv2d(3, 2, 2)),
    ),
    "shuffled_channels": (
        (2, 3, 6),
        lambda: L.Sequential(L.Reshape(2, 3, 2, 3), L.Permute(0, 1, 2, 4, 3), L.Reshape(2, 3, 6)),
    ),
    "joined_sequences": (
        (2, 3, 4),
        lambda: L.Graph(
            a=L.Reshape(6, 4),
            b=L.Permute(0, 2, 1),
            c=L.Reshape(6, 4),
            join=L.Concatenate(),
            slice=L.Slice(1, 6),
            soft=L.Softmax(),
            flatten=L.Flatten(),
            inputs={"c": "b", "join": ("a", "c")},
        ),
    ),
    "pad": ((2, 3, 4), lambda: L.Pad2d(((0, 1), (2, 0)), -0.5)),
    "pad_channels": ((2, 3, 4), lambda: L.Pad2d(((0, 1), (2, 0)), 0.5, (1, 2))),
    "flip_channels": ((2, 3, 4), lambda: L.FlipChannels()),
    "leaky_relu": ((2, 3, 3), lambda: L.LeakyReLU(0.3)),
    "elu": ((2, 3, 3), lambda: L.ELU(0.7)),
    "clip": ((2, 3, 3), lambda: L.Clip(-0.5, 0.8)),
    "clip_below": ((2, 3, 3), lambda: L.Clip(low=-0.5)),
    "clip_above": ((2, 3, 3), lambda: L.Clip(high=0.5)),
    "relu6_in_a_layer": ((2, 3, 3), lambda: L.BatchNorm2d(3, activation="relu6")),
    "prelu": ((2, 3, 3), lambda: L.PReLU(3)),
    "prelu_shared": ((2, 3, 3), L.PReLU),
    "prelu_flattened": ((2, 3, 3), lambda: L.Sequential(L.Flatten(), L.PReLU(18))),
    "softmax": ((2, 3, 3), lambda: L.Sequential(L.Scale(4), L.Softmax())),
    "softmax_flattened": ((2, 3, 3), lambda: L.Sequential(L.Flatten(), L.Softmax())),
    "group_norm": ((4, 5, 6), lambda: L.GroupNorm(3, 6, eps=1e-2)),
    "instance_norm": ((4, 5, 3), lambda: L.GroupNorm(3, 3)),
    "group_norm_flattened": ((2, 3, 2), lambda: L.Sequential(L.Flatten(), L.GroupNorm(2, 12))),
    "layer_norm": ((4, 5, 6), lambda: L.LayerNorm(6, eps=1e-2)),
    "layer_norm_sequence": ((2, 3, 6), lambda: L.Sequential(L.Reshape(6, 6), L.LayerNorm(6))),
    "layer_norm_flattened": ((2, 3, 2), lambda: L.Sequential(L.Flatten(), L.LayerNorm(12))),
}
OPSETS = (13, 17, 21)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("case", CASES)
def test_layer(case, opset, tmp_path):
    shape, make = CASES[case]
    if opset < 17 and case.startswith("layer_norm"):
        with pytest.raises(ValueError, match=": opset=13: LayerNorm needs at least opset 17"):
            to_onnx(make(), tmp_path / "a.onnx", input_shape=shape, opset=opset)
        return
    check(randomized(make()), tmp_path, shape, opset=opset)


def test_every_activation_by_name_is_known():
    assert {name for name in activations.ACTIVATIONS if name} == set(ACTIVATIONS)


# Layers without a rule, each with the reason.
BASES = {"Layer": "the base of all", "AuxiliaryNetwork": "with heads, see test_heads_are_left_out"}


def layer_classes():
    """Every class of layers in `minicnn.layers`, by name."""
    found = {name: getattr(L, name) for name in L.__all__}
    return {
        n: kind for n, kind in found.items() if isinstance(kind, type) and issubclass(kind, L.Layer)
    }


def test_every_layer_has_a_rule_and_a_case():
    covered = set()
    for _, make in CASES.values():
        layer = make()
        assert has_rule(layer)
        covered |= {kind for _, child in layer.named_layers() for kind in type(child).__mro__}
    missing = {name for name, kind in layer_classes().items() if kind not in covered} - set(BASES)
    # An activation of a fixed name runs as `Activation`, of which every name has a case.
    missing = {name for name in missing if not issubclass(getattr(L, name), L.Activation)}
    assert missing == set()


def test_heads_are_left_out(tmp_path):
    net = L.AuxiliaryNetwork(
        conv=L.Conv2d(2, 3, 1),
        pool=L.GlobalAvgPool2d(),
        heads={"conv": L.Sequential(L.GlobalAvgPool2d(), L.Linear(3, 2))},
    ).train()
    proto = check(net, tmp_path, (3, 3, 2))
    assert [node.name for node in proto.graph.node] == ["conv", "pool", "pool/Flatten"]
    assert net.training


def test_batch_norms_are_folded_only_on_request(tmp_path):
    def block():
        return L.Sequential(
            conv1=L.Conv2d(2, 4, 3, bias=False),
            bn1=L.BatchNorm2d(4, activation="relu"),
            block=L.Residual(
                L.Sequential(conv=L.Conv2d(4, 4, 1), bn=L.BatchNorm2d(4)), activation="relu"
            ),
            conv2=L.Conv2d(4, 2, 1, activation="relu"),  # cannot take in what follows
            bn2=L.BatchNorm2d(2),
        )

    for fold, expected in ((False, 3), (True, 1)):
        net = randomized(block())
        proto = check(net, tmp_path, (5, 5, 2), fold_batch_norm=fold)
        operators = [node.op_type for node in proto.graph.node]
        assert operators.count("BatchNormalization") == expected
        assert operators.count("Conv") == 3


def test_batch_norms_of_a_graph_are_folded_where_nothing_else_reads(tmp_path):
    net = L.Graph(
        conv1=L.Conv2d(2, 2, 1),
        bn1=L.BatchNorm2d(2),
        conv2=L.Conv2d(2, 2, 1),
        bn2=L.BatchNorm2d(2),
        add=L.Add(),
        conv3=L.Conv2d(2, 3, 1),
        bn3=L.BatchNorm2d(3),
        inputs={"add": ("conv1", "bn2")},
    )
    proto = check(randomized(net), tmp_path, (3, 3, 2), fold_batch_norm=True)
    names = [node.name for node in proto.graph.node]
    assert names == ["conv1", "bn1", "conv2", "add", "conv3"]


def test_a_fused_convolution_has_a_rule(tmp_path):
    pair = randomized(L.Sequential(conv=L.Conv2d(2, 3, 1), bn=L.BatchNorm2d(3, activation="relu")))
    check(ConvNorm(pair.conv, pair.bn).eval(), tmp_path, (3, 3, 2))


def test_nodes_and_weights_have_the_names_of_the_layers(tmp_path):
    net = L.Sequential(
        conv1=L.Conv2d(1, 2, 3, activation="relu"),
        block=L.Sequential(L.Conv2d(2, 2, 1, bias=False), tanh=L.ScaledTanh()),
        input=L.Flatten(),
        output=L.Linear(2, 2),
    )
    proto = check(net, tmp_path, (3, 3, 1))
    names = ["conv1", "conv1/Relu", "block.0", "block.tanh", "block.tanh/Tanh", "block.tanh/Mul"]
    assert [node.name for node in proto.graph.node] == [*names, "input", "output"]
    weights = {constant.name for constant in proto.graph.initializer}
    assert set(net.state_dict()) <= weights
    (entry,), (result,) = proto.graph.input, proto.graph.output
    assert (entry.name, result.name) == ("input", "output")


@pytest.mark.parametrize("case", CASES)
def test_round_trip(case, tmp_path):
    """What is imported again has the outputs and the gradients of the network."""
    shape, make = CASES[case]
    layer, path = randomized(make()), tmp_path / "a.onnx"
    to_onnx(layer, path, input_shape=shape)
    again = models.from_onnx(path, keep_softmax=True)
    minicnn.use("reference")
    x = images(shape).astype(np.float64)
    results = []
    for network in (layer, again):
        y = network.astype(np.float64).eval()(x)
        results.append((y, network.backward(np.random.default_rng(2).standard_normal(y.shape))))
    (y, dx), (found, gradient) = results
    assert distance(found, y) < 1e-6
    assert distance(gradient, dx) < 1e-6
