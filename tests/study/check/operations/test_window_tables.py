"""Windows as tables of indices: right ones give the definition, wrong parts other numbers."""

from functools import partial

import numpy as np
import pytest

from minicnn import study
from minicnn.study.check.operations import OPERATIONS
from minicnn.study.check.operations import pool_reductions as pool
from minicnn.study.check.operations.window_tables import (
    PARTS,
    RIGHT,
    WHERE,
    conv_dw,
    conv_dx,
    conv_y,
    gather,
    scatter,
    tables_of,
)


def cases_of(name):
    return OPERATIONS[name].cases(np.random.default_rng(0))


@pytest.mark.parametrize(
    ("name", "reads", "dx"),
    [
        ("conv2d", {"y": conv_y, "dw": conv_dw}, conv_dx),
        ("avg_pool2d", {"y": partial(pool.reduced, pool.REDUCTIONS["the mean"], 0.0)}, pool.shared),
        (
            "max_pool2d",
            {"y": partial(pool.reduced, pool.REDUCTIONS["the maximum"], -np.inf)},
            partial(pool._chosen, pool.CHOSEN["the maximum"], None),
        ),
    ],
)
def test_right_tables_give_the_definition(name, reads, dx):
    for case in cases_of(name):
        tables, right = tables_of(case, ((), "both")), OPERATIONS[name].right(case)
        for result, of in reads.items():
            np.testing.assert_allclose(of(case, tables), right[result], atol=1e-12)
        np.testing.assert_allclose(dx(case, tables, ""), right["dx"], atol=1e-12)


# A pixel is outside of the padded image only if another part is wrong, too.
@pytest.mark.parametrize(
    "part", [p for p in PARTS if "border" not in p.kind], ids=lambda part: part.says
)
def test_each_part_is_wrong_in_a_geometry(part):
    assert part.kind in RIGHT
    cases = cases_of("conv2d")
    for where in WHERE:
        assert any(
            not all(map(np.array_equal, tables_of(c, ((part,), where)), tables_of(c, ((), "both"))))
            for c in cases
        )


def test_scatter_is_the_adjoint_of_gather():
    generator = np.random.default_rng(0)
    rows, columns = np.array([[0, 1], [1, -1], [1, 2]]), np.array([[0, 2], [2, 0]])
    x = generator.standard_normal((2, 3, 3, 2))
    cells = generator.standard_normal(gather(x, (rows, columns)).shape)
    back = scatter(cells, (rows, columns), x.shape)
    assert np.isclose((gather(x, (rows, columns)) * cells).sum(), (x * back).sum())


def test_a_written_cell_replaces_the_earlier_ones():
    tables = np.array([[0, 1], [1, 2]]), np.array([[0]])
    cells = np.array([1.0, 2, 3, 4]).reshape(1, 2, 2, 1, 1, 1)
    assert scatter(cells, tables, (1, 3, 1, 1)).ravel().tolist() == [1, 5, 4]
    assert scatter(cells, tables, (1, 3, 1, 1), "windows").ravel().tolist() == [1, 3, 4]
    assert scatter(cells, tables, (1, 3, 1, 1), "cells").ravel().tolist() == [1, 2, 4]


def says(check):
    return {result: f.says for f in check.findings for result in f.results}


def conv_forward(x, w, b, stride, pad):
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    views = np.lib.stride_tricks.sliding_window_view(xp, w.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,fcij->nfhw", views[:, :, ::stride, ::stride], w) + b[:, None, None]


def test_two_wrong_parts_are_named():
    def conv_backward(dout, x, w, b, stride, pad):
        """The stride is ignored, and the border is cut off one pixel too late."""
        (n, c, h, wd), (kh, kw) = x.shape, w.shape[2:]
        dx = np.zeros((n, c, h + 2 * pad + 1, wd + 2 * pad + 1))
        for p, q in np.ndindex(*dout.shape[2:]):
            dx[:, :, p : p + kh, q : q + kw] += np.einsum("nf,fcij->ncij", dout[:, :, p, q], w)
        views = np.lib.stride_tricks.sliding_window_view(
            np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad))), (kh, kw), axis=(2, 3)
        )[:, :, ::stride, ::stride]
        dw = np.einsum("nfhw,nchwij->fcij", dout, views)
        cut = slice(pad + 1, pad + 1 + h), slice(pad + 1, pad + 1 + wd)
        return dx[:, :, *cut], dw, dout.sum((0, 2, 3))

    found = says(study.check(conv_forward, conv_backward))
    assert found == {
        "dx": "the windows start at p instead of p*s; and the padding counts one pixel too many; "
        "the same along the columns"
    }


def test_another_number_of_the_window_is_named():
    def adaptive_avg_pool_forward(x, output_size):
        (h, w), (m, k) = x.shape[2:], output_size
        y = np.zeros((*x.shape[:2], m, k))
        for p, q in np.ndindex(m, k):
            rows = slice(p * h // m, -(-(p + 1) * h // m))
            columns = slice(q * w // k, -(-(q + 1) * w // k))
            y[:, :, p, q] = np.median(x[:, :, rows, columns], axis=(2, 3))
        return y

    assert says(study.check(adaptive_avg_pool_forward)) == {
        "y": "the median of each window is taken, not the mean"
    }
