"""Fused operations against the composition of torch's."""

import numpy as np
import torch
import torch.nn.functional as F

from .common import ACTIVATE, assert_close, draw, flat, nchw, nhwc
from .conv import draw_convolution, geometry_of


def check_conv2d_affine(ops, case):
    x, weight, _, linear, _ = draw_convolution({**case, "bias": False})
    scale, shift = draw({**case, "seed": case["seed"] + 3}, (case["k"],), (case["k"],))
    residual = draw({**case, "seed": case["seed"] + 2}, nhwc(linear).shape)[0]
    affine = linear * torch.tensor(np.ascontiguousarray(scale))[:, None, None]
    affine = affine + torch.tensor(np.ascontiguousarray(shift))[:, None, None]
    f, options = ACTIVATE[case["activation"]], geometry_of(case)
    options["activation"] = case["activation"]
    y = ops.conv2d_affine(x, weight, scale, shift, **options)
    assert_close(y, nhwc(f(affine)), case["dtype"], "conv2d_affine")
    y = ops.conv2d_affine(x, weight, scale, shift, residual, **options)
    expected = nhwc(f(affine + nchw(residual)))
    assert_close(y, expected, case["dtype"], "conv2d_affine with a residual")


def check_conv2d_grad_input_relu(ops, case):
    x, weight, _, linear, (tx, _, _) = draw_convolution({**case, "bias": False})
    dy = np.asarray(draw({**case, "seed": case["seed"] + 1}, nhwc(linear).shape)[0])
    linear.backward(nchw(dy, requires_grad=False))
    dx = ops.conv2d_grad_input_relu(dy, weight, x, **geometry_of(case))
    expected = np.where(x > 0, nhwc(tx.grad), 0)
    assert_close(dx, expected, case["dtype"], "conv2d_grad_input_relu")


def check_conv2d_grad_input_add(ops, case):
    x, weight, _, linear, (tx, _, _) = draw_convolution({**case, "bias": False})
    dy = np.asarray(draw({**case, "seed": case["seed"] + 1}, nhwc(linear).shape)[0])
    other = draw({**case, "seed": case["seed"] + 2}, x.shape)[0]
    before = other.copy()
    linear.backward(nchw(dy, requires_grad=False))
    dx = ops.conv2d_grad_input_add(dy, weight, other, **geometry_of(case))
    expected = nhwc(tx.grad) + before
    assert_close(dx, expected, case["dtype"], "conv2d_grad_input_add")
    np.testing.assert_array_equal(other, before)


def check_fold_batch_norm(ops, case):
    k = case["k"]
    bias, gamma, beta, mean, var = draw(case, *[(k,)] * 5)
    bias, var = bias if case["bias"] else None, abs(var) + 0.1
    scale, shift = ops.fold_batch_norm(bias, gamma, beta, mean, var, 1e-5)
    (z,) = draw({**case, "seed": case["seed"] + 1}, (4, k))
    given = [torch.tensor(np.ascontiguousarray(a)) for a in (mean, var, gamma, beta)]
    expected = F.batch_norm(torch.tensor(z if bias is None else z + bias), *given)
    assert_close(scale * z + shift, expected, case["dtype"], "fold_batch_norm")


def check_batch_norm_add(ops, case):
    shape, c = (case["n"], case["h"], case["w"], case["c"]), case["c"]
    x, other, gamma, beta = draw(case, shape, shape, (c,), (c,))
    mean, var = draw({**case, "seed": case["seed"] + 2}, (c,), (c,))
    mean, var = mean.copy(), abs(var) + 0.5
    statistics = torch.tensor(mean), torch.tensor(var)
    constants = case["training"], case["momentum"], case["eps"]
    linear = F.batch_norm(nchw(x), *statistics, flat(gamma), flat(beta), *constants)
    y, *_ = ops.batch_norm_add(
        x, other, gamma, beta, mean, var, *constants, activation=case["activation"]
    )
    expected = ACTIVATE[case["activation"]](linear + nchw(other))
    assert_close(y, nhwc(expected), case["dtype"], "batch_norm_add")
    assert_close(mean, statistics[0], case["dtype"], "batch_norm_add running mean")
    assert_close(var, statistics[1], case["dtype"], "batch_norm_add running var")
