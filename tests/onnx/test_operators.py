"""Single operators with random attributes, old and new opsets, against onnxruntime.

    python -m tests.onnx.test_operators [COUNT]

What is read has onnxruntime's output; what is not read is one of `REFUSED`.
"""

import re
import sys
from pathlib import Path

import numpy as np

import minicnn
from minicnn.errors import CheckpointError
from minicnn.onnx import from_onnx

from .cases import run
from .test_load import draw, runtime, save

REFUSED = (
    r"dilations=.*pooling with dilation|third input has the shape|transA=1|mode='(reflect|edge)'",
    r"0 is the batch|over the batch|is above high|gaps",
    r"before opset 11|no whole number of pixels|nothing is left|expected one number",
    r"for a tensor \(.*\); expected one number|training_mode=1",
)


class Draw:
    """Random choices."""

    def __init__(self, seed):
        self.generator = np.random.default_rng(seed)

    def pick(self, *values):
        return values[self.generator.integers(len(values))]

    def several(self, count, *values):
        return [self.pick(*values) for _ in range(count)]

    def some(self, **attributes):
        """About half of the attributes."""
        return {n: a for n, a in attributes.items() if a is not None and self.pick(True, False)}


def conv(d):
    axes, groups, op = d.pick(1, 2), d.pick(1, 2), d.pick("Conv", "ConvTranspose")
    a = {"strides": d.several(axes, 1, 2, 3), "dilations": d.several(axes, 1, 2), "group": groups}
    a |= d.pick(
        {},
        {"pads": d.several(2 * axes, 0, 1, 2)},
        {"auto_pad": d.pick("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET")},
        {"output_shape": d.several(axes, 9, 10)} if op == "ConvTranspose" else {},
    )
    shape = (6, 4 // groups) if op == "Conv" else (4, 6 // groups)
    w = {"w": draw(*shape, *d.several(axes, 1, 2, 3)), "b": draw(6)}
    return (
        op,
        ["x", "w", *d.pick(["b"], [])],
        a,
        w,
        (2, 4, *d.several(axes, 5, 6)),
        d.pick(9, 11, 17),
    )


def pool(d):
    axes, op = d.pick(1, 2), d.pick("MaxPool", "AveragePool")
    a = {"kernel_shape": d.several(axes, 2, 3), "strides": d.several(axes, 1, 2, 3)}
    a |= d.pick({"pads": d.several(2 * axes, 0, 1)}, {"auto_pad": d.pick("SAME_UPPER", "VALID")})
    a |= d.some(ceil_mode=1, count_include_pad=1 if op == "AveragePool" else None)
    opset = d.pick(10, 17, 19)
    if op == "MaxPool" or opset == 19:
        a |= d.pick({"dilations": [1, 2][-axes:]}, {}, {})
    return op, ["x"], a, {}, (2, 3, *d.several(axes, 5, 6)), opset


def gemm(d):
    a = d.some(alpha=0.5, beta=2.0, transB=1) | d.pick({"transA": 1}, {}, {})
    w = {"w": draw(3, 5) if "transB" in a else draw(5, 3)}
    w["c"] = d.pick(draw(3), draw(1, 3), draw(1), draw(2, 3))
    return "Gemm", ["x", "w", "c"], a, w, (2, 5), d.pick(9, 13)


def softmax(d):
    shape = d.pick((2, 3, 4, 5), (2, 3, 4), (2, 5))
    axis = int(d.generator.integers(-len(shape), len(shape)))
    return "Softmax", ["x"], d.some(axis=axis), {}, shape, d.pick(11, 13)


def clip(d):
    bounds = d.some(min=d.pick(-0.5, 0.0), max=d.pick(0.7, 6.0, -1.0))
    if d.pick(True, False):
        return "Clip", ["x"], bounds, {}, (2, 3, 4), 6
    w = {n: np.array(v, np.float32) for n, v in bounds.items()}
    names = [n if n in w else "" for n in ("min", "max")]
    return "Clip", ["x", *names], {}, w, (2, 3, 4), 13


def pad(d):
    shape = d.pick((2, 3, 4, 5), (2, 3, 4), (2, 5))
    pads = d.several(2 * len(shape), 0, 1, 2, -1)
    pads[0] = pads[len(shape)] = d.pick(0, 0, 0, 1)
    a = {"mode": d.pick("constant", "constant", "reflect", "edge")}
    if d.pick(True, False):
        return "Pad", ["x"], a | {"pads": pads, "value": 1.5}, {}, shape, 10
    w = {"p": np.array(pads), "v": np.array(1.5, np.float32)}
    if d.pick(True, False):
        return "Pad", ["x", "p", "v"], a, w, shape, 13
    w |= {"p": np.array([1, 2]), "a": np.array([-1])}
    return "Pad", ["x", "p", "v", "a"], a, w, shape, 18


def resize(d):
    opset = d.pick(9, 10, 13, 19)
    a = {"mode": d.pick("nearest", "linear", "cubic" if opset > 10 else "linear")}
    if opset > 10:
        positions = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
        nearest = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
        a |= d.some(
            coordinate_transformation_mode=d.pick(*positions), nearest_mode=d.pick(*nearest)
        )
    if a["mode"] == "cubic":
        a |= d.some(exclude_outside=1, cubic_coeff_a=-0.5)
    if opset > 17 and a["mode"] != "nearest":
        a |= d.some(antialias=1)
    shape = (2, 3, *d.several(2, 1, 3, 4, 7))
    if opset > 10 and d.pick(True, False):
        w = {"k": np.array([2, 3, *d.several(2, 1, 2, 5, 9)])}
        return "Resize", ["x", "", "", "k"], a, w, shape, opset
    factors = d.several(2, 1, 1.5, 2, 3, 1.6, *([0.5, 0.75] if opset > 9 else []))
    w = {"k": np.array([1, 1, *factors], np.float32)}
    inputs = ["x", "k"] if opset < 11 else ["x", "", "k"]
    return "Upsample" if opset == 9 else "Resize", inputs, a, w, shape, opset


def binary(d):
    shape = d.pick((2, 3, 4, 5), (2, 3, 4), (2, 5))
    sizes = [d.pick(1, n) for n in shape]
    sizes[0] = d.pick(1, 1, 1, shape[0])
    w = {"w": draw(*sizes[d.pick(0, 1) :])}
    op = d.pick("Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu")
    return op, ["x", "w"] if op == "PRelu" else d.pick(["x", "w"], ["w", "x"]), {}, w, shape, 13


def batch_norm(d):
    opset, shape = d.pick(7, 14), d.pick((2, 3, 4, 5), (2, 3, 4), (2, 3))
    a = d.some(epsilon=0.1) | ({"training_mode": 1} if opset == 14 and d.pick(0, 0, 1) else {})
    w = {"g": draw(3), "b": draw(3), "m": draw(3), "v": abs(draw(3)) + 0.5}
    return "BatchNormalization", ["x", *w], a, w, shape, opset


KINDS = (conv, conv, pool, gemm, softmax, clip, pad, resize, resize, binary, batch_norm)


def compare(seed, path):
    """ "read", "refused", or "" for a case that onnxruntime does not compute."""
    op, inputs, attributes, weights, shape, opset = KINDS[seed % len(KINDS)](Draw(seed))
    node = (op, inputs, ["y"], attributes)
    save([node], path, weights=weights, shape=shape, opset=opset)
    x = draw(*shape, seed=seed)
    try:
        expected = runtime(path, x)
    except Exception:  # any of onnxruntime's errors, which have no common base
        return ""
    try:
        y = run(from_onnx(path, keep_softmax=True), x)
    except CheckpointError as error:
        assert any(re.search(text, str(error)) for text in REFUSED), (seed, node, str(error))
        return "refused"
    assert y.size == expected.size, (seed, node, y.shape, expected.shape)
    y = y.reshape(expected.shape)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4, err_msg=f"{seed}: {node}")
    return "read"


def test_random_attributes(tmp_path):
    with minicnn.use("reference"):
        found = [compare(seed, tmp_path / "net.onnx") for seed in range(220)]
    assert found.count("read") > 120
    assert found.count("refused") > 20


def main(count="3000"):
    minicnn.use("reference")
    for seed in range(int(count)):
        try:
            compare(seed, Path("/tmp/attributes.onnx"))
        except AssertionError as error:
            print("WRONG", seed, " ".join(str(error).split())[:300], flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
