"""Networks from ONNX files: the `onnx` package's own cases, onnxruntime, torch, and our exports."""

import re
from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import minicnn
from minicnn import data, layers, models, training
from minicnn.errors import CheckpointError
from minicnn.layers import Graph
from minicnn.onnx import to_onnx
from minicnn.onnx.load import from_onnx
from minicnn.study import check_gradients

from .cases import DATA, JOINS, OPERATORS, check, node_cases, run, stored_case, with_split

pytestmark = pytest.mark.filterwarnings("ignore:(overflow|divide by zero|invalid value)")

# The number of cases of each operator that give the expected output; the others are refused.
EQUAL = {
    **{"Abs": 1, "Add": 2, "AveragePool": 13, "BatchNormalization": 2, "Celu": 3, "Clip": 8},
    **{"Concat": 6, "Conv": 6, "ConvTranspose": 10, "DepthToSpace": 2, "Div": 2, "Dropout": 6},
    **{"Elu": 3, "Erf": 1, "Exp": 2, "Expand": 1, "Flatten": 3, "Gather": 1, "Gelu": 4},
    **{"Gemm": 8, "GlobalAveragePool": 2, "GlobalMaxPool": 2, "GroupNormalization": 2},
    **{"HardSigmoid": 3, "HardSwish": 1, "Identity": 2, "InstanceNormalization": 2, "LRN": 2},
    **{"LayerNormalization": 13, "LeakyRelu": 3, "Log": 2, "MatMul": 1, "Max": 1, "MaxPool": 13},
    **{"Mean": 1, "Min": 1, "Mish": 1, "Mul": 2, "Neg": 2, "PRelu": 1, "Pad": 3, "Pow": 1},
    **{"Reciprocal": 2, "ReduceL1": 6, "ReduceL2": 6, "ReduceMax": 6, "ReduceMean": 6},
    **{"ReduceMin": 6, "ReduceSum": 6, "ReduceSumSquare": 6, "Relu": 1, "Reshape": 6},
    **{"Resize": 29, "Selu": 3, "Sigmoid": 2, "Slice": 5, "Softmax": 6, "Softplus": 2},
    **{"SpaceToDepth": 4, "Split": 5, "Sqrt": 2, "Squeeze": 1, "Sub": 2, "Sum": 1, "Swish": 1},
    **{"Tanh": 2, "Transpose": 2, "Unsqueeze": 6, "Upsample": 1},
}
REASONS = (
    r"has the shape \(.*\); expected (maps )?\(N, C",  # 1 and 3 dimensions
    r"expected the batch as the first|the axis of the batch; expected|joins the images of a batch",
    r"pooling with dilation|is over the batch|of the batch; expected 0",
    r"has? the shape \(.*\) for a tensor|have the shape|expected one number per output",
    r"the input is transposed",
    r"expected vectors \(N, in\)|is constant; expected one that is computed|joins constants",
    r"0 is the batch|an axis behind the batch|repeats the images|is no single number|list of int",
    r"tf_crop_and_resize'|expected stretch|runtimes compute",
    r"it has no axes|nothing is left|expected one number|has the shape \(0, 4\) without N",
    r"is no array of floats|training_mode is true|mode='|low=2 is above high=1|log softmax",
    r"this operator is not known|cuts an axis into parts|for a tensor \(1, 3, 4\)|it is no layer",
)


@pytest.fixture(autouse=True)
def _reference():
    with minicnn.use("reference"):
        yield


def compared(cases, folder):
    """How many cases have the expected output. The message of any other names a reason."""
    count = Counter()
    for operator, name, model, inputs, outputs in cases:
        if operator in JOINS and len({np.shape(a) for a in inputs}) == 1 < len(inputs):
            if inputs[0].ndim == 1:
                continue  # one number per image: there is no axis of channels to cut
            model, inputs = with_split(model, inputs)
        try:
            check(model, inputs, outputs, folder)
            count[operator] += 1
        except CheckpointError as error:
            text = str(error).removeprefix(f"{folder}/model.onnx: ")
            assert any(re.search(reason, text) for reason in REASONS), (name, text)
    return count


def test_cases_of_operators(tmp_path):
    integers = ("int8", "int16", "int32", "int64", "uint8")
    cases = [
        (model.graph.node[0].op_type, name, model, *arrays)
        for name, (model, *arrays) in node_cases().items()
        if len(model.graph.node) == 1 and model.graph.node[0].op_type in OPERATORS
        and not any(word in name for word in integers)
    ]  # fmt: skip
    assert compared(cases, tmp_path) == EQUAL


def test_cases_from_pytorch(tmp_path):
    folders = sorted((DATA / "pytorch-converted").glob("test_*"))
    cases = [("all", f.name, *stored_case(f.name)) for f in folders]
    assert len(cases) > 75
    assert compared(cases, tmp_path)["all"] >= 56


def test_a_light_model(tmp_path):
    """SqueezeNet with weights that are one number, as its file has them: every class is equal."""
    graph = from_onnx(DATA / "light" / "light_squeezenet.onnx", keep_softmax=True)
    assert graph.input_shape == (224, 224, 3)
    assert graph.output_shape((2, 224, 224, 3)) == (2, 1000)
    assert sum(p.value.size for p in graph.parameters()) == 1_235_496
    assert list(graph.inputs)[:3] == ["r0", "r2", "r3"]  # the file has no other names
    with minicnn.no_grad():
        y = graph(np.ones((1, 48, 48, 3), np.float32))
    np.testing.assert_allclose(y, 1e-3, rtol=1e-5)


# --- networks made here ---


def save(nodes, path, *, weights=None, shape=(2, 3, 8, 6), opset=13, outputs=("y",), batch=None):
    """A model with the input "x". weights: arrays by name."""
    shape = shape if batch is None else (batch, *shape[1:])
    graph = helper.make_graph(
        [helper.make_node(op, i, o, **attributes) for op, i, o, attributes in nodes],
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in (weights or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def runtime(path, x):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options)
    return session.run(None, {"x": x})[0]


CONV = {"w": draw(6, 3, 3, 3), "b": draw(6, seed=1)}
SIZES = {"k": np.array([2, 3, 4, 3]), "mixed": np.array([6, 48])}
C1 = ("Conv", ["x", "w", "b"], ["c"], {"pads": [1, 1, 1, 1]})
I64 = np.int64
NETWORKS = {
    "shuffle": (
        [
            C1,
            ("Reshape", ["c", "s1"], ["r"], {}),
            ("Transpose", ["r"], ["t"], {"perm": [0, 2, 1, 3, 4]}),
            ("Reshape", ["t", "s2"], ["y"], {}),
        ],
        CONV | {"s1": np.array([0, 2, 3, 8, 6], I64), "s2": np.array([0, -1, 8, 6], I64)},
    ),
    "shuffled and split": (
        [
            C1,
            ("Reshape", ["c", "s1"], ["r"], {}),
            ("Transpose", ["r"], ["t"], {"perm": [0, 2, 1, 3, 4]}),
            ("Reshape", ["t", "s2"], ["u"], {}),
            ("Split", ["u", "parts"], ["p", "q"], {"axis": 1}),
            ("Slice", ["q", "one", "four", "three"], ["v"], {}),
            ("Concat", ["v", "q"], ["y"], {"axis": -1}),
        ],
        CONV
        | {"s1": np.array([0, 2, 3, 8, 6], I64), "s2": np.array([0, -1, 8, 6], I64)}
        | {"parts": np.array([1, 5], I64), "one": np.array([1], I64)}
        | {"four": np.array([4], I64), "three": np.array([3], I64)},
    ),
    "shuffled together with the batch": (
        [
            C1,
            ("Reshape", ["c", "s1"], ["r"], {}),
            ("Transpose", ["r"], ["t"], {"perm": [1, 0, 2]}),
            ("Reshape", ["t", "s2"], ["u"], {}),
            ("Gather", ["u", "one"], ["v"], {"axis": 0}),
            ("Gather", ["u", "zero"], ["w1"], {"axis": 0}),
            ("Concat", ["v", "w1"], ["y"], {"axis": 1}),
        ],
        CONV
        | {"s1": np.array([6, 2, 48], I64), "s2": np.array([2, -1, 3, 8, 6], I64)}
        | {"zero": np.array(0, I64), "one": np.array(1, I64)},
    ),
    "flattened by its shape": (
        [
            C1,
            ("Relu", ["c"], ["a"], {}),
            ("MaxPool", ["a"], ["p"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
            ("Shape", ["p"], ["s"], {}),
            ("Gather", ["s", "zero"], ["n"], {"axis": 0}),
            ("Unsqueeze", ["n", "axes"], ["n1"], {}),
            ("Concat", ["n1", "rest"], ["target"], {"axis": 0}),
            ("Reshape", ["p", "target"], ["f"], {}),
            ("Gemm", ["f", "v", "c4"], ["g"], {"transB": 1, "alpha": 0.5}),
            ("Tanh", ["g"], ["y"], {}),
        ],
        CONV
        | {"zero": np.array(0, I64), "axes": np.array([0], I64), "rest": np.array([-1], I64)}
        | {"v": draw(4, 72, seed=2), "c4": draw(4, seed=3)},
    ),
    "a product and a sum": (
        [
            C1,
            ("Flatten", ["c"], ["f"], {}),
            ("MatMul", ["f", "v"], ["m"], {}),
            ("Add", ["m", "c4"], ["a"], {}),
            ("PRelu", ["a", "slopes"], ["y"], {}),
        ],
        CONV | {"v": draw(288, 4, seed=2), "c4": draw(1, 4, seed=3), "slopes": draw(4, seed=4)},
    ),
    "squeeze and excitation": (
        [
            C1,
            ("GlobalAveragePool", ["c"], ["g"], {}),
            ("Conv", ["g", "w1"], ["e"], {}),
            ("HardSigmoid", ["e"], ["h"], {"alpha": 1 / 6}),
            ("Mul", ["c", "h"], ["m"], {}),
            ("Sub", ["m", "c"], ["d"], {}),
            ("Max", ["d", "c", "m"], ["y"], {}),
        ],
        CONV | {"w1": draw(6, 6, 1, 1, seed=2)},
    ),
    "a decoder": (
        [
            ("Flatten", ["x"], ["f"], {}),
            ("Gemm", ["f", "v"], ["g"], {}),
            ("Reshape", ["g", "s"], ["r"], {}),
            ("ConvTranspose", ["r", "w"], ["y"], {"strides": [2, 2], "pads": [1, 0, 0, 1]}),
        ],
        {"v": draw(144, 40), "s": np.array([-1, 5, 4, 2], I64), "w": draw(5, 3, 3, 3, seed=1)},
    ),
    "batch norm, scale and shift": (
        [
            ("Conv", ["x", "w"], ["c"], {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
            ("BatchNormalization", ["c", "g", "b", "m", "v"], ["n"], {"epsilon": 0.01}),
            ("Mul", ["n", "k"], ["k1"], {}),
            ("Add", ["k1", "k"], ["k2"], {}),
            ("LeakyRelu", ["k2"], ["a"], {"alpha": 0.2}),
            ("Mul", ["a", "k"], ["k3"], {}),
            ("Sub", ["two", "k3"], ["k4"], {}),
            ("Div", ["k4", "two"], ["y"], {}),
        ],
        {"w": draw(6, 3, 4, 4), "g": draw(6, seed=1), "b": draw(6, seed=2), "m": draw(6, seed=3)}
        | {"v": np.abs(draw(6, seed=4)) + 0.5, "k": draw(6, 1, 1, seed=5)}
        | {"two": np.array(2, np.float32)},
    ),
    "split, slice and concatenation": (
        [
            C1,
            ("Split", ["c", "parts"], ["p", "q"], {"axis": 1}),
            ("Slice", ["c", "one", "four", "one"], ["r"], {}),
            ("Concat", ["q", "r", "p"], ["z"], {"axis": 1}),
            ("Elu", ["z"], ["e"], {"alpha": 0.5}),
            ("LRN", ["e"], ["l"], {"size": 5, "alpha": 0.5, "bias": 2.0}),
            ("ReduceMean", ["l"], ["y"], {"axes": [2, -1], "keepdims": 0}),
        ],
        CONV
        | {"parts": np.array([2, 4], I64), "one": np.array([1], I64)}
        | {"four": np.array([4], I64)},
    ),
    "images with channels last": (
        [
            ("Transpose", ["x"], ["t"], {"perm": [0, 3, 1, 2]}),
            ("Conv", ["t", "w", "b"], ["c"], {}),
            ("Pad", ["c", "pads", "value"], ["p"], {}),
            ("Flatten", ["p"], ["y"], {}),
        ],
        {"w": draw(6, 6, 3, 3), "b": draw(6, seed=1), "value": np.array(0.5, np.float32)}
        | {"pads": np.array([0, 0, 1, 0, 0, 0, 0, 2], I64)},
    ),
    "two paths from the input": (
        [
            ("Conv", ["x", "w"], ["c"], {"pads": [1, 1, 1, 1]}),
            ("AveragePool", ["x"], ["p"], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
            ("Sum", ["c", "p", "x"], ["s"], {}),
            ("Softmax", ["s"], ["z"], {"axis": 1}),
            ("Softmax", ["z"], ["y"], {"axis": 3}),
        ],
        {"w": draw(3, 3, 3, 3)},
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_against_onnxruntime(name, tmp_path):
    nodes, weights = NETWORKS[name]
    path = save(nodes, tmp_path / "net.onnx", weights=weights)
    graph, x = from_onnx(path, keep_softmax=True), draw(2, 3, 8, 6, seed=9)
    y = run(graph, x, is_nhwc="last" in name)
    np.testing.assert_allclose(y, runtime(path, x), rtol=2e-5, atol=2e-6)

    minicnn.save(graph, tmp_path / "net.safetensors")
    again = minicnn.load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(run(again, x, is_nhwc="last" in name), y)
    graph.astype(np.float64)
    spread = x.transpose(0, 2, 3, 1) if "last" not in name else x
    errors = check_gradients(graph, spread.astype(float), eps=1e-6)
    assert max(errors.values()) < 1e-5, errors


def test_normalization_across_an_even_number_of_channels(tmp_path):
    """onnxruntime does not compute it; the package's definition does."""
    from onnx.reference import ReferenceEvaluator

    path = save([("LRN", ["x"], ["y"], {"size": 4, "alpha": 0.7})], tmp_path / "net.onnx", batch=3)
    x = draw(3, 3, 8, 6)  # that computes as many channels as there are images
    (expected,) = ReferenceEvaluator(onnx.load(path)).run(None, {"x": x})
    np.testing.assert_allclose(run(from_onnx(path), x), expected, rtol=1e-5)


def test_what_becomes_of_the_nodes(tmp_path):
    """Activations, biases and factors become part of the layers before; few layers move numbers."""
    found = {}
    for name, (nodes, weights) in NETWORKS.items():
        graph = from_onnx(save(nodes, tmp_path / "net.onnx", weights=weights))
        found[name] = [type(layer).__name__ for layer in graph]
    assert found["flattened by its shape"] == ["Conv2d", "MaxPool2d", "Flatten", "Linear"]
    assert found["a product and a sum"] == ["Conv2d", "Flatten", "Linear", "PReLU"]
    assert found["batch norm, scale and shift"][:3] == ["Conv2d", "BatchNorm2d", "LeakyReLU"]
    assert found["shuffle"] == ["Conv2d", "Reshape", "Permute", "Reshape"]
    assert found["images with channels last"] == ["Conv2d", "Pad2d", "Permute", "Flatten"]


def test_two_matrices_that_become_one_layer_are_saved(tmp_path):
    """Sizes without exact scales are written as one matrix for rows and one for columns."""
    net = Graph(layers.Upsample(size=(7, 5), mode="bilinear"), input_shape=(3, 3, 2))
    to_onnx(net, tmp_path / "net.onnx")
    found = from_onnx(tmp_path / "net.onnx")
    minicnn.save(found, tmp_path / "net.safetensors")
    again = minicnn.load(tmp_path / "net.safetensors").state_dict()
    assert len(again) == 2
    for name, array in found.state_dict().items():
        np.testing.assert_array_equal(again[name], array)


def test_maps_whose_channels_are_last_in_the_file_stay_so(tmp_path):
    """A file that begins and ends with a Transpose."""
    nodes = [
        ("Transpose", ["x"], ["t"], {"perm": [0, 3, 1, 2]}),
        ("Conv", ["t", "w", "b"], ["c"], {}),
        ("Transpose", ["c"], ["y"], {"perm": [0, 2, 3, 1]}),
    ]
    path = save(nodes, tmp_path / "net.onnx", weights=CONV, shape=(2, 8, 6, 3))
    graph, x = from_onnx(path), draw(2, 8, 6, 3)
    assert [type(layer) for layer in graph] == [layers.Conv2d]
    np.testing.assert_allclose(graph(x), runtime(path, x), rtol=1e-5, atol=1e-6)


def test_gradients_against_torch(tmp_path):
    """A residual block and a classifier: dx and all gradients of weights are torch's."""
    weights = CONV | {"w2": draw(6, 6, 3, 3, seed=2), "v": draw(5, 288, seed=3)}
    nodes = [
        C1,
        ("Relu", ["c"], ["a"], {}),
        ("Conv", ["a", "w2"], ["d"], {"pads": [1, 1, 1, 1], "group": 1}),
        ("Add", ["d", "a"], ["s"], {}),
        ("Relu", ["s"], ["r"], {}),
        ("Flatten", ["r"], ["f"], {}),
        ("Gemm", ["f", "v"], ["y"], {"transB": 1}),
    ]
    graph = from_onnx(save(nodes, tmp_path / "net.onnx", weights=weights)).astype(np.float64)
    t = {name: torch.tensor(a.astype(float), requires_grad=True) for name, a in weights.items()}
    x = torch.tensor(draw(2, 3, 8, 6, seed=9).astype(float), requires_grad=True)
    conv = torch.nn.functional.conv2d
    a = torch.relu(conv(x, t["w"], t["b"], padding=1))
    y = torch.relu(conv(a, t["w2"], padding=1) + a).flatten(1) @ t["v"].T
    dy = draw(2, 5, seed=5).astype(float)
    y.backward(torch.tensor(dy))
    np.testing.assert_allclose(run(graph, x.detach().numpy()), y.detach(), rtol=1e-10)
    dx = graph.backward(dy).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(dx, x.grad, rtol=1e-8, atol=1e-10)
    by_name = {"w": graph[0].weight, "w2": graph[1].weight, "b": graph[0].bias}
    by_name["v"] = graph[-1].weight
    for name, parameter in by_name.items():
        theirs = t[name].grad.numpy()
        if theirs.ndim == 4:
            theirs = theirs.transpose(2, 3, 1, 0)
        if name == "v":
            theirs = theirs.reshape(5, 6, 8, 6).transpose(2, 3, 1, 0).reshape(288, 5)
        np.testing.assert_allclose(parameter.grad, theirs, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lenet5", {}),
        ("densenet_bc_cifar", {"depth": 16, "growth_rate": 4}),
        ("nin_cifar10", {}),
        ("resnet20_cifar", {}),
    ],
)
def test_our_own_exports(name, options, tmp_path):
    """A network of ours that was written and read again gives the same numbers."""
    network = models.create(name, seed=0, **options).eval()
    to_onnx(network, tmp_path / "net.onnx")
    graph = from_onnx(tmp_path / "net.onnx")
    assert graph.input_shape == network.input_shape
    x = draw(2, *network.input_shape)
    y, expected = graph(x), network(x)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5 * abs(expected).max())
    found, own = (minicnn.training.preprocess_of(n) for n in (graph, network))
    assert found == own


@pytest.mark.parametrize("pixels", ["uint8", "float32"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_an_export_that_contains_its_preprocessing(pixels, layout, tmp_path):
    """It reads pixels of 0 to 255, here as floats; `preprocess` leaves them as they are."""
    network = layers.Network(layers.Conv2d(3, 2, 3), layers.Flatten(), input_shape=(6, 5, 3))
    mean, std = (0.3, 0.4, 0.5), (0.1, 0.2, 0.3)
    network.preprocess = data.Preprocess((6, 5), channels=3, mean=mean, std=std)
    path = tmp_path / "net.onnx"
    to_onnx(network.eval(), path, with_preprocessing=pixels, input_layout=layout)
    graph = from_onnx(path)
    images = np.random.default_rng(0).integers(0, 256, (2, *graph.input_shape), np.uint8)
    expected = network(training.preprocess_of(network)(images))
    y = graph(training.preprocess_of(graph)(images))
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(graph(images.astype(np.float32)), y, rtol=1e-5, atol=1e-6)
    (affine,) = (layer for layer in graph if isinstance(layer, layers.Affine))
    assert affine.weight.frozen and affine.bias.frozen
    minicnn.save(graph, tmp_path / "net.safetensors")
    again = minicnn.load(tmp_path / "net.safetensors")
    assert [p.frozen for p in again.parameters()] == [p.frozen for p in graph.parameters()]
    if pixels == "uint8":
        model = onnx.load(path)
        next(n for n in model.graph.node if n.op_type == "Cast").op_type = "Relu"
        onnx.save(model, path)
        with pytest.raises(CheckpointError, match=r"Relu '.*': it computes with integers, uint8"):
            from_onnx(path)


def test_options_and_errors(tmp_path):
    path = tmp_path / "net.onnx"
    nodes = [C1, ("Relu", ["c"], ["r"], {}), ("Softmax", ["c"], ["y"], {"axis": 1})]
    save(nodes, path, weights=CONV, outputs=("y", "r"), shape=("n", 3, "h", 6))
    graph = from_onnx(path, output="r", input_shape=(8, 6, 3))
    assert [type(layer) for layer in graph] == [layers.Conv2d, layers.ReLU]
    assert isinstance(graph, Graph) and not graph.training and graph.name == "net.onnx"
    for options, message in (
        ({"input_shape": (8, 6, 3)}, r"it has the outputs y, r; choose one: output=NAME"),
        ({"output": "z"}, "it has no output 'z'; it has y, r"),
        ({"output": "r"}, r"it leaves sizes of its images open, \?x6x3: give input_shape"),
        (
            {"output": "r", "input_shape": (8, 7, 3)},
            r"input_shape=8x7x3: the images of the file are \?x6x3",
        ),
    ):
        with pytest.raises(CheckpointError, match=message):
            from_onnx(path, **options)
    nodes, weights = NETWORKS["images with channels last"]
    last = save(nodes, tmp_path / "last.onnx", weights=weights, shape=("n", "h", "w", 6))
    assert from_onnx(last, input_shape=(5, 7, 6)).output_shape((2, 5, 7, 6)) == (2, 6 * 4 * 7)
    kept = from_onnx(path, output="y", input_shape=(8, 6, 3), keep_softmax=True)
    assert isinstance(kept[-1], layers.Softmax)
    assert not isinstance(from_onnx(path, output="y", input_shape=(8, 6, 3))[-1], layers.Softmax)


BAD_NODES = {
    "Conv 'c': its input 2, 'r', is computed; expected a constant": [
        ("Relu", ["x"], ["r"], {}),
        ("Conv", ["x", "r"], ["c"], {}),
    ],
    "QuantizeLinear 'y': this operator is not known": [("QuantizeLinear", ["x", "b"], ["y"], {})],
    "Resize 'y': antialias=1: expected 0": [
        ("Resize", ["x", "", "", "k"], ["y"], {"antialias": 1})
    ],
    "Concat 'y': axis=0 of a tensor (2, 3, 8, 6): 0 is the batch": [
        ("Concat", ["x", "x"], ["y"], {"axis": 0})
    ],
    "MatMul 'y': its input 2, 'x', is computed; expected a constant": [
        ("MatMul", ["x", "x"], ["y"], {})
    ],
    "Pow 'y': its exponent is no single number": [("Pow", ["x", "b"], ["y"], {})],
    "ReduceMean 'y': axes=[0] of a tensor (2, 3, 8, 6): 0 is the batch": [
        ("ReduceMean", ["x"], ["y"], {"axes": [0]})
    ],
    "Softmax 'y': its input (6, 48) does not begin with the batch": [
        ("Reshape", ["x", "mixed"], ["r"], {}),
        ("Softmax", ["r"], ["y"], {}),
    ],
    "output 'y': it moves the axis of the batch": [("Reshape", ["x", "mixed"], ["y"], {})],
    "Einsum 'y': this operator is not known": [("Einsum", ["x"], ["y"], {"equation": "i->i"})],
    "MaxPool 'y': dilations=[2, 2]: pooling with dilation": [
        ("MaxPool", ["x"], ["y"], {"kernel_shape": [2, 2], "dilations": [2, 2]})
    ],
    "Relu 'y': power=2: the attribute is not known": [("Relu", ["x"], ["y"], {"power": 2})],
    "Relu 'y': it reads 'nothing', which is computed by no node before it": [
        ("Relu", ["nothing"], ["y"], {}),
        ("Relu", ["x"], ["z"], {}),
    ],
    "Gemm 'y': its input 2, 'x', is computed": [("Gemm", ["b", "x"], ["y"], {})],
}


@pytest.mark.parametrize("message", BAD_NODES)
def test_what_cannot_be_read_is_named(message, tmp_path):
    path = save(BAD_NODES[message], tmp_path / "net.onnx", weights=CONV | SIZES, opset=17)
    with pytest.raises(CheckpointError, match=re.escape(message)) as found:
        from_onnx(path)
    assert str(found.value).startswith(f"{path}: ")
