"""Normalization against torch."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import assume
from hypothesis import strategies as st

from minicnn.kernels.reference.activation import FROM_INPUT

from .common import ACTIVATE, activations, assert_close, draw, flat, images, nchw, nhwc, pad


def lrn_cases(dtype):
    return images(
        dtype,
        size=st.integers(1, 7),
        alpha=st.sampled_from([1e-4, 0.5, 1.0]),
        beta=st.sampled_from([0.5, 0.75, 1.0]),
        k_lrn=st.sampled_from([1.0, 2.0]),
        alpha_div_n=st.booleans(),
        within=st.booleans(),
    )


@st.composite
def batch_norm_cases(draw, dtype):
    case = draw(
        images(
            dtype,
            training=st.booleans(),
            momentum=st.sampled_from([0.1, 0.01, 1.0]),
            eps=st.sampled_from([1e-5, 1e-3]),
            activation=activations,
            fused=st.booleans(),
        )
    )
    # With two or three values per channel the variance can be tiny, and one would measure torch's
    # own rounding.
    assume(case["n"] * case["h"] * case["w"] >= 4)
    return case


def check_local_response_norm(ops, case):
    """alpha is near 1 and x large: with the papers' 1e-4 a wrong window would drown in the rest."""
    x, dy = draw(case, *2 * [(case["n"], case["h"], case["w"], case["c"])])
    x = 3 * x
    size, alpha, beta, k, divided = (
        case[key] for key in ("size", "alpha", "beta", "k_lrn", "alpha_div_n")
    )
    within = case["within"]
    tx = nchw(x)
    if within:
        sides = ((size // 2, (size - 1) // 2),) * 2
        means = F.avg_pool2d(pad(tx * tx, sides), size, 1)  # of size^2, padding included
        ty = tx * (k + alpha * (1 if divided else size**2) * means) ** -beta
    else:  # torch divides by the size
        ty = F.local_response_norm(tx, size, alpha if divided else alpha * size, beta, k)
    ty.backward(nchw(dy, requires_grad=False))
    y, scale = ops.local_response_norm(x, size, alpha, beta, k, divided, within)
    assert y.dtype == case["dtype"]
    assert_close(y, nhwc(ty), case["dtype"], "local_response_norm")
    dx = ops.local_response_norm_grad(dy, x, y, scale, size, alpha, beta, divided, within)
    assert_close(dx, nhwc(tx.grad), case["dtype"], "local_response_norm dx")


def check_batch_norm(ops, case):
    shape, c = (case["n"], case["h"], case["w"], case["c"]), case["c"]
    x, dy, gamma, beta = draw(case, shape, shape, (c,), (c,))
    x = 2 * x + 1
    generator = np.random.default_rng(case["seed"] + 2)
    mean, var = (
        generator.standard_normal(c).astype(case["dtype"]),
        generator.uniform(0.5, 2, c).astype(case["dtype"]),
    )
    tx, tgamma, tbeta = nchw(x), flat(gamma), flat(beta)
    tmean, tvar = torch.tensor(mean), torch.tensor(var)
    linear = F.batch_norm(
        tx, tmean, tvar, tgamma, tbeta, case["training"], case["momentum"], case["eps"]
    )
    linear.backward(nchw(dy, requires_grad=False))
    y, batch_mean, inv_std = ops.batch_norm(
        x,
        gamma,
        beta,
        mean,
        var,
        case["training"],
        case["momentum"],
        case["eps"],
        activation=case["activation"],
    )
    assert y.dtype == case["dtype"]
    assert_close(y, nhwc(ACTIVATE[case["activation"]](linear)), case["dtype"], "batch_norm")
    assert_close(mean, tmean, case["dtype"], "batch_norm running mean")
    assert_close(var, tvar, case["dtype"], "batch_norm running var")
    if case["fused"]:  # the gradient after the activation, taken back through it by hand
        kept = np.ascontiguousarray(nhwc(linear)) if case["activation"] in FROM_INPUT else y
        slope = ops.activation_grad(dy, kept, case["activation"])
        fused = ops.batch_norm_grad(
            dy, x, gamma, batch_mean, inv_std, case["training"], beta, case["activation"]
        )
        for ours, theirs in zip(
            fused,
            ops.batch_norm_grad(slope, x, gamma, batch_mean, inv_std, case["training"]),
            strict=True,
        ):
            assert_close(ours, theirs, case["dtype"], "batch_norm_grad with its activation")
    dx, dgamma, dbeta = ops.batch_norm_grad(dy, x, gamma, batch_mean, inv_std, case["training"])
    assert_close(dx, nhwc(tx.grad), case["dtype"], "batch_norm dx")
    assert_close(
        dgamma, tgamma.grad, case["dtype"], "batch_norm dgamma", at_least=math.sqrt(dy[..., 0].size)
    )
    assert_close(
        dbeta, tbeta.grad, case["dtype"], "batch_norm dbeta", at_least=math.sqrt(dy[..., 0].size)
    )


def group_norm_cases(dtype):
    return images(dtype, groups=st.sampled_from([1, 2, 3, 4, 0]), eps=st.sampled_from([1e-5, 1e-2]))


def check_group_norm(ops, case):
    """groups 0: as many as channels; otherwise the channels are multiplied by the groups."""
    groups = case["groups"] or case["c"]
    channels = case["c"] * (case["groups"] or 1)
    shape = case["n"], case["h"], case["w"], channels
    assume(case["h"] * case["w"] * channels // groups >= 4)
    x, dy, gamma, beta = draw(case, shape, shape, (channels,), (channels,))
    x = 2 * x + 1
    tx, tgamma, tbeta = nchw(x), flat(gamma), flat(beta)
    ty = F.group_norm(tx, groups, tgamma, tbeta, case["eps"])
    ty.backward(nchw(dy, requires_grad=False))
    y, mean, inv_std = ops.group_norm(x, gamma, beta, groups, case["eps"])
    assert mean.shape == inv_std.shape == (case["n"], groups)
    grads = ops.group_norm_grad(dy, x, gamma, mean, inv_std)
    _compare_norm(case, "group_norm", (y, nhwc(ty)), grads, nhwc(tx.grad), tgamma, tbeta)


def check_layer_norm(ops, case):
    channels = 4 * case["c"]
    shape = case["n"], case["h"], case["w"], channels
    x, dy, gamma, beta = draw(case, shape, shape, (channels,), (channels,))
    x = 2 * x + 1
    tx, tgamma, tbeta = flat(x), flat(gamma), flat(beta)
    ty = F.layer_norm(tx, (channels,), tgamma, tbeta, case["eps"])
    ty.backward(flat(dy).detach())
    y, mean, inv_std = ops.layer_norm(x, gamma, beta, case["eps"])
    assert mean.shape == inv_std.shape == shape[:3]
    grads = ops.layer_norm_grad(dy, x, gamma, mean, inv_std)
    _compare_norm(case, "layer_norm", (y, ty.detach()), grads, tx.grad, tgamma, tbeta)


def _compare_norm(case, name, outputs, grads, tdx, tgamma, tbeta):
    dtype, terms = case["dtype"], math.sqrt(outputs[0].size / len(tgamma))
    assert_close(*outputs, dtype, name)
    dx, dgamma, dbeta = grads
    assert_close(dx, tdx, dtype, f"{name} dx")
    assert_close(dgamma, tgamma.grad, dtype, f"{name} dgamma", at_least=terms)
    assert_close(dbeta, tbeta.grad, dtype, f"{name} dbeta", at_least=terms)
