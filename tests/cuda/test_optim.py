"""Updates of parameters on the emulated GPU against float64."""

import numpy as np
import pytest

from minicnn.kernels import functional, reference

from .common import to_device

UPDATES = {
    "sgd_update": (
        1,
        [
            {"momentum": 0.9},
            {"momentum": 0.9, "nesterov": True},
            {"momentum": 0.9, "form": "caffe"},
            {},
        ],
    ),
    "adam_update": (2, [{"step": 3}, {"step": 1, "decoupled": True}]),
    "rmsprop_update": (2, [{}, {"momentum": 0.5}]),
}


@pytest.mark.parametrize("operation", UPDATES)
def test_updates(operation, emulate):
    """All parameters in one launch, sizes that fill a chunk and that do not, rates of their own."""
    run = emulate(seed=1)
    slots, variants = UPDATES[operation]
    shapes = [(3, 2), (4096,), (2049,), (1,)]
    for options in variants:
        generator = np.random.default_rng(0)
        start = [
            [abs(generator.standard_normal(shape).astype(np.float32)) for shape in shapes]
            for _ in range(2 + slots)
        ]
        rates = [0.1, 0.01, 0.5, 0.2], [0.0, 1e-3, 0.1, 0.0]
        theirs = [[a.astype(np.float64) for a in arrays] for arrays in start]
        ours = [[to_device(a.copy()) for a in arrays] for arrays in start]
        for _ in range(2):
            getattr(reference, operation)(*theirs, *rates, **options)
            getattr(functional, operation)(*ours, *rates, **options)
        for mine, expected in zip(ours, theirs, strict=True):
            for a, b in zip(mine, expected, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-5)
    assert len(run.launches) == 2 * len(variants)
