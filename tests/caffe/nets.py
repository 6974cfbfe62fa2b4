"""Caffe's files from a description: random weights for each layer, and a twin that runs in torch.

The twin knows nothing of minicnn but the text format. It computes as Caffe's source does, on maps
(N, C, H, W) in the order of the file.
"""

import numpy as np
import torch
import torch.nn.functional as T

from minicnn.caffe.message import Message, write_binary
from minicnn.caffe.text import read_text

GENERATOR = np.random.default_rng(0)


def array(*shape, scale=0.5, offset=0.0):
    """A BlobProto of random numbers, in the present format."""
    values = GENERATOR.standard_normal(shape).astype(np.float32) * scale + offset
    return (
        Message("BlobProto")
        .add("shape", Message("BlobShape").add("dim", *shape))
        .add("data", values.ravel())
    )


def old(blob):
    """The same in the old format, with four axes."""
    dims = [1] * 4 + blob.get("shape").all("dim")
    made = Message("BlobProto").add("data", blob.get("data"))
    for name, length in zip(("num", "channels", "height", "width"), dims[-4:], strict=True):
        made.add(name, length)
    return made


def write(path, text, blobs, described=True):
    """A .caffemodel of the layers in a text, with the blobs of each layer by its name.

    described: False to leave out everything but names, types and blobs, as converters do.
    """
    net = read_text(text, "NetParameter")
    assert not net.unknown
    for layer in net.all("layer") + net.all("layers"):
        layer.add("blobs", *blobs.get(layer.get("name"), []))
        if not described:
            kept = {"name", "type", "blobs"}
            layer.values = {k: v for k, v in layer.values.items() if k in kept}
    path.write_bytes(write_binary(net))
    return path


def values(blob):
    """The array in a blob, as a tensor."""
    return torch.tensor(blob.numbers("data").reshape(blob.get("shape").all("dim")))


def run(text, blobs, x):
    """The arrays that the layers of a description compute from x, by name."""
    net = read_text(text, "NetParameter")
    found = {"data": torch.from_numpy(x)}
    for layer in net.all("layer"):
        kind = layer.get("type")
        if kind in ("Input", "Data"):
            continue
        read = [found[name] for name in layer.all("bottom")]
        made = LAYERS[kind](layer, [values(b) for b in blobs.get(layer.get("name"), [])], *read)
        made = made if isinstance(made, tuple) else (made,)
        found |= dict(zip(layer.all("top"), made, strict=True))
    return {name: tensor.numpy() for name, tensor in found.items()}


def _pair(p, name, stem, default=0):
    if f"{stem}_h" in p:
        return p.get(f"{stem}_h"), p.get(f"{stem}_w")
    found = p.all(name) or [default]
    return (found[0], found[-1])


def _convolution(layer, blobs, x):
    p = layer.get("convolution_param")
    return T.conv2d(
        x, *blobs, stride=_pair(p, "stride", "stride", 1), padding=_pair(p, "pad", "pad"),
        dilation=_pair(p, "dilation", "dilation", 1), groups=p.get("group", 1),
    )  # fmt: skip


def _deconvolution(layer, blobs, x):
    p = layer.get("convolution_param")
    return T.conv_transpose2d(
        x, *blobs, stride=_pair(p, "stride", "stride", 1), padding=_pair(p, "pad", "pad"),
        dilation=_pair(p, "dilation", "dilation", 1), groups=p.get("group", 1),
    )  # fmt: skip


def _pooling(layer, blobs, x):
    """pooling_layer.cpp, window by window."""
    p = layer.get("pooling_param")
    h, w = x.shape[2:]
    if p.get("global_pooling"):
        kernel, stride, pad = (h, w), (1, 1), (0, 0)
    else:
        kernel = _pair(p, "kernel_size", "kernel")
        stride, pad = _pair(p, "stride", "stride", 1), _pair(p, "pad", "pad")
    outs = []
    for n, k, s, b in zip((h, w), kernel, stride, pad, strict=True):
        round_ = np.floor if p.get("round_mode") == "FLOOR" else np.ceil
        out = int(round_((n + 2 * b - k) / s)) + 1
        if any(pad) and (out - 1) * s >= n + b:
            out -= 1
        outs.append(out)
    y = torch.zeros(*x.shape[:2], *outs)
    for i in range(outs[0]):
        for j in range(outs[1]):
            top, left = i * stride[0] - pad[0], j * stride[1] - pad[1]
            bottom, right = min(top + kernel[0], h + pad[0]), min(left + kernel[1], w + pad[1])
            size = (bottom - top) * (right - left)
            window = x[:, :, max(top, 0) : min(bottom, h), max(left, 0) : min(right, w)]
            mean = window.sum((2, 3)) / size
            y[:, :, i, j] = window.amax((2, 3)) if p.get("pool", "MAX") == "MAX" else mean
    return y


def _inner_product(layer, blobs, x):
    weight, *bias = blobs
    is_transposed = layer.get("inner_product_param").get("transpose", False)
    return T.linear(x.flatten(1), weight.T if is_transposed else weight, *bias)


def _lrn(layer, blobs, x):
    p = layer.get("lrn_param")
    if p.get("norm_region") == "WITHIN_CHANNEL":  # a mean of squares as AVE pooling has it
        size = p.get("local_size", 5)
        mean = T.avg_pool2d(x**2, size, 1, size // 2)
        return x * (1 + p.get("alpha", 1.0) * mean) ** -p.get("beta", 0.75)
    return T.local_response_norm(
        x, p.get("local_size", 5), p.get("alpha", 1.0), p.get("beta", 0.75), p.get("k", 1.0)
    )


def _batch_norm(layer, blobs, x):
    mean, variance, count = blobs
    p = layer.get("batch_norm_param", Message("BatchNormParameter"))
    factor = 0 if count == 0 else 1 / count
    mean, variance = mean * factor, variance * factor
    shape = (1, -1) + (1,) * (x.ndim - 2)
    return (x - mean.view(shape)) / (variance.view(shape) + p.get("eps", 1e-5)).sqrt()


def _scale(layer, blobs, x):
    shape = (1, -1) + (1,) * (x.ndim - 2)
    gamma, *beta = (blob.view(shape) for blob in blobs)
    return x * gamma + (beta[0] if beta else 0)


def _eltwise(layer, blobs, *x):
    p = layer.get("eltwise_param", Message("EltwiseParameter"))
    kind, factors = p.get("operation", "SUM"), p.all("coeff") or [1] * len(x)
    if kind == "SUM":
        return sum(f * a for f, a in zip(factors, x, strict=True))
    return torch.stack(x).amax(0) if kind == "MAX" else torch.stack(x).prod(0)


def _prelu(layer, blobs, x):
    return T.prelu(x, blobs[0])


def _relu(layer, blobs, x):
    p = layer.get("relu_param", Message("ReLUParameter"))
    return T.leaky_relu(x, p.get("negative_slope", 0.0))


def _power(layer, blobs, x):
    p = layer.get("power_param")
    return (p.get("shift", 0.0) + p.get("scale", 1.0) * x) ** p.get("power", 1.0)


def _bias(layer, blobs, x):
    return x + blobs[0].view((1, -1) + (1,) * (x.ndim - 2))


def _slice(layer, blobs, x):
    points = layer.get("slice_param", Message("SliceParameter")).all("slice_point")
    count = len(layer.all("top"))
    return x.tensor_split(points, 1) if points else x.chunk(count, 1)


LAYERS = {
    "BatchNorm": _batch_norm,
    "Concat": lambda layer, blobs, *x: torch.cat(x, 1),
    "Convolution": _convolution,
    "Dropout": lambda layer, blobs, x: x,
    "Eltwise": _eltwise,
    "Flatten": lambda layer, blobs, x: x.flatten(1),
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "Pooling": _pooling,
    "AbsVal": lambda layer, blobs, x: x.abs(),
    "Bias": _bias,
    "Deconvolution": _deconvolution,
    "ELU": lambda layer, blobs, x: T.elu(x, layer.get("elu_param").get("alpha")),
    "Power": _power,
    "PReLU": _prelu,
    "ReLU": _relu,
    "Softmax": lambda layer, blobs, x: x.softmax(1),
    "Reshape": lambda layer, blobs, x: x.flatten(1),
    "Scale": _scale,
    "Silence": lambda layer, blobs, *x: (),
    "Sigmoid": lambda layer, blobs, x: x.sigmoid(),
    "Slice": _slice,
    "Split": lambda layer, blobs, x: (x,) * len(layer.all("top")),
    "TanH": lambda layer, blobs, x: x.tanh(),
}
