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


def test_tally_of_targets(emulate):
    """Soft targets: the largest one is the truth. Multi-label: the share of right answers."""
    emulate(seed=1)
    generator = np.random.default_rng(0)
    values, targets = generator.random((2, 300, 7), dtype=np.float32)
    right = (values.argmax(1) == targets.argmax(1)).sum()
    share = ((values > 0.5) == (targets > 0.5)).sum() / 7
    for is_multi_label, expected in ((False, right), (True, share)):
        totals, one = to_device(np.zeros(2)), to_device(np.array(1, np.float32))
        loss.tally(to_device(values), to_device(targets), one, totals, is_multi_label)
        np.testing.assert_allclose(totals, [300, expected])
