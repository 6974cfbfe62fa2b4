"""Arrays of any strides and types."""

import numpy as np

from minicnn.kernels import cpu


def test_views_types_and_subclasses_are_host_arrays():
    """Strides, other types and subclasses of ndarray give what a plain array gives."""

    class Mine(np.ndarray):
        pass

    generator = np.random.default_rng(0)
    x, w = (generator.standard_normal(s, dtype=np.float32) for s in ((2, 9, 9, 16), (3, 3, 16, 32)))
    plain = cpu.conv2d(x, w, padding=1), cpu.relu(x), *cpu.max_pool2d(x, 2)
    doubled = np.repeat(x, 2, axis=2)[:, :, ::2]
    bordered = np.zeros((2, 9, 9, 48), np.float32)
    bordered[..., 5:21] = x
    for other in (
        x.view(Mine), doubled, bordered[..., 5:21], x[::-1].copy()[::-1], np.asfortranarray(x),
        x.astype(np.float64), x.astype(">f4"),
    ):  # fmt: skip
        ours = cpu.conv2d(other, w, padding=1), cpu.relu(other), *cpu.max_pool2d(other, 2)
        for a, b in zip(ours, plain, strict=True):
            np.testing.assert_array_equal(a, b)
