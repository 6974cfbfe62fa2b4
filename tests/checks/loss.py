"""Losses against torch."""

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

from .common import assert_close, draw, flat, rows


def cross_entropy_cases(dtype):
    return rows(dtype, scale=st.sampled_from([0.1, 1.0, 100.0]))


def map_loss_cases(dtype):
    return rows(dtype, scale=st.sampled_from([0.1, 1.0, 50.0]), j=st.sampled_from([0.1, 1.0]))


def check_softmax_cross_entropy(ops, case):
    (logits,) = draw(case, (case["n"], case["k"]))
    logits = logits * case["scale"]
    labels = np.random.default_rng(case["seed"]).integers(0, case["k"], case["n"])
    t = flat(logits)
    loss = F.cross_entropy(t, torch.tensor(labels))
    loss.backward()
    ours, dlogits = ops.softmax_cross_entropy(logits, labels)
    assert_close(ours, loss.detach(), case["dtype"], "softmax_cross_entropy", at_least=1e-3)
    # The gradient at the label is a difference of two numbers up to 1 / N.
    terms = 1 / len(labels)
    assert_close(dlogits, t.grad, case["dtype"], "softmax_cross_entropy dlogits", at_least=terms)
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
