"""Arrays of any strides and types."""

import numpy as np
import pytest

from minicnn.kernels import cpu

from ..rejected import V, X, f32


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


WRITERS = {
    "relu": lambda out: cpu.relu(X, out=out),
    "add": lambda out: cpu.add(X, X, out=out),
    "dropout": lambda out: cpu.dropout(X, 0.5, np.random.default_rng(0), out=out),
    "conv2d": lambda out: cpu.conv2d(X, f32(3, 3, 16, 16), padding=1, out=out),
    "conv2d_affine": lambda out: cpu.conv2d_affine(X, f32(1, 1, 16, 16), V, V, out=out),
    "max_pool2d": lambda out: cpu.max_pool2d(X, 1, out=out),
    "avg_pool2d": lambda out: cpu.avg_pool2d(X, 1, out=out),
    "batch_norm": lambda out: cpu.batch_norm(X, V, V, V.copy(), V.copy(), out=out),
    "batch_norm_add": lambda out: cpu.batch_norm_add(X, X, V, V, V.copy(), V.copy(), out=out),
    "local_response_norm": lambda out: cpu.local_response_norm(X, out=out),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_read_only_out_stays_as_it_is(name):
    """Kernels write to addresses: NumPy's flag has to be read before."""
    out = np.full(X.shape, 7, np.float32)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        WRITERS[name](out)
    assert (out == 7).all()
