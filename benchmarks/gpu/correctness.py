"""Every kernel against float64 on the host: random data, poisoned memory, twice the same to the bit; then whole networks."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from minicnn import registry, rng
from minicnn.device import runtime, set_precision, to_host, to_input
from minicnn.kernels import functional, reference
from minicnn.layers import fuse
from minicnn.training.metrics import loss_of

from .parts import Task

LIMITS = {
    "fp32": 2e-6,
    "ffma": 2e-6,
    "tf32": 2e-3,
    "bf16": 1e-2,
}  # relative L2 error of a kernel's result
GRADIENT_LIMITS = {
    "fp32": 2e-2,
    "ffma": 2e-2,
    "tf32": 0.1,
    "bf16": 0.3,
}  # of a whole network's: units fall to other sides of their kinks

# name: images, kernel, filters, geometry
CONVOLUTIONS: dict[str, tuple] = {
    "3x3": ((4, 14, 14, 64), (3, 3), 128, {"padding": 1}),
    "3x3 odd": ((3, 13, 11, 20), (3, 3), 36, {"padding": 1}),
    "3x3 strided": ((4, 15, 15, 64), (3, 3), 64, {"padding": 1, "stride": 2}),
    "1x1": ((4, 14, 14, 128), (1, 1), 64, {}),
    "1x1 strided": ((4, 14, 14, 64), (1, 1), 128, {"stride": 2}),
    "5x5": ((2, 14, 14, 16), (5, 5), 48, {"padding": 2}),
    "groups": ((2, 13, 13, 96), (5, 5), 256, {"padding": 2, "groups": 2}),
    "dilated": ((2, 12, 12, 32), (3, 3), 32, {"padding": 2, "dilation": 2}),
    "first layer": ((4, 32, 32, 3), (7, 7), 64, {"padding": 3, "stride": 2}),
    "11x11": ((2, 59, 59, 3), (11, 11), 96, {"stride": 4}),
    "LeNet's C1": ((8, 32, 32, 1), (5, 5), 6, {}),
    "one pixel": ((32, 5, 5, 16), (5, 5), 120, {}),
}
TINY = ("3x3 odd", "first layer")
NETWORKS = ("lenet5", "resnet20_cifar", "nin_cifar10", "googlenet", "resnet18")
BATCH = 8  # images of a network's comparison


class Check(NamedTuple):
    """One comparison: what was compared, its error, what it may be, and whether two runs gave the same bits."""

    name: str
    precision: str
    error: float
    limit: float
    repeats: bool

    @property
    def passed(self) -> bool:
        return bool(self.error <= self.limit and self.repeats)

    def row(self) -> dict[str, Any]:
        """The comparison as a line of the results."""
        return {"kind": "check", "passed": self.passed} | self._asdict()


def relative(ours, theirs) -> float:
    """The L2 norm of the difference over that of `theirs`; infinite if any number is not finite."""
    ours, theirs = np.asarray(to_host(ours)).astype(np.float64), np.asarray(theirs, np.float64)
    if not np.isfinite(ours).all() or ours.shape != theirs.shape:
        return float("inf")
    return float(np.linalg.norm(ours - theirs) / max(float(np.linalg.norm(theirs)), 1e-30))


def kernels(precision: str, tiny: bool) -> Iterator[Task]:
    """A task for each kernel, on data that is new in each run."""
    for name, operation, arguments, options in cases(np.random.default_rng(), tiny):
        yield name, partial(_compared, name, operation, arguments, options, precision)


def _compared(
    name: str, operation: str, arguments: tuple, options: dict, precision: str
) -> Iterator[dict]:
    set_precision(precision)
    yield compare(name, operation, arguments, options, precision).row()


def compare(name: str, operation: str, arguments: tuple, options: dict, precision: str) -> Check:
    """Run one operation on the device twice, and on the host in float64 on the same numbers."""

    def on_device():
        given = [_to_device(a) for a in arguments]
        result = getattr(functional, operation)(
            *given, **{key: _to_device(a) for key, a in options.items()}
        )
        if operation.endswith("_update"):
            return [a for arrays in given[:-2] for a in arrays]
        return list(result) if isinstance(result, tuple) else [result]

    with runtime().poisoned():
        first, second = on_device(), on_device()
    exact = [_exact(a, precision) for a in arguments]
    expected = getattr(reference, operation)(
        *exact, **{key: _exact(a, precision) for key, a in options.items()}
    )
    if operation.endswith("_update"):
        expected = [a for arrays in exact[:-2] for a in arrays]
    expected = list(expected) if isinstance(expected, (tuple, list)) else [expected]
    repeats = all(
        to_host(a).tobytes() == to_host(b).tobytes() for a, b in zip(first, second, strict=True)
    )
    product = operation.startswith(("conv2d", "linear"))
    limit = LIMITS[precision] if product else 1e-2 if precision == "bf16" else 5e-6
    return Check(
        name,
        precision,
        max(relative(a, b) for a, b in zip(first, expected, strict=True)),
        limit,
        repeats,
    )


def cases(generator, tiny: bool) -> Iterator[tuple[str, str, tuple, dict]]:
    """Name, operation, arguments, options. Arrays wrapped in `Images` are those that bf16 stores in 16 bits."""

    def normal(*shape):
        return generator.standard_normal(shape, dtype=np.float32)

    for name, (shape, kernel, filters, geometry) in CONVOLUTIONS.items():
        if tiny and name not in TINY:
            continue
        channels = shape[3] // geometry.get("groups", 1)
        x, w = (
            Images(normal(*shape)),
            normal(*kernel, channels, filters)
            / np.float32(np.sqrt(kernel[0] * kernel[1] * channels)),
        )
        y_shape = reference.conv2d(
            np.zeros((*shape[:3], geometry.get("groups", 1)), np.float32), w[:, :, :1], **geometry
        ).shape
        dy = Images(normal(*y_shape))
        yield (
            f"conv {name}, forward",
            "conv2d",
            (x, w, normal(filters)),
            geometry | {"activation": "relu"},
        )
        added = x, w, normal(filters), normal(filters), dy
        yield f"conv {name}, residual", "conv2d_affine", added, geometry | {"activation": "relu"}
        yield f"conv {name}, input gradient", "conv2d_grad_input", (dy, w, shape), geometry
        yield (
            f"conv {name}, input gradient through a ReLU",
            "conv2d_grad_input_relu",
            (dy, w, x),
            geometry,
        )
        yield f"conv {name}, weight gradient", "conv2d_grad_weight", (dy, x, w.shape), geometry
    n, c = (2, 8) if tiny else (8, 96)
    side = 6 if tiny else 27
    x, dy = Images(normal(n, side, side, c)), Images(normal(n, side, side, c))
    yield (
        "linear",
        "linear",
        (Images(normal(n, 400)), normal(400, 120) / 20, normal(120)),
        {"activation": "tanh"},
    )
    yield (
        "linear, input gradient",
        "linear_grad_input",
        (Images(normal(n, 120)), normal(400, 120) / 20),
        {},
    )
    yield (
        "linear, weight gradient",
        "linear_grad_weight",
        (Images(normal(n, 120)), Images(normal(n, 400))),
        {},
    )
    for activation in ("relu", "sigmoid", "tanh", "scaled_tanh"):
        yield activation, "activate", (x, activation), {}
        yield (
            f"{activation}, gradient",
            "activation_grad",
            (dy, Images(np.tanh(x.array)), activation),
            {},
        )
    yield "add + relu", "add", (x, dy, "relu"), {}
    for geometry in (
        {"kernel_size": 3, "stride": 2},
        {"kernel_size": 2},
        {"kernel_size": 3, "stride": 1, "padding": 1},
    ):
        text = " ".join(f"{key}={value}" for key, value in geometry.items())
        yield f"max pool {text}", "max_pool2d", (x,), geometry
        yield f"avg pool {text}", "avg_pool2d", (x,), geometry
        y = reference.max_pool2d(x.array, **geometry)
        yield (
            f"max pool gradient {text}",
            "max_pool2d_grad",
            (Images(normal(*y[0].shape)), y[1], x.array.shape),
            geometry,
        )
        yield (
            f"avg pool gradient {text}",
            "avg_pool2d_grad",
            (Images(normal(*y[0].shape)), x.array.shape),
            geometry,
        )
    yield "global average pool", "global_avg_pool2d", (x,), {}
    yield (
        "global average pool, gradient",
        "global_avg_pool2d_grad",
        (Images(normal(n, c)), x.array.shape),
        {},
    )
    scale = (2 + x.array**2).astype(np.float32)
    yield "LRN", "local_response_norm", (x, 5, 0.5), {}
    yield (
        "LRN, gradient",
        "local_response_norm_grad",
        (dy, x, Images(x.array * scale**-0.75), scale, 5, 0.5),
        {},
    )
    gamma, beta, mean, var = (
        normal(c),
        normal(c),
        normal(c),
        (1 + normal(c) ** 2).astype(np.float32),
    )
    yield "batch norm + relu", "batch_norm", (x, gamma, beta, mean, var), {"activation": "relu"}
    yield (
        "batch norm + residual + relu",
        "batch_norm_add",
        (x, dy, gamma, beta, mean, var),
        {"activation": "relu"},
    )
    yield (
        "batch norm + relu, gradient",
        "batch_norm_grad",
        (dy, x, gamma, mean, var),
        {"beta": beta, "activation": "relu"},
    )
    labels = generator.integers(0, 10, 64)
    yield "softmax", "softmax", (Images(10 * normal(64, 1000)),), {}
    yield (
        "softmax cross-entropy",
        "softmax_cross_entropy",
        (Images(10 * normal(64, 10)), labels),
        {},
    )
    for name, slots, options in (
        ("sgd", 1, {"momentum": 0.9}),
        ("adam", 2, {"step": 2}),
        ("rmsprop", 2, {}),
    ):
        lists = tuple([abs(normal(3, 5)), abs(normal(5000))] for _ in range(2 + slots))
        yield name, f"{name}_update", (*lists, [0.1, 0.2], [0.0, 1e-3]), options


class Images(NamedTuple):
    """An array of images or of their gradients: stored in the precision that is tested."""

    array: np.ndarray


def _to_device(a) -> Any:
    if isinstance(a, Images):
        return to_input(a.array, "cuda")
    if isinstance(a, list) and isinstance(a[0], np.ndarray):
        return [runtime().upload(array) for array in a]
    return runtime().upload(a) if isinstance(a, np.ndarray) else a


def _exact(a, precision: str) -> Any:
    """The numbers as the kernels are given them, in float64."""
    if isinstance(a, Images):
        return _rounded(a.array, precision)
    if isinstance(a, list) and isinstance(a[0], np.ndarray):
        return [array.astype(np.float64) for array in a]
    if isinstance(a, np.ndarray) and a.dtype == np.float32:
        return (
            _rounded(a, precision) if a.ndim in (2, 4) else a.astype(np.float64)
        )  # weights are rounded on their way
    return a


def _rounded(array, precision: str):
    if precision == "bf16":
        from ml_dtypes import bfloat16

        array = array.astype(bfloat16)
    return array.astype(np.float64)


# ---- networks -------------------------------------------------------------------------------------------------------


def networks(precision: str, tiny: bool) -> Iterator[Task]:
    """Outputs and gradients of whole networks on the GPU against the same network on the CPU in float64."""
    for name in NETWORKS[:1] if tiny else NETWORKS:
        yield name, partial(_network, name, precision, 2 if tiny else BATCH)


def _network(name: str, precision: str, batch: int) -> Iterator[dict]:
    exact = _step(name, "cpu", batch)
    set_precision(precision)
    ours = _step(name, "cuda", batch)
    for what, limit in (
        ("outputs", GRADIENT_LIMITS[precision] / 4),
        ("gradients", GRADIENT_LIMITS[precision]),
    ):
        pairs = zip(ours[what], exact[what], strict=True)
        error = np.sqrt(
            sum(np.sum((a - b) ** 2) for a, b in pairs) / sum(np.sum(b**2) for b in exact[what])
        )
        yield Check(f"{name}, {what}", precision, float(error), limit, True).row()


def _step(name: str, device: str, batch: int) -> dict[str, list]:
    """One training step: the outputs and all gradients, in float64 on the host."""
    model = registry.create(name, seed=0, num_classes=10)
    for _, layer in model.named_layers():
        if hasattr(layer, "p"):
            layer.p = 0.0  # of dropout: both sides keep every unit
    generator = np.random.default_rng(0)
    x = generator.standard_normal((batch, *model.input_shape), dtype=np.float32)
    labels = generator.integers(0, 10, batch)
    rng.seed(0)
    if device == "cpu":
        model, x = model.astype(np.float64), x.astype(np.float64)
    else:
        model = fuse(model.to("cuda"))
        x, labels = to_input(x, "cuda"), runtime().upload(labels)
    outputs = model.train()(x)
    _, gradient = loss_of(model)(outputs, labels)
    model.backward(gradient, need_dx=False)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return {
        "outputs": [to_host(y).astype(np.float64) for y in outputs],
        "gradients": [to_host(p.grad).astype(np.float64) for p in model.parameters()],
    }
