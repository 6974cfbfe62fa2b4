"""The test cases of the `onnx` package, and how a network that was read is compared with them."""

import importlib
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from minicnn.layers.graph import INPUT
from minicnn.onnx.load import from_onnx

NAMES = """
    Abs Add AveragePool BatchNormalization Celu Clip Concat Conv ConvTranspose DepthToSpace Div
    Dropout Elu Erf Exp Expand Flatten Gather Gelu Gemm GlobalAveragePool GlobalMaxPool
    GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LRN LayerNormalization
    LeakyRelu Log LogSoftmax MatMul Max MaxPool Mean Min Mish Mul Neg PRelu Pad Pow Reciprocal
    ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceSum ReduceSumSquare Relu Reshape Resize
    Selu Sigmoid Slice Softmax Softplus SpaceToDepth Split Sqrt Squeeze Sub Sum Swish Tanh
    Transpose Unsqueeze Upsample
"""
FILES = """
    abs add averagepool batch_normalization celu clip concat conv convtranspose depthtospace div
    dropout elu erf exp expand flatten gather gelu gemm globalaveragepool globalmaxpool
    groupnormalization hardsigmoid hardswish identity instance_normalization lrn
    layernormalization leakyrelu log logsoftmax matmul max maxpool mean min mish mul neg prelu pad
    pow reciprocal reducel1 reducel2 reducemax reducemean reducemin reducesum reducesumsquare relu
    reshape resize selu sigmoid slice softmax softplus spacetodepth split sqrt squeeze sub sum
    swish tanh transpose unsqueeze upsample
"""
OPERATORS, MODULES = NAMES.split(), FILES.split()
JOINS = ("Add", "Concat", "Div", "Max", "Mean", "Min", "Mul", "Sub", "Sum")
DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"


@cache
def node_cases():
    """The cases of single operators by name: the model, its inputs and its outputs."""
    from onnx.backend.test.case import node

    for name in MODULES:  # the others take seconds
        importlib.import_module(f"onnx.backend.test.case.node.{name}")
    found = {}
    for case in node._NodeTestCases:
        ((inputs, outputs), *_) = case.data_sets
        found[case.name] = case.model, list(inputs), list(outputs)
    return found


def stored_case(name):
    """A case of `pytorch-converted` or `pytorch-operator`."""
    folder = next(DATA.glob(f"*/{name}"))
    model = onnx.load(folder / "model.onnx")
    arrays = {}
    for kind in ("input", "output"):
        files = sorted((folder / "test_data_set_0").glob(f"{kind}_*.pb"))
        arrays[kind] = [numpy_helper.to_array(onnx.load_tensor(file)) for file in files]
    return model, arrays["input"], arrays["output"]


def with_split(model, inputs):
    """The model with one input in place of several of one shape: they are its slices."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    names = [i.name for i in model.graph.input]
    axis = 1 if inputs[0].ndim == 4 else inputs[0].ndim - 1
    x = np.concatenate(inputs, axis)
    sizes = numpy_helper.from_array(np.array([a.shape[axis] for a in inputs]), "sizes")
    node = onnx.helper.make_node("Split", ["all", "sizes"], names, axis=axis)
    model.graph.initializer.append(sizes)
    model.graph.node.insert(0, node)
    del model.graph.input[:]
    model.graph.input.append(onnx.helper.make_tensor_value_info("all", 1, x.shape))
    return model, [x]


def with_constants(model, inputs):
    """The model with one input; the other inputs become initializers with these values."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    given = {t.name for t in model.graph.initializer}
    free = [i for i in model.graph.input if i.name not in given]
    for info, array in list(zip(free, inputs, strict=True))[1:]:
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), info.name))
    return model


def run(graph, x, is_nhwc=False):
    """The outputs of a network in ONNX's order for inputs in ONNX's order."""
    maps = x.ndim == 4 and not is_nhwc
    y = graph(x.transpose(0, 2, 3, 1) if maps else x)
    return y.transpose(0, 3, 1, 2) if y.ndim == 4 else y


def check(model, inputs, outputs, folder, rtol=1e-3, atol=1e-5):
    """Read the model, and compare its first output. Returns the graph."""
    path = Path(folder) / "model.onnx"
    onnx.save(with_constants(model, inputs), path)
    graph = from_onnx(path, keep_softmax=True, output=model.graph.output[0].name)
    x = np.asarray(inputs[0])
    dtype = np.float64 if x.dtype == np.float64 else np.float32
    y = run(graph.astype(dtype), x.astype(dtype))
    rtol = 1e-2 if x.dtype.name == "bfloat16" else rtol
    expected = np.asarray(outputs[0])
    np.testing.assert_allclose(y.reshape(expected.shape), expected, rtol=rtol, atol=atol)
    assert INPUT in {source for sources in graph.inputs.values() for source in sources}
    return graph
