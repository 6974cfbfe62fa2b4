"""Every case of the `onnx` package that concerns networks, as a table.

    python -m tests.onnx.table [node|pytorch-converted|pytorch-operator|light] [NAME]

The `light` models have no trained weights: their weights are drawn, and onnxruntime computes the
outputs that ours are compared with. That takes minutes and gigabytes, so that it is no test.
"""

import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

import minicnn
from minicnn.errors import CheckpointError

from .cases import DATA, JOINS, OPERATORS, check, node_cases, run, stored_case, with_split

INTEGERS = ("int8", "int16", "int32", "int64", "uint8")


def filled(path):
    """A light model with random weights in place of those that are one number."""
    model = onnx.load(path)
    generator = np.random.default_rng(0)
    shapes = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    kept = [n for n in model.graph.node if n.op_type != "ConstantOfShape"]
    variances = {n.input[4] for n in kept if n.op_type == "BatchNormalization"}
    for node in model.graph.node:
        if node.op_type == "ConstantOfShape":
            shape, name = tuple(shapes[node.input[0]]), node.output[0]
            array = generator.standard_normal(shape, np.float32)
            if len(shape) > 1:
                array *= np.sqrt(2 / np.prod(shape[1:]))
            else:
                array = (
                    0.5 + generator.random(shape, np.float32) if name in variances else array / 5
                )
            model.graph.initializer.append(numpy_helper.from_array(array, name))
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model


def light(name):
    """One light model: against its stored output, and against onnxruntime with random weights."""
    path = DATA / "light" / f"light_{name}.onnx"
    from minicnn.onnx.load import from_onnx

    stored = numpy_helper.to_array(onnx.load_tensor(str(path).replace(".onnx", "_output_0.pb")))
    graph = from_onnx(path, keep_softmax=True)
    shape = graph.input_shape
    with minicnn.no_grad():
        y = run(graph, np.ones((1, shape[2], *shape[:2]), np.float32))
        first = abs(y.reshape(stored.shape) - stored).max()
        model = filled(path)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.onnx"
            onnx.save(model, file)
            del model
            graph = from_onnx(file, keep_softmax=True)
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            session = onnxruntime.InferenceSession(file, options)
        x = np.random.default_rng(1).standard_normal((1, shape[2], *shape[:2]), np.float32)
        y = run(graph, x)
    names = {i.name for i in session.get_inputs()}
    (given,) = [n for n in names if "data" in n]
    expected = session.run(None, {given: x})[0].reshape(y.shape)
    error = abs(y - expected).max() / abs(expected).max()
    count = sum(p.value.size for p in graph.parameters())
    return f"stored {first:.1e}, onnxruntime {error:.1e} relative, {count:,} parameters"


def cases(kind):
    """The name, the operator and the arguments of `check` of each case."""
    if kind == "node":
        for name, (model, *arrays) in node_cases().items():
            nodes = model.graph.node
            is_ours = len(nodes) == 1 and nodes[0].op_type in OPERATORS
            if is_ours and not any(word in name for word in INTEGERS):
                yield nodes[0].op_type, name, model, *arrays
    else:
        for folder in sorted(DATA.glob(f"{kind}/test_*")):
            yield kind, folder.name, *stored_case(folder.name)


def main(kind, only=""):
    minicnn.use("cpu" if kind == "light" else "reference")
    if kind == "light":
        for path in sorted((DATA / "light").glob(f"light_{only or '*'}.onnx")):
            started = time.perf_counter()
            text = light(path.stem.removeprefix("light_"))
            print(f"{path.stem}: {text}, {time.perf_counter() - started:.0f} s", flush=True)
        return
    found = defaultdict(lambda: defaultdict(list))
    for operator, name, model, inputs, outputs in cases(kind):
        shapes = {np.shape(a) for a in inputs}
        if operator in JOINS and len(inputs) > 1 and len(shapes) == 1 and inputs[0].ndim > 1:
            model, inputs = with_split(model, inputs)
        with tempfile.TemporaryDirectory() as folder:
            try:
                check(model, inputs, outputs, folder)
                found[operator]["equal"].append(name)
            except CheckpointError as error:
                found[operator]["refused"].append(f"{name}: {str(error).split('.onnx: ')[-1]}")
            except AssertionError as error:
                found[operator]["WRONG"].append(f"{name}: {' '.join(str(error).split())[:100]}")
    for operator, results in sorted(found.items()):
        print(operator, {state: len(names) for state, names in results.items()})
        for state in ("WRONG", "refused"):
            for text in results[state]:
                print(f"    {state} {text}")


if __name__ == "__main__":
    main(*sys.argv[1:] or ["node"])
