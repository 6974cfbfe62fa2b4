"""Every operation of the cuda backend on the emulated GPU, in several orders of its threads.

Results in float32 are compared with torch, those in bfloat16 with float64 of the same numbers.
"""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from minicnn import layers
from minicnn.kernels import dispatch, functional, reference
from minicnn.kernels.cuda.activation import convert
from minicnn.kernels.resampling import means, upsampling

from ..checks import CHECKS, Through
from .common import relative, to_device

SERVED = [name for name in CHECKS if name not in ("rbf", "map_loss", "subsample2d")]


class OnDevice:
    """The dispatcher with arrays on the device, as with a user's CuPy arrays."""

    def __getattr__(self, operation):
        def call(*args, **kwargs):
            given = [to_device(a) for a in args]
            result = getattr(Through("cuda"), operation)(
                *given, **{key: to_device(a) for key, a in kwargs.items()}
            )
            return kwargs.get("out", result)

        return call


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("operation", SERVED)
def test_operation(operation, seed, emulate):
    emulate(seed=seed)
    cases, check = CHECKS[operation]

    @settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(cases(np.float32))
    def run(case):
        check(OnDevice(), case)

    run()


def test_what_is_not_served_falls_back(emulate):
    """On the device's arrays, by the reference."""
    run = emulate()
    x, one = to_device(np.ones((1, 4, 4, 2), np.float32)), to_device(np.ones(2, np.float32))
    assert dispatch.select(reference.subsample2d, x) is reference.subsample2d
    np.testing.assert_array_equal(functional.subsample2d(x, one, one), np.full((1, 2, 2, 2), 5))
    assert not run.launches


def bf16_cases(x, dy, c):
    """Operation -> arguments; arrays of images are those that come in bfloat16."""
    gamma, beta, mean, var = (
        np.random.default_rng(i).uniform(0.5, 2, c).astype(np.float32) for i in range(4)
    )
    labels = np.arange(len(x)) % c
    scale = (1.0 + x.astype(np.float32) ** 2).astype(np.float32)
    return {
        "relu": (x,),
        "sigmoid_grad": (dy, x),
        "add": (x, dy, "tanh"),
        "max_pool2d": (x, 3, 2, 1),
        "adaptive_max_pool2d": (x, (2, 3)),
        "avg_pool2d": (x, 3, 2, 1),
        "resample2d": (x, upsampling(x.shape[1], 7, "bilinear"), means(x.shape[2], 3)),
        "resample2d_grad": (dy, means(9, x.shape[1]), upsampling(3, x.shape[2], "bilinear")),
        "global_avg_pool2d": (x,),
        "local_response_norm": (x, 5, 0.5),
        "local_response_norm_grad": (dy, x, x, scale, 5, 0.5),
        "batch_norm": (x, gamma, beta, mean, var, True, 0.1, 1e-5, "relu"),
        "batch_norm_grad": (dy, x, gamma, mean, var, True, beta, "relu"),
        "silu": (x,),
        "gelu_tanh_grad": (dy, x),
        "clip": (x, -0.5, 0.75),
        "prelu": (x, gamma),
        "prelu_grad": (dy, x, gamma),
        "group_norm": (x, gamma, beta, c if c % 2 else 4),
        "group_norm_grad": (dy, x, gamma, *np.ones((2, len(x), 1), np.float32)),
        "layer_norm": (x, gamma, beta),
        "layer_norm_grad": (dy, x, gamma, *np.ones((2, *x.shape[:3]), np.float32)),
        "softmax": (x.reshape(-1, c),),
        "softmax_grad": (dy, x),
        "softmax_cross_entropy": (x[:, 0, 0], labels, gamma, 0.1),
        "binary_cross_entropy": (x[:, 0, 0], gamma[None].repeat(len(x), 0) / 2),
        "mean_squared_error": (x[:, 0, 0], scale[:, 0, 0]),
        "avg_pool2d_grad": (dy, (len(x), 2 * x.shape[1], 2 * x.shape[2], c), 2),
        "global_avg_pool2d_grad": (dy[:, 0, 0], x.shape),
    }


@pytest.mark.parametrize("channels", [3, 8])
def test_bfloat16(channels, emulate):
    """Every other operation on images in bfloat16: the result is off only by its rounding."""
    emulate(seed=2)
    generator = np.random.default_rng(0)
    x, dy = generator.standard_normal((2, 4, 6, 5, channels)).astype(ml_dtypes.bfloat16)
    for operation, arguments in bf16_cases(x, dy, channels).items():
        exact = [
            a.astype(np.float64) if hasattr(a, "dtype") and a.dtype.kind != "i" else a
            for a in arguments
        ]
        ours = getattr(functional, operation)(
            *[to_device(a.copy() if hasattr(a, "copy") else a) for a in arguments]
        )
        theirs = getattr(reference, operation)(*exact)
        for mine, expected in zip(
            ours if isinstance(ours, tuple) else (ours,),
            theirs if isinstance(theirs, tuple) else (theirs,),
            strict=True,
        ):
            assert relative(mine, expected) < 4e-3, operation


def test_conversion_rounds_to_nearest_even(emulate):
    emulate()
    x = np.concatenate(
        [
            np.random.default_rng(0).standard_normal(999).astype(np.float32),
            [1 + 2**-8, 1 + 3 * 2**-8, np.inf, np.nan, -0.0],
        ]
    )
    x = x.astype(np.float32)
    half = convert(to_device(x), np.dtype(ml_dtypes.bfloat16))
    np.testing.assert_array_equal(
        np.asarray(half).astype(float), x.astype(ml_dtypes.bfloat16).astype(float)
    )
    np.testing.assert_array_equal(
        np.asarray(convert(half, np.dtype(np.float32))), np.asarray(half).astype(np.float32)
    )


LAYERS = {
    "affine": lambda: layers.Affine(8),
    "scale": lambda: layers.Scale(0.7, 0.3),
    "transposed convolution": lambda: layers.ConvTranspose2d(8, 8, 2),
    "upsample": lambda: layers.Upsample(1.5, "bilinear"),
    "resample": lambda: layers.Resample2d(np.linspace(-1, 1, 18).reshape(3, 6)),
    "adaptive": lambda: layers.AdaptiveAvgPool2d((4, 3)),
    **{name: lambda name=name: layers.Function(name) for name in ("abs", "erf", "exp", "softplus")},
    "power": lambda: layers.Function("power", 3.0),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_in_bfloat16(name, emulate):
    """y and dx are in bfloat16, off by its rounding; sums over the pixels are float32."""
    emulate(seed=3)
    generator = np.random.default_rng(0)
    x = generator.standard_normal((4, 6, 5, 8)).astype(ml_dtypes.bfloat16)
    exact, layer = LAYERS[name]().astype(np.float64), LAYERS[name]()
    for p, q in zip(exact.parameters(), layer.parameters(), strict=True):
        q.value[...] = generator.standard_normal(p.value.shape)
        p.value[...] = q.value
    y, expected = layer.to("cuda")(to_device(x.copy())), exact(x.astype(np.float64))
    dy = generator.standard_normal(expected.shape).astype(ml_dtypes.bfloat16)
    dx = layer.backward(to_device(dy.copy()))
    for ours, theirs in ((y, expected), (dx, exact.backward(dy.astype(np.float64)))):
        assert ours.dtype == x.dtype
        assert relative(ours, theirs) < 4e-3
    for p, q in zip(layer.parameters(), exact.parameters(), strict=True):
        assert p.grad.dtype == np.float32
        assert relative(p.grad, q.grad) < (4e-3 if p.value.ndim > 1 else 1e-6)
