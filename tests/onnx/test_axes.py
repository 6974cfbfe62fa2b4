"""Random chains of operators against onnxruntime: where our arrays have another order of axes.

    python -m tests.onnx.test_axes [COUNT]

Each operator reads what the one before it gives, whatever its axes are by then.
"""

import sys
from pathlib import Path

import numpy as np

import minicnn
from minicnn.errors import CheckpointError
from minicnn.onnx import from_onnx

from .cases import run
from .test_load import draw, runtime, save

LAST = "the last tensor"


class Chain:
    """Nodes so far, their constants, and the shape of the last tensor."""

    def __init__(self, generator, shape):
        self.generator, self.shape = generator, list(shape)
        self.nodes, self.weights, self.names = [], {}, ["x"]

    def pick(self, *values):
        return values[self.generator.integers(len(values))]

    def axis(self, first=1):
        axis = int(self.generator.integers(first, len(self.shape)))
        return axis, axis - self.pick(0, len(self.shape))

    def constant(self, array):
        name = f"k{len(self.weights)}"
        self.weights[name] = np.asarray(array)
        return name

    def floats(self, *shape):
        return self.constant(self.generator.standard_normal(shape).astype(np.float32))

    def add(self, op, *inputs, outputs=1, **attributes):
        """A node that reads the last tensor and constants."""
        names = [f"t{len(self.nodes)}_{i}" for i in range(outputs)]
        inputs = inputs if LAST in inputs else (LAST, *inputs)
        self.nodes.append(
            (op, [self.names[-1] if i == LAST else i for i in inputs], names, attributes)
        )
        self.names.append(names[-1])


def reshape(c):
    parts = c.pick(2, 3, 4)
    n, rest = c.shape[0], int(np.prod(c.shape[1:]))
    sizes = []
    for _ in range(parts - 1):
        sizes.append(int(c.pick(*[d for d in range(1, rest + 1) if rest % d == 0])))
        rest //= sizes[-1]
    c.add("Reshape", c.constant([c.pick(0, n), *sizes, -1]))
    c.shape = [n, *sizes, rest]


def transpose(c):
    order = [0, *(1 + c.generator.permutation(len(c.shape) - 1))]
    c.add("Transpose", perm=[int(i) for i in order])
    c.shape = [c.shape[i] for i in order]


def slice_(c):
    axis, given = c.axis()
    step, n = c.pick(1, 1, 2, 3, -1, -2), c.shape[axis]
    low, high = c.pick(0, 1, -2, -n), c.pick(n, n - 1, 1000, -1)
    if step < 0:
        low, high = c.pick(-1, n, n - 2), c.pick(-1000, 0, -n)
    count = len(range(*slice(low, high, step).indices(n)))
    if count:
        c.add("Slice", *(c.constant([v]) for v in (low, high, given, step)))
        c.shape[axis] = count


def split(c):
    axis, given = c.axis()
    first = c.shape[axis] // 3
    if first:
        sizes = [first, c.shape[axis] - first]
        c.add("Split", c.constant(sizes), outputs=2, axis=given)
        c.shape[axis] = sizes[1]


def concat(c):
    axis, given = c.axis()
    c.add("Concat", LAST, LAST, axis=given)
    c.shape[axis] *= 2


def gather(c):
    axis, given = c.axis()
    n = c.shape[axis]
    indices = c.pick(np.array(n - 1), c.generator.integers(-n, n, 3))
    if indices.ndim or len(c.shape) > 3:
        c.add("Gather", c.constant(indices), axis=given)
        c.shape[axis : axis + 1] = [3] * indices.ndim


def reduce(c):
    axis, given = c.axis()
    keep = 1 if len(c.shape) < 4 else c.pick(0, 1)
    op = c.pick("Mean", "Max", "Sum", "Min", "L2", "SumSquare", "L1")
    axes = [given] if keep == 0 else [given, *[a for a in (1,) if a != axis]]
    if op == "Sum":
        c.add("ReduceSum", c.constant(axes), keepdims=keep)
    else:
        c.add(f"Reduce{op}", axes=axes, keepdims=keep)
    for a in sorted({a % len(c.shape) for a in axes}, reverse=True):
        c.shape[a : a + 1] = [1] * keep


def spread(c):
    _, given = c.axis()
    last = c.names[-1]
    c.add("ReduceMean", axes=[given], keepdims=1)
    c.add(c.pick("Sub", "Mul", "Add", "Max", "Min"), last, LAST)


def constant(c):
    axis, _ = c.axis()
    shape = [1] * len(c.shape)
    for i in {axis, c.pick(axis, len(c.shape) - 1)}:
        shape[i] = c.shape[i]
    c.add(c.pick("Mul", "Add", "Sub"), c.floats(*shape[c.pick(0, 1) :]))


def softmax(c):
    c.add("Softmax", axis=c.axis()[1])


def matmul(c):
    out = int(c.pick(1, 3, 5))
    c.add("MatMul", c.floats(c.shape[-1], out))
    c.shape[-1] = out


def norm(c):
    if c.pick(0, 1) and len(c.shape) > 2:
        c.add("InstanceNormalization", c.floats(c.shape[1]), c.floats(c.shape[1]), epsilon=0.1)
    else:
        axis, given = c.axis()
        sizes = c.shape[axis:]
        c.add("LayerNormalization", c.floats(*sizes), c.floats(*sizes), axis=given, epsilon=0.1)


def prelu(c):
    c.add("PRelu", c.floats(c.shape[1], *[1] * (len(c.shape) - 2)))


def conv(c):
    if len(c.shape) in (3, 4):
        k = len(c.shape) - 2
        c.add("Conv", c.floats(4, c.shape[1], *[1] * k), c.floats(4), strides=[2] * k)
        c.shape = [c.shape[0], 4, *(-(-n // 2) for n in c.shape[2:])]


def pool(c):
    if len(c.shape) in (3, 4):
        k = len(c.shape) - 2
        c.add(c.pick("MaxPool", "AveragePool"), kernel_shape=[2] * k, pads=[1] * (2 * k))
        c.shape[2:] = [n + 1 for n in c.shape[2:]]


def resize(c):
    if len(c.shape) == 4:
        axis, _ = c.axis()
        scales = [1.0] * 4
        scales[axis] = 2.0
        c.add("Resize", LAST, "", c.constant(np.array(scales, np.float32)), mode="nearest")
        c.shape[axis] *= 2


STEPS = (
    *(reshape, transpose, slice_, split, concat, gather, reduce, spread, constant, softmax),
    *(matmul, norm, prelu, conv, pool, resize, transpose, reshape),
)


def compare(seed, path):
    """One chain; the text of the error if it is not read."""
    generator = np.random.default_rng(seed)
    chain = Chain(generator, (2, *generator.choice([2, 3, 4, 6], 3)))
    shape = [int(n) for n in chain.shape]
    chain.add("LeakyRelu")  # a Transpose at the start would mean images with channels last
    for _ in range(5):
        chain.pick(*STEPS)(chain)
        if np.prod(chain.shape) > 2000:
            break
    chain.add("Flatten")
    outputs = (chain.names[-1],)
    save(chain.nodes, path, weights=chain.weights, shape=shape, opset=17, outputs=outputs)
    x = draw(*shape, seed=seed)
    expected = runtime(path, x)
    try:
        graph = from_onnx(path, keep_softmax=True)
    except CheckpointError as error:
        return str(error).removeprefix(f"{path}: ")
    y = run(graph, x)
    nodes = [(op, a) for op, _, _, a in chain.nodes]
    more = run(graph, x[[1, 0, 1]])  # another number of images than that of the file
    np.testing.assert_allclose(more[1::-1], y, rtol=1e-4, atol=1e-5, err_msg=f"{seed}: {nodes}")
    np.testing.assert_allclose(
        y.reshape(expected.shape), expected, rtol=1e-3, atol=1e-4, err_msg=f"{seed}: {nodes}"
    )
    check_slope(graph.astype(np.float64), x.astype(float).transpose(0, 2, 3, 1), f"{seed}: {nodes}")
    return ""


def check_slope(graph, x, text):
    """The slope in a random direction is that of differences."""
    generator, eps = np.random.default_rng(1), 1e-6
    way = generator.standard_normal(x.shape)
    after, before = graph(x + eps * way), graph(x - eps * way)
    dy = generator.standard_normal(after.shape)
    graph(x)
    slope = (graph.backward(dy) * way).sum()
    expected = ((after - before) * dy).sum() / (2 * eps)
    np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=1e-4, err_msg=text)


def test_random_chains(tmp_path):
    """All of them are read, and have onnxruntime's outputs, and gradients of finite differences."""
    with minicnn.use("reference"):
        for seed in range(60):
            assert compare(seed, tmp_path / "net.onnx") == "", seed


def main(count="1000"):
    minicnn.use("reference")
    for seed in range(int(count)):
        try:
            text = compare(seed, Path("/tmp/random.onnx"))
        except AssertionError as error:
            text = "WRONG " + " ".join(str(error).split())
        if text:
            print(seed, text[:400], flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
