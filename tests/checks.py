"""Every operation against torch: forward and every gradient, with random upstream gradients.

Each `check_*` takes the operations to test (a backend, or a deliberately broken copy of one) and one case, and raises AssertionError if
they disagree with torch. Arrays are drawn from the case's seed; `contiguous=False` hands over strided views.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F

TOLERANCE = {np.float64: 1e-10, np.float32: 1e-5}


def assert_close(ours, theirs, dtype, what, at_least=1.0):
    """Largest difference relative to the largest value (or to `at_least`); both sides may be NHWC arrays or scalars.

    `at_least` is the size of what is summed: a sum of many terms that happens to be near zero is no better known than they are.
    """
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape, f"{what}: shape {ours.shape}, torch has {theirs.shape}"
    scale = max(abs(theirs).max(initial=0), at_least)
    error = abs(ours - theirs).max(initial=0) / scale
    assert error <= TOLERANCE[dtype], f"{what}: relative error {error:.2e}"


def draw(case, *shapes):
    """Arrays N(0, 1) of the case's dtype; strided views if it says so."""
    generator = np.random.default_rng(case["seed"])
    arrays = []
    for shape in shapes:
        if case.get("contiguous", True):
            arrays.append(generator.standard_normal(shape).astype(case["dtype"]))
        else:
            wide = generator.standard_normal((*shape[:-1], 2 * shape[-1])).astype(case["dtype"])
            arrays.append(wide[..., ::2])
    return arrays


def nchw(x):
    """Our image batch as a torch tensor that records gradients."""
    return torch.tensor(np.ascontiguousarray(np.moveaxis(x, -1, 1)), requires_grad=True)


def oihw(w):
    return torch.tensor(np.ascontiguousarray(w.transpose(3, 2, 0, 1)), requires_grad=True)


def flat(x):
    return torch.tensor(np.ascontiguousarray(x), requires_grad=True)


def nhwc(t):
    return np.moveaxis(t.detach().numpy(), 1, -1)


ACTIVATE = {
    None: lambda t: t,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "scaled_tanh": lambda t: 1.7159 * torch.tanh(t * (2 / 3)),
}


def pad(t, padding, value=0.0):
    (top, bottom), (left, right) = padding
    return F.pad(t, (left, right, top, bottom), value=value)


def draw_convolution(case):
    """x, w, b of a convolution, and torch's result before the activation with the leaves it is of."""
    n, h, w, c, k, groups = (case[key] for key in ("n", "h", "w", "c", "k", "groups"))
    x, weight = draw(case, (n, h, w, c), (*case["kernel"], c // groups, k))
    weight /= math.sqrt(weight[..., 0].size)
    bias = np.random.default_rng(case["seed"]).standard_normal(k).astype(case["dtype"])
    bias = bias if case["bias"] else None
    tx, tw = nchw(x), oihw(weight)
    tb = None if bias is None else flat(bias)
    geometry = case["stride"], 0, case["dilation"], groups
    return x, weight, bias, F.conv2d(pad(tx, case["padding"]), tw, tb, *geometry), (tx, tw, tb)


def geometry_of(case):
    return {key: case[key] for key in ("stride", "padding", "dilation", "groups")}


def check_conv2d(ops, case):
    x, weight, bias, linear, (tx, tw, tb) = draw_convolution(case)
    geometry, activation, k = geometry_of(case), case["activation"], case["k"]
    y = ops.conv2d(x, weight, bias, activation=activation, **geometry)
    assert y.dtype == case["dtype"]
    assert_close(y, nhwc(ACTIVATE[activation](linear)), case["dtype"], "conv2d")
    room = np.full((*y.shape[:3], k + 3), np.nan, case["dtype"])
    slot = room[..., 1 : k + 1]
    assert ops.conv2d(x, weight, bias, activation=activation, out=slot, **geometry) is slot
    np.testing.assert_array_equal(slot, y)

    dy = np.asarray(draw({**case, "seed": case["seed"] + 1}, y.shape)[0])
    linear.backward(torch.tensor(np.ascontiguousarray(np.moveaxis(dy, -1, 1))))
    dx = ops.conv2d_grad_input(dy, weight, x.shape, **geometry)
    dw, db = ops.conv2d_grad_weight(dy, x, weight.shape, **geometry)
    alone, none = ops.conv2d_grad_weight(dy, x, weight.shape, bias=False, **geometry)
    np.testing.assert_array_equal(alone, dw)
    assert none is None
    assert_close(dx, nhwc(tx.grad), case["dtype"], "conv2d dx")
    assert_close(dw, tw.grad.numpy().transpose(2, 3, 1, 0), case["dtype"], "conv2d dw")
    # A sum that cancels is as exact as its terms, not as the little that is left.
    theirs = tb.grad.numpy() if tb is not None else dy.sum((0, 1, 2))
    assert_close(db, theirs, case["dtype"], "conv2d db", at_least=abs(dy).max())


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
    linear.backward(torch.tensor(np.ascontiguousarray(np.moveaxis(dy, -1, 1))))
    dx = ops.conv2d_grad_input_relu(dy, weight, x, **geometry_of(case))
    expected = np.where(x > 0, nhwc(tx.grad), 0)
    assert_close(dx, expected, case["dtype"], "conv2d_grad_input_relu")


def check_fold_batch_norm(ops, case):
    k = case["k"]
    bias, gamma, beta, mean, var = draw(case, *[(k,)] * 5)
    bias, var = bias if case["bias"] else None, abs(var) + 0.1
    scale, shift = ops.fold_batch_norm(bias, gamma, beta, mean, var, 1e-5)
    (z,) = draw({**case, "seed": case["seed"] + 1}, (4, k))
    given = [torch.tensor(np.ascontiguousarray(a)) for a in (mean, var, gamma, beta)]
    expected = F.batch_norm(torch.tensor(z if bias is None else z + bias), *given)
    assert_close(scale * z + shift, expected, case["dtype"], "fold_batch_norm")


def spaced(case, shape):
    """Distinct values far enough apart that no rounding changes which is largest; some cases are all negative."""
    generator = np.random.default_rng(case["seed"])
    values = generator.permutation(np.prod(shape)).astype(case["dtype"]).reshape(shape) * 0.01
    return values - (values.max() + 1 if case["negative"] else values.mean())


def check_max_pool2d(ops, case):
    x = spaced(case, (case["n"], case["h"], case["w"], case["c"]))
    geometry = (case["kernel"], case["stride"], case["padding"], case["ceil_mode"])
    (top, bottom), (left, right) = case["padding"]
    tx = nchw(x)
    if (top, left) == (bottom, right):
        ty = F.max_pool2d(
            tx, case["kernel"], case["stride"], (top, left), ceil_mode=case["ceil_mode"]
        )
    else:  # torch pads evenly only; floor mode over an explicit -inf border is the same thing
        ty = F.max_pool2d(pad(tx, case["padding"], -np.inf), case["kernel"], case["stride"])
    y, argmax = ops.max_pool2d(x, *geometry)
    assert y.dtype == case["dtype"]
    assert_close(y, nhwc(ty), case["dtype"], "max_pool2d")
    (dy,) = draw(case, y.shape)
    ty.backward(torch.tensor(np.ascontiguousarray(np.moveaxis(dy, -1, 1))))
    assert_close(
        ops.max_pool2d_grad(dy, argmax, x.shape, *geometry),
        nhwc(tx.grad),
        case["dtype"],
        "max_pool2d dx",
    )


def check_avg_pool2d(ops, case):
    (x,) = draw(case, (case["n"], case["h"], case["w"], case["c"]))
    geometry = (
        case["kernel"],
        case["stride"],
        case["padding"],
        case["ceil_mode"],
        case["count_include_pad"],
    )
    (top, _), (left, _) = case["padding"]
    tx = nchw(x)
    ty = F.avg_pool2d(
        tx,
        case["kernel"],
        case["stride"],
        (top, left),
        ceil_mode=case["ceil_mode"],
        count_include_pad=case["count_include_pad"],
    )
    y = ops.avg_pool2d(x, *geometry)
    assert y.dtype == case["dtype"]
    assert_close(y, nhwc(ty), case["dtype"], "avg_pool2d", at_least=0.1)
    (dy,) = draw({**case, "seed": case["seed"] + 1}, y.shape)
    ty.backward(torch.tensor(np.ascontiguousarray(np.moveaxis(dy, -1, 1))))
    assert_close(
        ops.avg_pool2d_grad(dy, x.shape, *geometry),
        nhwc(tx.grad),
        case["dtype"],
        "avg_pool2d dx",
        at_least=0.1,
    )


def check_global_avg_pool2d(ops, case):
    x, dy = draw(case, (case["n"], case["h"], case["w"], case["c"]), (case["n"], case["c"]))
    tx = nchw(x)
    ty = tx.mean(dim=(2, 3))
    ty.backward(flat(dy).detach())
    assert_close(
        ops.global_avg_pool2d(x), ty.detach(), case["dtype"], "global_avg_pool2d", at_least=0.1
    )
    assert_close(
        ops.global_avg_pool2d_grad(dy, x.shape),
        nhwc(tx.grad),
        case["dtype"],
        "global_avg_pool2d dx",
    )


def check_adaptive_avg_pool2d(ops, case):
    (x,) = draw(case, (case["n"], case["h"], case["w"], case["c"]))
    (dy,) = draw({**case, "seed": case["seed"] + 1}, (case["n"], *case["size"], case["c"]))
    tx = nchw(x)
    ty = F.adaptive_avg_pool2d(tx, case["size"])
    ty.backward(torch.tensor(np.ascontiguousarray(np.moveaxis(dy, -1, 1))))
    assert_close(
        ops.adaptive_avg_pool2d(x, case["size"]),
        nhwc(ty),
        case["dtype"],
        "adaptive_avg_pool2d",
        at_least=0.1,
    )
    assert_close(
        ops.adaptive_avg_pool2d_grad(dy, x.shape),
        nhwc(tx.grad),
        case["dtype"],
        "adaptive_avg_pool2d dx",
        at_least=0.1,
    )


def check_subsample2d(ops, case):
    size = case["size"]
    shape = (case["n"], case["h"] * size + case["rest"], case["w"] * size, case["c"])
    x, weight, bias = draw(case, shape, (case["c"],), (case["c"],))
    tx, tw, tb = nchw(x), flat(weight), flat(bias)
    linear = F.avg_pool2d(tx, size, divisor_override=1) * tw[:, None, None] + tb[:, None, None]
    y = ops.subsample2d(x, weight, bias, size, activation="scaled_tanh")
    assert_close(y, nhwc(ACTIVATE["scaled_tanh"](linear)), case["dtype"], "subsample2d")
    (dy,) = draw({**case, "seed": case["seed"] + 1}, y.shape)
    linear.backward(torch.tensor(np.ascontiguousarray(np.moveaxis(dy, -1, 1))))
    dx, dw, db = ops.subsample2d_grad(dy, x, weight, size)
    assert_close(dx, nhwc(tx.grad), case["dtype"], "subsample2d dx")
    assert_close(dw, tw.grad, case["dtype"], "subsample2d dw")
    assert_close(db, tb.grad, case["dtype"], "subsample2d db")


def check_local_response_norm(ops, case):
    """alpha is near 1 and x large: with the papers' 1e-4 a wrong window would drown in the rest."""
    x, dy = draw(case, *2 * [(case["n"], case["h"], case["w"], case["c"])])
    x = 3 * x
    size, alpha, beta, k, divided = (
        case[key] for key in ("size", "alpha", "beta", "k_lrn", "alpha_div_n")
    )
    tx = nchw(x)
    ty = F.local_response_norm(
        tx, size, alpha if divided else alpha * size, beta, k
    )  # torch divides
    ty.backward(torch.tensor(np.ascontiguousarray(np.moveaxis(dy, -1, 1))))
    y, scale = ops.local_response_norm(x, size, alpha, beta, k, divided)
    assert y.dtype == case["dtype"]
    assert_close(y, nhwc(ty), case["dtype"], "local_response_norm")
    dx = ops.local_response_norm_grad(dy, x, y, scale, size, alpha, beta, divided)
    assert_close(dx, nhwc(tx.grad), case["dtype"], "local_response_norm dx")


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
    linear.backward(torch.tensor(np.ascontiguousarray(np.moveaxis(dy, -1, 1))))
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
        slope = ops.activation_grad(dy, y, case["activation"])
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


def check_linear(ops, case):
    n, c, k = case["n"], case["c"], case["k"]
    x, w, b, dy = draw(case, (n, c), (c, k), (k,), (n, k))
    w /= math.sqrt(c)
    b = b if case["bias"] else None
    tx, tw, tb = flat(x), flat(w), flat(b) if b is not None else None
    linear = F.linear(tx, tw.T, tb)
    linear.backward(flat(dy).detach())
    y = ops.linear(x, w, b, activation=case["activation"])
    assert_close(y, ACTIVATE[case["activation"]](linear).detach(), case["dtype"], "linear")
    dw, db = ops.linear_grad_weight(dy, x)
    assert_close(ops.linear_grad_input(dy, w), tx.grad, case["dtype"], "linear dx")
    assert_close(dw, tw.grad, case["dtype"], "linear dw")
    assert_close(db, tb.grad if tb is not None else dy.sum(0), case["dtype"], "linear db")


def check_rbf(ops, case):
    n, c, k = case["n"], case["c"], case["k"]
    x, w, dy = draw(case, (n, c), (k, c), (n, k))
    tx = flat(x)
    ty = ((tx[:, None] - torch.tensor(np.ascontiguousarray(w))) ** 2).sum(2)
    ty.backward(flat(dy).detach())
    assert_close(ops.rbf(x, w), ty.detach(), case["dtype"], "rbf")
    assert_close(ops.rbf_grad(dy, x, w), tx.grad, case["dtype"], "rbf dx")


def check_activation(ops, case):
    x, dy = draw(case, *2 * [(case["n"], case["h"], case["w"], case["c"])])
    x = x * case["scale"]
    name = case["activation"]
    tx = flat(x)
    ty = ACTIVATE[name](tx)
    ty.backward(flat(dy).detach())
    y = ops.activate(x, name)
    assert_close(y, ty.detach(), case["dtype"], name)
    np.testing.assert_array_equal(getattr(ops, name)(x), y)
    assert_close(
        ops.add(x, dy, name),
        ACTIVATE[name](torch.tensor(np.ascontiguousarray(x + dy))),
        case["dtype"],
        f"add and {name}",
    )
    room = ops.empty(x, (2, 3))
    assert room.shape == (2, 3) and room.dtype == x.dtype
    # In saturation f'(x) from y is a difference of nearly equal numbers: its error is relative to dy, not to the tiny result.
    assert_close(
        ops.activation_grad(dy, y, name),
        tx.grad,
        case["dtype"],
        f"{name} dx",
        at_least=abs(dy).max(),
    )
    np.testing.assert_array_equal(
        getattr(ops, f"{name}_grad")(dy, y), ops.activation_grad(dy, y, name)
    )


def check_softmax_cross_entropy(ops, case):
    (logits,) = draw(case, (case["n"], case["k"]))
    logits = logits * case["scale"]
    labels = np.random.default_rng(case["seed"]).integers(0, case["k"], case["n"])
    t = flat(logits)
    loss = F.cross_entropy(t, torch.tensor(labels))
    loss.backward()
    ours, dlogits = ops.softmax_cross_entropy(logits, labels)
    assert_close(ours, loss.detach(), case["dtype"], "softmax_cross_entropy", at_least=1e-3)
    assert_close(dlogits, t.grad, case["dtype"], "softmax_cross_entropy dlogits", at_least=1e-3)
    assert_close(
        ops.softmax(logits), torch.softmax(t, 1).detach(), case["dtype"], "softmax", at_least=1e-3
    )


def check_map_loss(ops, case):
    (y,) = draw(case, (case["n"], case["k"]))
    y = case["scale"] * y * y
    labels = np.random.default_rng(case["seed"]).integers(0, case["k"], case["n"])
    t = flat(y)
    rubbish = torch.full((len(y), 1), -case["j"], dtype=t.dtype)
    loss = (t[range(len(y)), labels] + torch.logsumexp(torch.cat([rubbish, -t], 1), 1)).mean()
    loss.backward()
    ours, dy = ops.map_loss(y, labels, case["j"])
    assert_close(ours, loss.detach(), case["dtype"], "map_loss", at_least=1e-3)
    assert_close(dy, t.grad, case["dtype"], "map_loss dy", at_least=1e-3)
