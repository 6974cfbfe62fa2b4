"""Losses against torch."""

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

from .common import assert_close, draw, flat, rows


def cross_entropy_cases(dtype):
    return rows(
        dtype,
        scale=st.sampled_from([0.1, 1.0, 100.0]),
        soft=st.booleans(),
        weighted=st.booleans(),
        smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    )


def element_cases(dtype):
    return rows(dtype, scale=st.sampled_from([0.1, 1.0, 100.0]), soft=st.booleans())


def drawn_labels(case):
    """Labels, and the same one-hot."""
    labels = np.random.default_rng(case["seed"]).integers(0, case["k"], case["n"])
    return labels, np.eye(case["k"], dtype=case["dtype"])[labels]


def map_loss_cases(dtype):
    return rows(dtype, scale=st.sampled_from([0.1, 1.0, 50.0]), j=st.sampled_from([0.1, 1.0]))


def check_softmax(ops, case):
    x, dy = draw(case, *2 * [(case["n"], case["h"], case["w"], case["c"])])
    t = flat(3 * x)
    ty = F.softmax(t, dim=-1)
    ty.backward(flat(dy).detach())
    y = ops.softmax(3 * x)
    assert_close(y, ty.detach(), case["dtype"], "softmax")
    assert_close(ops.softmax_grad(dy, y), t.grad, case["dtype"], "softmax dx")


def check_softmax_cross_entropy(ops, case):
    n, k = case["n"], case["k"]
    logits, raw = draw(case, (n, k), (n, k))
    logits = logits * case["scale"]
    generator = np.random.default_rng(case["seed"])
    targets = generator.integers(0, k, n)
    if case["soft"]:
        targets = np.exp(raw)
        targets /= targets.sum(axis=1, keepdims=True)
    weights = generator.uniform(0, 3, k).astype(case["dtype"]) if case["weighted"] else None
    t = flat(logits)
    loss = F.cross_entropy(
        t,
        torch.tensor(targets),
        weight=None if weights is None else torch.tensor(weights),
        label_smoothing=case["smoothing"],
        reduction="none",  # its mean divides by the sum of the weights
    ).mean()
    loss.backward()
    arguments = [logits, targets]  # what is left out has its default value
    if case["smoothing"] or case["weighted"]:
        arguments += [weights, case["smoothing"]]
    ours, dlogits = ops.softmax_cross_entropy(*arguments)
    what, dtype = "softmax_cross_entropy", case["dtype"]
    # The loss is a difference of terms as large as the logits.
    assert_close(ours, loss.detach(), dtype, what, at_least=max(1e-3, case["scale"]))
    # The gradient at the label is a difference of two numbers, up to the weight / N.
    terms = (3 if case["weighted"] else 1) / n
    assert_close(dlogits, t.grad, dtype, f"{what} dlogits", at_least=terms)
    assert_close(ops.softmax(logits), torch.softmax(t, 1).detach(), dtype, "softmax", at_least=1e-3)


def check_binary_cross_entropy(ops, case):
    logits, raw = draw(case, (case["n"], case["k"]), (case["n"], case["k"]))
    logits, targets = logits * case["scale"], 1 / (1 + np.exp(-raw))
    t, given = flat(logits), targets
    if not case["soft"]:
        given, targets = drawn_labels(case)
    loss = F.binary_cross_entropy_with_logits(t, flat(targets).detach())
    loss.backward()
    ours, dlogits = ops.binary_cross_entropy(logits, given)
    assert_close(ours, loss.detach(), case["dtype"], "binary_cross_entropy", at_least=1e-3)
    terms = 1 / logits.size
    assert_close(dlogits, t.grad, case["dtype"], "binary_cross_entropy dlogits", at_least=terms)


def check_mean_squared_error(ops, case):
    y, targets = draw(case, (case["n"], case["k"]), (case["n"], case["k"]))
    y = y * case["scale"]
    t, given = flat(y), targets
    if not case["soft"]:
        given, targets = drawn_labels(case)
    loss = F.mse_loss(t, flat(targets).detach())
    loss.backward()
    ours, dy = ops.mean_squared_error(y, given)
    assert_close(ours, loss.detach(), case["dtype"], "mean_squared_error", at_least=1e-3)
    assert_close(dy, t.grad, case["dtype"], "mean_squared_error dy", at_least=1e-3)


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
