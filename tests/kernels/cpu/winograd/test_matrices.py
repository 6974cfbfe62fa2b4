"""Winograd's matrices."""

import numpy as np

from minicnn.kernels.cpu import winograd


def test_winograd_matrices():
    """F(m, r) computes a correlation exactly, in rational arithmetic as good as in float64."""
    generator = np.random.default_rng(0)
    for m, r in ((1, 1), (2, 3), (4, 3), (2, 5), (3, 4), (5, 2), (2, 7), (4, 7), (7, 4)):
        at, g, bt = winograd.matrices(m, r)
        d, f = generator.standard_normal(m + r - 1), generator.standard_normal(r)
        np.testing.assert_allclose(
            at @ ((g @ f) * (bt @ d)), np.correlate(d, f, "valid"), rtol=1e-10
        )
