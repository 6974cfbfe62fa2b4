"""Right terms with wrong factors, found by least squares."""

import numpy as np
import pytest

from minicnn import study
from minicnn.study.check.operations import OPERATIONS

SUMS = [(name, result) for name, o in OPERATIONS.items() for result in o.sums]


@pytest.mark.parametrize(("name", "result"), SUMS)
def test_the_terms_make_the_result(name, result):
    operation, judged = OPERATIONS[name], 0
    for case in operation.cases(np.random.default_rng(0)):
        right = operation.right(case)
        if result in right:
            terms = operation.sums[result][""](case)
            np.testing.assert_allclose(sum(terms.values()), right[result], atol=1e-12)
            judged += 1
    assert judged


def says(check):
    return {result: f.says for f in check.findings for result in f.results}


def layernorm_forward(x, gamma, beta, ln_param):
    std = np.sqrt(x.var(axis=1, keepdims=True) + ln_param["eps"])
    xhat = (x - x.mean(axis=1, keepdims=True)) / std
    return gamma * xhat + beta, (xhat, gamma, std)


def backward_of(first, second, third):
    def layernorm_backward(dout, cache):
        """Without gamma, and with three factors."""
        xhat, _, std = cache
        direct, crossed = dout.mean(1, keepdims=True), (dout * xhat).mean(1, keepdims=True)
        dx = (first * dout - second * direct - third * xhat * crossed) / std
        return dx, (dout * xhat).sum(0), dout.sum(0)

    return layernorm_backward


def test_a_factor_with_a_meaning_is_named():
    found = says(study.check(layernorm_forward, backward_of(1, 0, -0.5)))
    assert found == {
        "dx": "gamma is missing; and the term mean(dout*gamma): it is missing; and the term "
        "x^ * mean(dout*gamma * x^): it has the wrong sign and is halved"
    }


def test_factors_without_a_meaning_are_a_clue():
    factors = iter((1.5, 2.5, 3.5, 1.25, 2.75, 3.25, 1.1, 2.2, 3.3) * 9)

    class Any:
        def __mul__(self, other):
            return next(factors) * other

        __rmul__ = __mul__
        __array_ufunc__ = None

    check = study.check(layernorm_forward, backward_of(1, Any(), 1))
    assert says(check) == {}
    assert any("has the right terms with other factors" in clue for clue in check.clues)


def test_the_bias_may_be_multiplied():
    def conv_forward(x, w, b):
        views = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
        return np.einsum("nchwij,fcij->nfhw", views, w) * b[:, None, None]

    assert says(study.check(conv_forward)) == {"y": "the bias is multiplied, not added"}
