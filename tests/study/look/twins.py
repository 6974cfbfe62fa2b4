"""The networks of these tests, and what torch's autograd says about them.

`forward` interprets a network with torch's operations, in NCHW and float64; the function that it
applies in place of ReLU is an argument, so that the rules of the papers are written down here a
second time.
"""

import numpy as np
import pytest

from minicnn import rng
from minicnn.layers import (
    Activation,
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Network,
    ReLU,
    Residual,
    Sequential,
)

torch = pytest.importorskip("torch")
from torch.nn import functional as tf  # noqa: E402


def chain():
    """Overlapping pools with ceil mode, LRN, dropout; ReLU inside of layers and as a layer."""
    return Network(
        conv1=Conv2d(3, 6, 3, stride=2, padding=((1, 0), (2, 1)), activation="relu"),
        norm1=LocalResponseNorm(5, alpha=0.5, beta=0.75, k=1.0),
        pool1=MaxPool2d(3, stride=2, ceil_mode=True),
        conv2=Conv2d(6, 8, 3, padding=1, groups=2),
        relu2=ReLU(),
        pool2=AvgPool2d(2, stride=1),
        flatten=Flatten(),
        fc1=Linear(48, 10, activation="relu"),
        drop=Dropout(0.5),
        fc2=Linear(10, 4),
        input_shape=(15, 14, 3),
    )


def branched():
    """Residual and Concat, nested, with batch norms and a shortcut."""
    module = Concat(
        left=Sequential(Conv2d(6, 3, 1, activation="relu"), Conv2d(3, 4, 3, padding=1)),
        right=Sequential(pool=MaxPool2d(3, stride=1, padding=1), proj=Conv2d(6, 2, 1)),
    )
    inner = Sequential(
        conv1=Conv2d(3, 6, 3, stride=2, padding=1, bias=False),
        bn1=BatchNorm2d(6, activation="relu"),
        conv2=Conv2d(6, 6, 3, padding=1, bias=False),
        bn2=BatchNorm2d(6),
    )
    return Network(
        block=Residual(inner, Conv2d(3, 6, 1, stride=2), activation="relu"),
        same=Residual(module, activation="relu"),
        bn=BatchNorm2d(6, activation="relu"),
        pool=GlobalAvgPool2d(),
        fc=Linear(6, 5),
        input_shape=(13, 12, 3),
    )


def network(make, seed=0):
    """One of these networks in float64, with random batch norms, and a batch of images."""
    rng.seed(seed)
    model = make().astype(np.float64)
    generator = np.random.default_rng(seed)
    for name, array in [(n, p.value) for n, p in model.named_parameters()] + list(
        model.named_buffers()
    ):
        if "bn" in name or "bias" in name:
            array[...] = generator.uniform(0.2, 1.5, array.shape)
    return model, generator.standard_normal((3, *model.input_shape))


def tensor(x):
    """NHWC -> a torch tensor in NCHW that wants a gradient."""
    return torch.tensor(x.transpose(0, 3, 1, 2)).requires_grad_()


def array(t):
    """NCHW -> NHWC."""
    return t.detach().numpy().transpose(0, 2, 3, 1)


def forward(layer, x, relu=torch.relu, kept=None, name="", lrn=True):
    """y of a layer for an x in NCHW; `kept` gets the output of each layer by name."""

    def run(child, x, own):
        return forward(child, x, relu, kept, f"{name}.{own}".strip("."), lrn)

    value = lambda parameter: torch.tensor(parameter.value)  # noqa: E731
    if isinstance(layer, Sequential):
        y = x
        for own, child in layer.children():
            y = run(child, y, own)
    elif isinstance(layer, Concat):
        y = torch.cat([run(child, x, own) for own, child in layer.children()], dim=1)
    elif isinstance(layer, Residual):
        y = run(layer.body, x, "body")
        y = y + (run(layer.shortcut, x, "shortcut") if layer.shortcut else x)
    elif isinstance(layer, Conv2d):
        (top, bottom), (left, right) = layer.padding
        bias = value(layer.bias) if layer.bias else None
        w = value(layer.weight).permute(3, 2, 0, 1)
        x = tf.pad(x, (left, right, top, bottom))
        y = tf.conv2d(x, w, bias, layer.stride, groups=layer.groups)
    elif isinstance(layer, Linear):
        y = x @ value(layer.weight) + value(layer.bias)
    elif isinstance(layer, BatchNorm2d):
        buffers = torch.tensor(layer.running_mean), torch.tensor(layer.running_var)
        y = tf.batch_norm(x, *buffers, value(layer.weight), value(layer.bias), eps=layer.eps)
    elif isinstance(layer, LocalResponseNorm):
        squares = tf.pad((x * x)[:, None], (0, 0, 0, 0, 2, 2))
        around = sum(squares[:, :, i : i + x.shape[1]] for i in range(5))[:, 0]
        y = x / (layer.k + layer.alpha * around) ** layer.beta
        y = y if lrn else Through.apply(x, y)
    elif isinstance(layer, MaxPool2d):
        padding = layer.padding[0][0]
        y = tf.max_pool2d(x, layer.kernel_size, layer.stride, padding, ceil_mode=layer.ceil_mode)
    elif isinstance(layer, AvgPool2d):
        y = tf.avg_pool2d(x, layer.kernel_size, layer.stride)
    elif isinstance(layer, GlobalAvgPool2d):
        y = x.mean(dim=(2, 3))
    elif isinstance(layer, Flatten):
        y = x.permute(0, 2, 3, 1).reshape(len(x), -1)
    else:
        assert isinstance(layer, (Activation, Dropout))
        y = x
    if getattr(layer, "activation", None):
        y = relu(y)
    if kept is not None:
        kept[name] = y
        if y.requires_grad:
            y.retain_grad()
    return y


class Through(torch.autograd.Function):
    """Forward y, backward to x as it is."""

    @staticmethod
    def forward(ctx, x, y):
        return y.clone()

    @staticmethod
    def backward(ctx, dy):
        return dy, None


class GuidedReLU(torch.autograd.Function):
    """Springenberg et al. 2014, figure 1: both masks."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return torch.where((x > 0) & (dy > 0), dy, 0.0)


class DeconvReLU(torch.autograd.Function):
    """Springenberg et al. 2014, figure 1: only the mask of the signal."""

    @staticmethod
    def forward(ctx, x):
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, dy):
        return torch.where(dy > 0, dy, 0.0)


def dense(function, shape):
    """The matrix of a linear map of arrays of that shape, one column per element."""
    columns = [function(unit.reshape(shape)).ravel() for unit in np.eye(int(np.prod(shape)))]
    return np.stack(columns, axis=1)
