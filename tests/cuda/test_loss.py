"""Sums of losses and of right answers on the emulated GPU."""

import numpy as np

from minicnn.kernels.cuda import loss

from .common import to_device


def test_tally(emulate):
    emulate(seed=1)
    logits = np.random.default_rng(0).standard_normal((300, 7), dtype=np.float32)
    labels = np.random.default_rng(1).integers(0, 7, 300)
    totals = to_device(np.array([1.0, 2.0]))
    for _ in range(2):
        loss.tally(
            to_device(logits), to_device(labels), to_device(np.array(0.5, np.float32)), totals
        )
    np.testing.assert_allclose(
        totals, [1 + 2 * 0.5 * 300, 2 + 2 * (logits.argmax(1) == labels).sum()]
    )
